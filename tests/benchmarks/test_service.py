"""The short form of what the service bears, and how it judges what it sees."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.service.command import QUICK, measured
from benchmarks.service.listeners import Followed, Listeners
from benchmarks.service.phases import Flood, Load, Price, Size
from benchmarks.service.report import Found, as_json, lines, quantile


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_followers_and_floods_cost_no_task_no_event_and_no_answer(tmp_path: Path) -> None:
    """How long answers take is measured where nothing else runs."""
    found = asyncio.run(measured(QUICK, tmp_path))
    broken = [check.name for check in found.checks if not check.passed and not check.name.endswith(", s")]
    assert not broken, "\n".join(lines(found))
    assert found.load.most_open > QUICK.listeners / 2
    assert sum(not each.reads for each in found.load.followed) == QUICK.listeners / 3
    assert len(found.load.memory) > 2
    assert len(found.load.probes) > 2
    assert len(found.flood.stored) == QUICK.submissions


# -- what it judges by ------------------------------------------------------------------------------


def found(load: Load, flood: Flood, price: Price | None = None) -> Found:
    return Found(Size(listeners=2, tasks=1, submissions=2), load, flood, price)


def failing(found: Found) -> set[str]:
    return {check.name for check in found.checks if not check.passed}


def a_load(**changed: object) -> Load:
    good = {
        "tasks": Counter(succeeded=1),
        "followed": [Followed("a", reads=True, ended=True), Followed("a", reads=False)],
        "probes": [("/livez", 200, 0.001)] * 200,
        "memory": [(0.0, 1_000_000)],
        "before": 1_000_000,
    }
    return Load(**{**good, **changed})  # type: ignore[arg-type]


def a_flood(**changed: object) -> Flood:
    good = {"accepted": {"a", "b"}, "stored": {"a", "b"}, "health": [("/healthz", 200, 0.01)]}
    return Flood(**{**good, **changed})  # type: ignore[arg-type]


def test_what_is_well_passes() -> None:
    well = found(a_load(), a_flood(), Price(0.001, 0.0011, 0.0012))
    assert failing(well) == set()
    assert as_json(well)["flood"]["lost"] == 0
    assert any("1.100 ms" in line for line in lines(well))


@pytest.mark.parametrize(
    ("load", "flood", "price", "expected"),
    [
        ({"tasks": Counter(failed=1)}, {}, None, {"errors under load", "tasks that succeeded"}),
        (
            {"followed": [Followed("a", reads=True, error="HTTP/1.1 503")]},
            {},
            None,
            {"errors under load", "listeners that read to the end"},
        ),
        ({"followed": [Followed("a", reads=True, ended=True, gaps=[3])]}, {}, None, {"errors under load"}),
        ({"probes": [("/livez", 0, 0.001)]}, {}, None, {"errors under load"}),
        (
            {"probes": [("/livez", 200, 0.001)] * 95 + [("/livez", 200, 0.09)] * 5},
            {},
            None,
            {"p99 of a call without a model, s"},
        ),
        ({"memory": [(0.0, 2_000_000)]}, {}, None, {"bytes of memory for each listener"}),
        ({}, {"stored": {"a"}}, None, {"submissions lost"}),
        ({}, {"stored": {"a", "b", "c"}}, None, {"tasks stored beyond those accepted"}),
        ({}, {"accepted": {"a"}, "stored": {"a"}}, None, {"submissions accepted"}),
        ({}, {"health": [("/healthz", 0, 0.1)]}, None, {"calls of /healthz without an answer"}),
        ({}, {}, Price(0.001, 0.0014, 0.0012), {"a key adds to a request, s"}),
        ({}, {}, Price(0.001, 0.0011, 0.0014), {"a key with a limit adds, s"}),
    ],
)
def test_what_is_not_fails(
    load: dict[str, object], flood: dict[str, object], price: Price | None, expected: set[str]
) -> None:
    assert failing(found(a_load(**load), a_flood(**flood), price)) == expected


def test_quantiles() -> None:
    probes = [("/", 200, number / 100) for number in range(100)]
    assert quantile(probes, 0.5) == 0.5
    assert quantile(probes, 0.99) == 0.99
    assert quantile(probes, 1.0) == 0.99
    assert quantile([], 0.99) == 0.0


# -- its listeners ----------------------------------------------------------------------------------


@asynccontextmanager
async def answering(*answers: list[bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that sends each connection one of the answers, in these pieces; yields what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        for piece in answers[len(asked) - 1]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_listener_that_is_cut_off_comes_back_for_the_rest() -> None:
    first = [OK + b"1f\r\nid: 0\nevent: a\ndata: {}\n", b"\n\r\n1f\r\nid", b": 1\nevent: b\ndata: id: 7\n\n"]
    second = [OK, b"id: 2\nevent: c\ndata: {}\n\nevent: task_", b"ended\ndata: {}\n\n"]
    async with answering(first, second) as (url, asked):
        seen = await Listeners(url, {"Authorization": "Bearer k"}).follow("t", reads=True)
    assert (seen.ended, seen.last, seen.gaps, seen.error, seen.connections) == (True, 2, [], "", 2)
    assert "Last-Event-ID: 1\r\n" in asked[1]
    assert all(re.search(r"^Authorization: Bearer k\r$", each, re.MULTILINE) for each in asked)


async def test_a_listener_notices_what_is_missing_and_what_is_refused() -> None:
    missing = [OK + b"id: 0\nevent: a\n\nid: 2\nevent: a\n\nevent: task_ended\n\n"]
    async with answering(missing) as (url, _):
        assert (await Listeners(url, {}).follow("t", reads=True)).gaps == [2]
    async with answering([b"HTTP/1.1 503 Busy\r\n\r\n"]) as (url, _):
        assert (await Listeners(url, {}).follow("t", reads=True)).error == "HTTP/1.1 503 Busy"


async def test_a_listener_that_never_ends_is_given_up() -> None:
    async with answering(*[[OK]] * 10) as (url, asked):
        seen = await Listeners(url, {}).follow("t", reads=True)
    assert seen.error == "cut off 6 times"
    assert len(asked) == 6
