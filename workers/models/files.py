"""The files of models on this machine: fetched if they are missing, and checked.

Which source delivered a model does not matter, because its size and SHA-256 are pinned in the catalogue: a
file that does not match them is deleted. All sources deliver the same bytes from the start, so whichever
source comes next continues an interrupted transfer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import AsyncFileLock

from workers.errors import ModelUnavailable
from workers.models.catalogue import Model, find
from workers.models.sources import Source, SourceFailed, deliver
from workers.private import FILE_MODE, make_directory, opener


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a model has arrived, in bytes, and which source is delivering it."""

    done: int
    total: int
    source: str


def default_directory() -> Path:
    """Where models are kept unless the caller says otherwise: the user's cache directory."""
    return platformdirs.user_cache_path("anabranch", appauthor=False) / "models"


async def fetch(
    what: str | Path | Model,
    *,
    directory: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    verify: bool = False,
) -> Path:
    """The file of a model: a GGUF file of the user's, or a catalogue model, downloaded if it is missing.

    Several processes may fetch the same model at once: one works and the others wait for it. A catalogue
    model is hashed once and then trusted as long as its size and modification time do not change;
    ``verify`` hashes it again.

    Raises:
        ModelUnavailable: the name is unknown, the path is not a GGUF file, or no source had the right bytes.
            The message says what each source answered and what to do instead.
    """
    if not isinstance(what, Model) and _is_path(what):
        return await asyncio.to_thread(_local, Path(what))
    model = what if isinstance(what, Model) else find(str(what))
    target = (directory or default_directory()) / model.file
    try:
        if not verify and await asyncio.to_thread(_is_trusted, model, target):
            return target
        await asyncio.to_thread(make_directory, target.parent)
        async with AsyncFileLock(f"{target}.lock", mode=FILE_MODE, thread_local=False):
            if not verify and await asyncio.to_thread(_is_trusted, model, target):
                return target
            if await asyncio.to_thread(target.exists):
                with contextlib.suppress(ModelUnavailable):
                    await asyncio.to_thread(_check, model, target)
                    await asyncio.to_thread(_trust, model, target)
                    return target
            await _deliver(model, target, on_progress or (lambda _: None))
            return target
    except OSError as error:
        raise ModelUnavailable(f"model {model.name} cannot be kept in {target.parent}: {error}") from error


def _is_path(what: str | Path) -> bool:
    text = str(what)
    return isinstance(what, Path) or text.lower().endswith(".gguf") or "/" in text or "\\" in text


def _local(path: Path) -> Path:
    try:
        path = path.expanduser()
        with path.open("rb") as file:
            magic = file.read(4)
    except (OSError, RuntimeError, ValueError) as error:  # also an unknown user, or an impossible path
        reason = error.strerror if isinstance(error, OSError) else None
        raise ModelUnavailable(f"{path} cannot be read: {reason or error}") from error
    if magic != b"GGUF":
        raise ModelUnavailable(f"{path} is not a GGUF file: it starts with {magic!r}, not with b'GGUF'")
    return path.resolve()


async def _deliver(model: Model, target: Path, on_progress: Callable[[Progress], None]) -> None:
    """Try the sources in order until the file is complete and right, then move it into place."""
    partial = target.with_name(target.name + ".partial")
    failures: list[str] = []
    for source in model.sources:

        def report(done: int, source: Source = source) -> None:
            on_progress(Progress(done, model.size, str(source)))

        try:
            await deliver(source, model.size, partial, report)
            await asyncio.to_thread(_check, model, partial)
        except (SourceFailed, ModelUnavailable) as error:
            failures.append(f"  {source}: {error}")
        else:
            await asyncio.to_thread(partial.replace, target)
            await asyncio.to_thread(_trust, model, target)
            return
    raise ModelUnavailable(
        "\n".join(
            [
                f"model {model.name} ({model.size / 1e6:.0f} MB) could not be fetched:",
                *failures,
                "Use a GGUF file of yours with --model /path/to/file.gguf, or fetch the model on a connected "
                f"machine and copy {model.file} to {target.parent}.",
            ]
        )
    )


def _check(model: Model, path: Path) -> None:
    """Compare size and SHA-256, and delete a file that is not the model."""
    size = path.stat().st_size
    if size == model.size:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest == model.sha256:
            return
        found = f"SHA-256 {digest}, expected {model.sha256}"
    else:
        found = f"{size} bytes, expected {model.size}"
    path.unlink()
    raise ModelUnavailable(f"wrong contents, deleted: got {found}")


def _marker(model: Model, path: Path) -> tuple[Path, str]:
    stat = path.stat()
    seen = {"sha256": model.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return path.with_name(path.name + ".checked"), json.dumps(seen)


def _trust(model: Model, path: Path) -> None:
    """Note that a file is right. If that cannot be written, the file will be hashed again."""
    marker, text = _marker(model, path)
    with contextlib.suppress(OSError), open(marker, "w", encoding="utf-8", opener=opener) as file:
        file.write(text)


def _is_trusted(model: Model, path: Path) -> bool:
    try:
        marker, text = _marker(model, path)
        return marker.read_bytes() == text.encode()
    except FileNotFoundError:
        return False
