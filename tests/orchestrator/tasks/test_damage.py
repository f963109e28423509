"""Journals that other hands have changed: whoever reads one says which event is damaged, and how."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.api.traces import trace_json
from orchestrator.cli.picture import picture
from orchestrator.cli.printing import trace_tree
from orchestrator.cli.view import RunView
from orchestrator.errors import AnabranchError, Unavailable
from orchestrator.runtime.change import Change
from orchestrator.runtime.reuse import Memo
from orchestrator.settings import Settings
from orchestrator.tasks.hindsight.counterfactual import counterfactual
from orchestrator.tasks.hindsight.difference import difference
from orchestrator.tasks.hindsight.replaying import replay
from orchestrator.tasks.hindsight.verifying import verify
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.errors import JournalDamaged, StorageError
from storage.events import Event, EventType
from storage.opening import open_store
from storage.reading import checked
from storage.spans import spans
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from tests.orchestrator.tasks.test_old_traces import KEEPSAKES, find, read
from workers.engines.simulator.engine import Simulator

EVERYTHING = next(path for path in KEEPSAKES if "everything" in path.stem)


def mutants(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The value with a member gone, or with something else in its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"without {name}", {key: value[key] for key in value if key != name}
            others: list[Any] = [None, 5, "x", []]
            for other in others:
                yield f"{name}: {other!r}", {**value, name: other}
            if depth < 2:
                for how, changed in mutants(item, depth + 1):
                    yield f"{name}.{how}", {**value, name: changed}


def looked_at(task: Task, events: Sequence[Event]) -> None:
    """Whatever shows a trace."""
    trace = Trace.of(task, events)
    Console(file=StringIO(), width=200).print(trace_tree(trace))
    json.loads("".join(trace_json(trace)))
    json.dumps(spans(trace, content=True))
    picture(trace)


def watched(task: Task, events: Sequence[Event]) -> None:
    view = RunView()
    for event in checked(task.id, events):
        view.take(event)


def compared(task: Task, events: Sequence[Event]) -> None:
    found = list(checked(task.id, events))
    difference(found, found)
    Memo(found)


@pytest.mark.parametrize("reader", [looked_at, watched, compared])
async def test_no_reader_stumbles(reader: Callable[[Task, Sequence[Event]], None]) -> None:
    task, events = await read(EVERYTHING)
    reader(task, events)
    told = {}
    for place, event in enumerate(events):
        for how, data in mutants(dict(event.data)):
            changed = [*events[:place], replace(event, data=data), *events[place + 1 :]]
            try:
                reader(task, changed)
            except JournalDamaged as error:
                told[how] = str(error)
    assert len(told) > 100
    assert all(f"task {task.id}: event " in why and " is damaged: " in why for why in told.values())


async def test_no_replay_and_no_what_if_stumbles() -> None:
    task, events = await read(EVERYTHING)
    vote = next(event.path for event in events if event.data.get("kind") == "vote")
    for place, event in enumerate(events):
        for how, data in mutants(dict(event.data), depth=1):
            if how.startswith("planner"):
                continue
            changed = [*events[:place], replace(event, data=data), *events[place + 1 :]]
            for repeat in (
                lambda found: replay(task.id, found, find),
                lambda found: counterfactual(task.id, found, find, at=vote, change=Change(rule="beta:0.6")),
            ):
                with suppress(AnabranchError, StorageError):
                    await repeat(list(checked(task.id, changed)))


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (EventType.NODE_ADDED, {}, r"event 1 \(node_added of node 0\) is damaged: kind: Field required"),
        (EventType.NODE_SETTLED, {"outcome": "won"}, r"node_settled of node .* is damaged: outcome: "),
        (EventType.RUN_STARTED, {"planner": "everything"}, r"event 0 \(run_started\) is damaged: question: "),
        (EventType.RUN_FINISHED, {"outcome": 1}, r"\(run_finished\) is damaged: outcome: "),
    ],
)
async def test_verify_names_the_event(kind: EventType, data: Mapping[str, Any], told: str) -> None:
    task, events = await read(EVERYTHING)
    place = next(number for number, event in enumerate(events) if event.type is kind)
    changed = [*events[:place], replace(events[place], data=data), *events[place + 1 :]]

    async def runs() -> AsyncIterator[tuple[str, Sequence[Event]]]:
        yield task.id, changed
        yield task.id, events

    found = await verify(runs(), find)
    assert found.identical == 1
    assert re.search(f"task {task.id}: .*{told}.*journal_damaged", found.differing[task.id])


async def test_a_task_whose_journal_is_damaged_fails_and_harms_no_other(tmp_path: Path) -> None:
    """It is taken over, by a service that has another task."""
    file = tmp_path / "damaged.db"
    settings = Settings.model_construct(lease_seconds=5.0)
    async with await open_store(f"sqlite:///{file}") as store:
        service = Service(store, Simulator("ok"), settings=settings)
        damaged = await service.submit(parse({"query": "?", "planner": "direct"}))
        claim = await store.claim("another", 5.0)
        assert claim is not None
        writer = store.writer(damaged.id, claim.fence)
        writer.append(Event(0, EventType.RUN_STARTED, "", 1.0, {"planner": "direct"}))
        await writer.flush()
        await store.release(claim)
        whole = await service.submit(parse({"query": "?", "planner": "direct"}))
        async with service.working():
            for task in (whole, damaged):
                async for _ in service.events(task.id):
                    pass
        assert (await service.task(whole.id)).status is TaskStatus.SUCCEEDED
        ended = await service.task(damaged.id)
        assert ended.status is TaskStatus.FAILED
        assert ended.error is not None
        assert ended.error["code"] == "journal_damaged"
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("UPDATE events SET data = '[1]' WHERE type = 'node_added'")
        with pytest.raises(Unavailable, match=f"task {whole.id}: event 1 .node_added.* not a JSON object"):
            await service.replay(whole.id)
        with pytest.raises(JournalDamaged, match=whole.id):
            await Trace.read(store, whole.id)
