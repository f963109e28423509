"""Where the clients are, and whether they are there. scripts/setup-clients installs them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "clients"
"""The programs that people start from, and the versions that they are tested with."""

HOME = Path(platformdirs.user_cache_dir("anabranch")) / "clients"
BINARIES = HOME / "env" / "bin"
MODULES = HOME / "node" / "node_modules"
PINS = {"requirements.txt": HOME / "env", "package.json": HOME / "node"}


def require_clients() -> None:
    """Skip the test where the clients are not installed, or others than are pinned; in CI they must be."""
    reason = _missing()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
    assert not reason, f"in CI the real clients must run: {reason}"


def _missing() -> str:
    for name, home in PINS.items():
        noted = home / f"installed-{name}"
        if not noted.exists():
            return f"{noted} is missing: run scripts/setup-clients"
        if noted.read_bytes() != (EXAMPLES / name).read_bytes():
            return f"{noted} is not examples/clients/{name}: run scripts/setup-clients"
    return ""
