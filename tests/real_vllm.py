"""Whether the tests can run a real vLLM server. scripts/setup-vllm-cpu makes what they need."""

from __future__ import annotations

import os
import sys

import pytest

from workers.engines.vllm.launch import default_directory, find_python
from workers.errors import EngineUnavailable

MODEL = default_directory() / "models" / "smollm2-135m"


def require_vllm() -> None:
    """Skip the test where there is no vLLM; in CI there must be."""
    reason = _missing()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
    assert not reason, f"in CI the real server must run: {reason}"


def _missing() -> str:
    if sys.platform != "linux":
        return "vLLM's CPU build runs on Linux"
    try:
        find_python()
    except EngineUnavailable as error:
        return str(error)
    return "" if MODEL.is_dir() else f"{MODEL} is missing: run scripts/setup-vllm-cpu"
