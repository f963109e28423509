"""A small model, a server that has it, and wheels that have its parts."""

from __future__ import annotations

import asyncio
import hashlib
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from workers.models.catalogue import Model
from workers.models.sources import Download, Mirror, Part

CONTENT = b"GGUF" + random.Random(7).randbytes(300_000)
NOWHERE = Download("http://127.0.0.1:9/model.gguf")  # the discard port: nobody listens


def model(*sources: Download | Mirror, content: bytes = CONTENT) -> Model:
    return Model(
        name="tiny",
        file="tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0",
        description="",
        sources=sources,
    )


@dataclass
class Hub:
    """An HTTP server with one file, which can be told to misbehave."""

    content: bytes = CONTENT
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)
    pause: float = 0.0
    progress: Callable[[], int] | None = None
    """How many bytes the client has written, to be awaited before a drop."""
    seen: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def source(self) -> Download:
        return Download(self.url)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.seen.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(body)
        await response.prepare(request)
        if self.drop_after:
            part = self.drop_after.pop(0)
            await response.write(body[:part])
            # What has not been read when a connection breaks is lost.
            while self.progress is not None and self.progress() < start + part:  # noqa: ASYNC110 -- it tells no event
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert request.transport is not None
            request.transport.close()
            return response
        await asyncio.sleep(self.pause)
        await response.write(body)
        return response


def names(directory: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in directory.glob(pattern))


def left(directory: Path) -> int:
    """Bytes that the next fetch would continue."""
    return sum(path.stat().st_size for path in directory.glob("*.partial"))


def put_wheel(index: Path, name: str, content: bytes) -> Part:
    """A wheel with ``content`` in it, and the part that describes it."""
    member = f"{name}/data.bin"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return Part(f"{name}==1.0", member, len(content))
