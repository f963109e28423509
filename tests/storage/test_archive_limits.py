"""Files that somebody else has made: read within bounds, and refused with what is wrong and where."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.archive import Limits, export, opened, read_lines, restore
from storage.errors import ArchiveError
from storage.events import Event
from storage.opening import open_store
from storage.trace import Trace
from tests.storage.journals import TASK, chain, growth
from tests.storage.test_archive import GOOD

HEADER, EVENT, END = GOOD


def header(**changes: Any) -> str:
    told = json.loads(HEADER)
    told["task"] |= changes
    return json.dumps(told)


def bomb(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["\ufeff" + HEADER, EVENT, END], "line 1 begins with a byte order mark"),
        (["\0" * 10], "line 1 is not JSON"),
        (
            [HEADER, EVENT.replace('"rule"', "[" * 300 + "]" * 300 + ', "x": ' + "[" * 150 + "]" * 150), END],
            "by",
        ),
        (
            [HEADER, EVENT.replace('"rule"', "[" * 500 + "]" * 500), END],
            "line 2 is nested more than 400 deep",
        ),
        (
            [HEADER, EVENT.replace('"rule"', "[" * 90_000 + "]" * 90_000), END],
            "line 2 is nested more than 400",
        ),
        ([HEADER, EVENT.replace('"seq": 0', f'"seq": {"1" * 5000}'), END], "line 2 is not JSON: Exceeds"),
        ([HEADER, EVENT.replace("2.5", "1" + "0" * 400), END], "line 2: int too large"),
        ([HEADER, EVENT.replace("2.5", "1e15"), END], "line 2: .* at: it should be a time"),
        ([HEADER, EVENT.replace('"seq": 0', '"seq": 0, "seq": 1'), END], "more than one member 'seq'"),
        ([HEADER, EVENT.replace('"rule"', '"rule", "by": "another"'), END], "more than one member 'by'"),
        ([HEADER, EVENT.replace('"seq": 0', '"seq": false'), END], "line 2 is not an event"),
        ([HEADER, EVENT.replace('"rule"', "NaN"), END], "line 2 is not JSON: NaN"),
        ([header(id=""), EVENT, END], "line 1: id: it must have 1 to 64 characters, not 0"),
        ([header(id=" "), EVENT, END], "line 1: id: it must have 1 to 64 characters"),
        ([header(id="x" * 65), EVENT, END], "line 1: id: it must have 1 to 64 characters, not 65"),
        ([header(id="a\x1b[2J"), EVENT, END], r"line 1: id: 'a\\x1b\[2J' has characters that cannot be"),
        ([header(id="a\u202eb"), EVENT, END], r"line 1: id: 'a\\u202eb' has characters that cannot be shown"),
        ([header(id="a\ud800"), EVENT, END], "line 1: id: "),
        ([header(parent_id="a\nb"), EVENT, END], "line 1: parent_id: "),
        ([header(tenant="x" * 300), EVENT, END], "line 1: tenant: it must have 1 to 256 characters, not 300"),
        ([header(planner="di\0rect"), EVENT, END], "line 1: planner: "),
        ([header(idempotency_key=""), EVENT, END], "line 1: idempotency_key: "),
        ([header(parent_id="p", fork_at="../.."), EVENT, END], "line 1: fork_at: no node has such a path"),
        ([header(seed=2**70), EVENT, END], "line 1: seed: it must be from 0 to"),
        ([header(seed=-1), EVENT, END], "line 1: seed: it must be from 0 to"),
        ([header(lease_fence=2**40), EVENT, END], "line 1: lease_fence: it must be from 0 to"),
        ([header(created_at=1e300), EVENT, END], "line 1: created_at: it must be in seconds since 1970"),
        ([HEADER, EVENT.replace("decision", "x" * 10_000), END], "^.{400,520}$"),
    ],
)
async def test_what_could_do_harm_is_refused(lines: list[str], message: str) -> None:
    async with await open_store("memory") as store:
        with pytest.raises(ArchiveError, match=message):
            await restore(store, lines)
        assert await store.list() == ()


async def test_a_file_that_went_through_another_system_is_read() -> None:
    """Its lines end in another way; and what the runtime would cut today may stand in an older file."""
    long = EVENT.replace('"rule"', json.dumps("x" * 100_000))
    async with await open_store("memory") as store:
        assert (await restore(store, [f"{line}\r\n" for line in (HEADER, long, END)])).id == "0" * 16


async def test_names_that_a_service_takes_are_read() -> None:
    names = {
        "tenant": "\u7530\u4e2d\u3000\u592a\u90ce",
        "idempotency_key": "\u0645\u200c\u06cc",
        "planner": "a\xa0b",
    }
    async with await open_store("memory") as store:
        task = await restore(store, [header(**names), EVENT, END])
    assert {name: getattr(task, name) for name in names} == names


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(line_bytes=900), "line 1 is longer than 900 bytes|line 2 is longer than 900 bytes"),
        (Limits(events=2), "line 4: the file has more than 2 events"),
        (Limits(file_bytes=1000), "it has [0-9,]+ bytes, and may have at most 1,000"),
        (Limits(seconds=0.0), "line 2: reading takes more than 0 s"),
    ],
)
async def test_limits_are_named(limits: Limits, message: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    events = [Event(0, chain(0)[0].type, "", 1.0, {"planner": "x" * 1000}), *chain(2)[1:]]
    async with await open_store("memory") as store:
        await store.restore(TASK, events)
        file.write_text("".join([line async for line in export(store, TASK.id)]))
    async with await open_store(f"sqlite:///{tmp_path / 'into.db'}") as store:
        with pytest.raises(ArchiveError, match=message):
            await restore(store, read_lines(file, limits), limits=limits)


def directory(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [directory, pipe, device])
def test_what_is_no_file_is_not_waited_for(make: Callable[[Path], None], tmp_path: Path) -> None:
    made = tmp_path / "made"
    make(made)
    with pytest.raises(ArchiveError, match=f"it is not a regular file but a {make.__name__}"):
        opened(made)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00" + bytes(range(128, 200)), "line 1 is not UTF-8: .*gunzip it first"),
        (HEADER.encode() + b'\n{"seq": "\xff"}\n', "line 2 is not UTF-8: invalid start byte"),
    ],
)
async def test_what_is_not_text_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_bytes(content)
    async with await open_store(f"sqlite:///{tmp_path / 'into.db'}") as store:
        with pytest.raises(ArchiveError, match=message):
            await restore(store, read_lines(file))


def test_a_line_without_end_takes_no_more_memory_than_a_line_may(tmp_path: Path) -> None:
    file = tmp_path / "zeros"
    with file.open("wb") as zeros:
        zeros.truncate(500_000_000)  # takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="line 1 is longer than 1,000,000 bytes"):
            next(read_lines(file, Limits(line_bytes=1_000_000)))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


async def test_events_are_not_collected_before_they_are_stored(tmp_path: Path) -> None:
    """What is nested takes many times its length in memory, so there must be one such event at a time."""
    line = EVENT.replace('"rule"', '"rule", "flat": [' + ",".join(["[]"] * 10_000) + "]")

    def lines() -> Iterator[str]:
        yield HEADER
        for number in range(10):
            yield line.replace('"seq": 0', f'"seq": {number}')
        yield '{"events": 10}'

    async with await open_store(f"sqlite:///{tmp_path / 'into.db'}") as store:
        tracemalloc.start()
        try:
            await restore(store, lines())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4_000_000  # all of them would take twice as much


async def test_a_large_file_goes_there_and_back_in_time_that_grows_with_it_alone(tmp_path: Path) -> None:
    async with (
        await open_store("memory") as source,
        await open_store(f"sqlite:///{tmp_path / 'a.db'}") as into,
    ):
        await source.restore(TASK, chain(5000))
        lines = [line async for line in export(source, TASK.id)]
        await restore(into, lines)
        assert [line async for line in export(into, TASK.id)] == lines
        assert (await Trace.read(into, TASK.id)).nodes[-1].path == "4999"


def test_lines_are_read_in_time_that_grows_with_their_number(tmp_path: Path) -> None:
    def make(size: int) -> Path:
        file = tmp_path / f"{size}.jsonl"
        file.write_text(f"{EVENT}\n" * size)
        return file

    assert growth(make, lambda file: sum(1 for _ in read_lines(file)), 5000) < 9
