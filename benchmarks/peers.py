"""Other projects that the benchmarks measure beside us, each in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import platformdirs


def environment(name: str, *requirements: str, bare: Sequence[str] = ()) -> Path:
    """The folder of executables of a peer's environment, which is made at the first use.

    Args:
        bare: what is installed without the requirements that it declares itself.

    Raises:
        subprocess.CalledProcessError: pip could not install the requirements.
    """
    folder = Path(platformdirs.user_cache_dir("anabranch")) / "peers" / name
    executables = folder / "bin"
    installed = folder / "installed"  # written last, so an installation that broke off is made again
    wanted = " ".join((*requirements, *bare))
    if not installed.exists() or installed.read_text() != wanted:
        print(f"  installing {wanted} in {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        python = executables / "python"
        for what in (requirements, ("--no-deps", *bare) if bare else ()):
            if what:
                subprocess.run([python, "-m", "pip", "install", "-q", *what], check=True)  # noqa: S603 all ours
        installed.write_text(wanted)
    return executables
