"""The model of the tests that need a real one, but not the default: it is there sooner, and quicker."""

from __future__ import annotations

from typing import Final

SMALL: Final = "qwen2.5-coder-0.5b"
"""What tests of the embedded engine name, as they rely on what it says, or on how long it takes."""
