"""What is kept in files is for this user alone: names what others can read, and mends it if it may."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from orchestrator.settings import Settings
from orchestrator.tasks.calibrations import user_directory
from storage.opening import files_of
from workers.engines.vllm.launch import default_directory as vllm_directory
from workers.models.files import default_directory as models_directory

log = structlog.get_logger()

POSIX = os.name == "posix"
"""Whether files have modes."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What a mode allows anybody but the owner."""

SHOWN = 5
"""How many files one warning names."""


def keep_private(settings: Settings, *, engine: bool = False) -> None:
    """Warn of files and directories in use that others may read, or make them private if the settings say so.

    These are the files of the database, this user's data directory with its calibrations and, if ``engine``
    is true, the caches of the engine. A directory or a calibration that the user has named is left alone, and
    so is what a link among these leads to. Where the system knows no such modes, nothing is done.

    Raises:
        StorageError: the settings name no database.
    """
    if not POSIX:
        return
    exposed = {path: mode for path in _kept(settings, engine=engine) if (mode := _mode(path)) & OTHERS}
    if not exposed:
        return
    if not settings.fix_permissions:
        log.warning(
            "other users of this machine may read these; --fix-permissions of serve, solve and check, or "
            "ANABRANCH_FIX_PERMISSIONS=true, makes them this user's alone",
            action="files_exposed",
            paths=_named(exposed),
        )
        return
    failed: dict[Path, int] = {}
    for path, mode in exposed.items():
        try:
            path.chmod(mode & ~OTHERS)
        except OSError:  # it is another user's, or the file system has fixed modes
            failed[path] = mode
        else:
            if _mode(path) & OTHERS:
                failed[path] = mode
    if mended := {path: mode for path, mode in exposed.items() if path not in failed}:
        log.warning("now only this user may read these", action="files_mended", paths=_named(mended))
    if failed:
        log.warning(
            "other users of this machine may read these, and the file system or their owner does not let "
            "this process change that",
            action="files_exposed",
            paths=_named(failed),
        )


def _kept(settings: Settings, *, engine: bool) -> Iterator[Path]:
    """The files and directories of this user's that a command uses; some may not exist."""
    yield from files_of(settings.database)
    if settings.database is None:
        yield user_directory().parent
    yield from _within(user_directory())
    if engine and "embedded" in settings.engine:
        yield from _within(models_directory())
    if engine and settings.engine == "vllm":
        yield vllm_directory()  # which hides all that is in it


def _within(directory: Path) -> Iterable[Path]:
    """A directory and the files in it; nothing of what is a link to elsewhere."""
    if directory.is_symlink():
        return []
    try:
        return [directory, *(each for each in directory.iterdir() if not each.is_symlink())]
    except OSError:
        return []


def _mode(path: Path) -> int:
    """The permissions of what is there; 0 if that cannot be told."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _named(paths: dict[Path, int]) -> str:
    named = [f"{path} ({mode:04o})" for path, mode in paths.items()]
    more = len(named) - SHOWN
    return ", ".join(named[:SHOWN]) + (f" and {more} more" if more > 0 else "")
