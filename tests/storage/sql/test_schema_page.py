"""The page about the tables is that of the tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_schema_page_is_current() -> None:
    script = Path(__file__).parents[3] / "scripts" / "schema.py"
    check = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
