"""Other projects that the benchmarks measure beside us, each in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import platformdirs


def environment(name: str, requirement: str) -> Path:
    """The folder of executables of a peer's environment, which is made at the first use.

    Raises:
        subprocess.CalledProcessError: pip could not install the requirement.
    """
    folder = Path(platformdirs.user_cache_dir("anabranch")) / "peers" / name
    executables = folder / "bin"
    installed = folder / "installed"  # written last, so an installation that broke off is made again
    if not installed.exists() or installed.read_text() != requirement:
        print(f"  installing {requirement} in {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        python = executables / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)  # noqa: S603 all ours
        installed.write_text(requirement)
    return executables
