"""Traces that other versions have recorded replay, or say why they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from orchestrator.errors import Divergence, InvalidRequest, UnknownPlanner, UnsupportedTrace
from orchestrator.planning.finding import find_planner
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.record import Playback
from orchestrator.runtime.values import Answer, Question
from orchestrator.tasks.hindsight.replaying import replay
from orchestrator.tasks.hindsight.verifying import verify
from storage.archive import restore
from storage.events import Event, EventType
from storage.opening import open_store
from storage.tasks import Task
from tests.orchestrator.tasks.keepsakes import everything

DATA = Path(__file__).parent / "data"
KEEPSAKES = sorted(DATA.glob("journal-*.jsonl"))

Find = Callable[[str], Any]


def find(name: str) -> Any:
    return {"everything": everything}[name]


@pytest.fixture(params=KEEPSAKES, ids=lambda path: path.stem)
async def keepsake(request: pytest.FixtureRequest) -> tuple[Task, Sequence[Event]]:
    return await read(request.param)


async def read(path: Path) -> tuple[Task, Sequence[Event]]:
    """A recorded task with its journal."""
    async with await open_store("memory") as store:
        task = await restore(store, (await asyncio.to_thread(path.read_text)).splitlines(keepends=True))
        return task, [event async for event in store.read(task.id)]


def of_another_version(events: Sequence[Event], **versions: object) -> list[Event]:
    header = events[0].data
    changed = {**header, "versions": {**header["versions"], **versions}}
    return [replace(events[0], data=changed), *events[1:]]


async def reason(task: Task, events: Sequence[Event], find: Find) -> str:
    """Why ``verify`` says that the run is not the same."""

    async def runs() -> AsyncIterator[tuple[str, Sequence[Event]]]:
        yield task.id, events

    verification = await verify(runs(), find)
    return "" if verification.identical else verification.differing[task.id]


def test_there_is_something_to_replay() -> None:
    assert len(KEEPSAKES) >= 2


async def test_a_recorded_run_replays_for_ever(keepsake: tuple[Task, Sequence[Event]]) -> None:
    task, events = keepsake
    replayed = await replay(task.id, events, find)
    assert replayed.result.outcome.value == task.outcome
    if task.solution is not None:
        assert replayed.result.answer is not None
        assert replayed.result.answer.text == task.solution["text"]
        assert replayed.result.spent.usage.completion_tokens == task.solution["usage"]["completion"]


async def test_a_synthesis_from_before_votes_counted_more_replays() -> None:
    """Its answer is that of no branch, though one of the branches' has a majority."""
    task, events = await read(DATA / "merge-1-synthesis.jsonl")
    assert task.solution is not None
    assert [(each["claim"], each["count"]) for each in task.solution["clusters"]] == [("7", 2), ("8", 1)]
    replayed = await replay(task.id, events, find_planner)
    assert replayed.result.answer is not None
    assert replayed.result.answer.claim == task.solution["answer"] == "9"


async def test_a_journal_from_the_future_is_refused(keepsake: tuple[Task, Sequence[Event]]) -> None:
    task, events = keepsake
    newer = of_another_version(events, journal=99, anabranch="9.1.0")
    with pytest.raises(UnsupportedTrace, match=r"in format version 99, written by anabranch 9\.1\.0"):
        await replay(task.id, newer, find)
    assert "(unsupported_trace)" in await reason(task, newer, find)


async def test_another_version_of_the_program_is_no_reason_to_refuse(
    keepsake: tuple[Task, Sequence[Event]],
) -> None:
    task, events = keepsake
    await replay(task.id, of_another_version(events, anabranch="0.0.1", python="3.10.0"), find)


@planner("everything")
async def changed(run: Run, question: Question) -> Answer:
    return Answer((await run.generate("Something different")).text)


async def test_a_divergence_tells_of_other_versions(keepsake: tuple[Task, Sequence[Event]]) -> None:
    task, events = keepsake
    old = of_another_version(events, anabranch="0.0.1", rivers="1.9")
    with pytest.raises(Divergence, match=r"anabranch 0\.0\.1 \(now .*\), rivers 1\.9 \(now gone\)"):
        await replay(task.id, old, lambda name: changed)
    with pytest.raises(Divergence) as diverged:
        await replay(task.id, of_another_version(events), lambda name: changed)
    assert "anabranch" not in str(diverged.value)


async def test_a_planner_that_is_gone_is_named_with_its_package(
    keepsake: tuple[Task, Sequence[Event]],
) -> None:
    task, events = keepsake
    assert "no planner is called 'everything'." in await reason(task, events, find_planner)
    packaged = of_another_version(events, rivers="1.9")
    with pytest.raises(UnknownPlanner, match=r"made with rivers 1\.9"):
        await replay(task.id, packaged, find_planner)


async def test_options_that_are_gone_are_named(keepsake: tuple[Task, Sequence[Event]]) -> None:
    task, events = keepsake
    header = replace(events[0], data={**events[0].data, "options": {"depth": 3}})
    with pytest.raises(InvalidRequest, match="options of planner everything: depth"):
        await replay(task.id, [header, *events[1:]], find)
    assert "(invalid_request)" in await reason(task, [header, *events[1:]], find)


async def test_a_playback_takes_the_recorded_time(keepsake: tuple[Task, Sequence[Event]]) -> None:
    """Every event is told, in order, and not before its time."""
    task, events = keepsake
    pace = 0.5
    started = perf_counter()
    told: list[tuple[float, Event]] = []
    record = Playback(events, pace, lambda event: told.append((perf_counter() - started, event)))
    await replay(task.id, events, find, record=record)
    assert [event for _, event in told] == [e for e in events if e.type is not EventType.RUN_RESUMED]
    external = [(at, event) for at, event in told if event.data.get("external")]
    assert len(external) >= 3
    for at, event in external:
        assert at >= (event.at - events[0].at) / pace - 0.02
    assert record.clock() >= external[-1][1].at
