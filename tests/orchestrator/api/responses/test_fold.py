"""From a journal to the events of a response: the same numbers for the same events, whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.api.responses import fold as folding
from orchestrator.api.responses.fold import stream_of
from orchestrator.api.responses.kept import Asked, asked_of
from orchestrator.api.responses.output import StreamEvent
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.archive import read_lines, restore
from storage.events import Event, EventType
from storage.memory import MemoryStore
from storage.tasks import Task, TaskStatus
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

ASKED = Asked(model="anabranch/vote")
IN_BACKGROUND = Asked(model="anabranch/vote", background=True)


def ended(status: TaskStatus, **fields: Any) -> Task:
    """A task that has ended."""
    made: dict[str, Any] = {
        "id": "t1",
        "tenant": "default",
        "status": status,
        "question": {"query": "x", "context": "", "choices": []},
        "planner": "vote",
        "options": {"sampling": {"temperature": 0.7, "top_p": 1.0, "max_tokens": 9}},
        "seed": 0,
        "idempotency_key": None,
        "parent_id": None,
        "fork_at": None,
        "created_at": 1.0,
        "finished_at": 2.0,
    }
    return Task(**{**made, **fields})


async def run(query: str = "What is 6 * 7?", asked: Asked = ASKED, **fields: Any) -> tuple[Task, list[Event]]:
    """A task that was run on the simulator, and its journal."""
    async with MemoryStore() as store:
        service = Service(store, Simulator("Six sevens are 42.\nAnswer: 42"), toolbox=Toolbox())
        request = TaskRequest(query=query, planner="vote", asked_by=asked.stored, **fields)
        solution = await service.solve(request)
        task = await service.task(solution.trace_id)
        return task, [event async for event in store.read(task.id)]


def is_whole(events: list[StreamEvent]) -> None:
    """The numbers have no gaps, every item and part that is opened is closed, and the last has the output."""
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    opened: dict[int, Mapping[str, Any]] = {}
    done = []
    for event in events:
        match event["type"]:
            case "response.output_item.added":
                assert not opened
                opened[event["output_index"]] = event["item"]
            case "response.output_item.done":
                assert opened.pop(event["output_index"])["id"] == event["item"]["id"]
                done.append(event["item"])
            case kind if "item_id" in event:
                assert opened[event["output_index"]]["id"] == event["item_id"], kind
    assert not opened
    assert events[-1]["response"]["output"] == done


async def test_the_events_of_a_vote() -> None:
    task, journal = await run(options={"n": 4, "rule": "fixed"})
    asked = asked_of(task)
    assert asked == ASKED
    events = list(stream_of(task, asked, journal))
    is_whole(events)
    assert events == list(stream_of(task, asked, journal))
    kinds = [event["type"].removeprefix("response.") for event in events]
    merged = [kind for place, kind in enumerate(kinds) if not place or kinds[place - 1] != kind]
    assert merged == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    told = next(event["text"] for event in events if event["type"].endswith("summary_text.done"))
    assert told.splitlines() == [
        "A vote begins.",
        "Branch 1 begins.",
        "Branch 2 begins.",
        "Branch 3 begins.",
        "Branch 4 begins.",
        "Branch 1 says 42.",
        "Branch 2 says 42 (2 of 2 agree, entropy 0.00).",
        "Branch 3 says 42 (3 of 3 agree, entropy 0.00).",
        "Branch 4 says 42 (4 of 4 agree, entropy 0.00).",
        "Enough: no more branches may be asked.",
        "All 4 branches agree.",
    ]


async def test_more_of_the_journal_only_adds_events() -> None:
    """What a process has sent by then is what any other sends again."""
    task, journal = await run(options={"n": 4})
    whole = list(stream_of(task, IN_BACKGROUND, journal))
    assert [event["type"] for event in whole][:3] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    fold = folding.Fold(task, IN_BACKGROUND)
    told = list(fold.begin())
    for event in journal:
        assert told == whole[: len(told)]
        told += fold.take(event)
    assert told + list(fold.end(task)) == whole


@pytest.mark.parametrize("status", ["cancelled", "failed", "dead"])
@pytest.mark.parametrize("asked", [ASKED, IN_BACKGROUND], ids=["waited for", "in the background"])
def test_a_task_that_never_began_ends_all_the_same(status: str, asked: Asked) -> None:
    error = {"code": "expired", "message": "its deadline passed, key=sk-abc123456789"}
    task = ended(TaskStatus(status), error=None if status == "cancelled" else error)
    events = list(stream_of(task, asked, []))
    is_whole(events)
    last = events[-1]["response"]
    assert last["status"] == ("cancelled" if status == "cancelled" else "failed")
    assert events[-1]["type"] == f"response.{last['status']}"
    assert (last["completed_at"], last["output"]) == (None, [])
    if status != "cancelled":
        assert last["error"]["code"] == "expired"
        assert "sk-abc" not in last["error"]["message"]


async def test_a_run_that_is_cancelled_leaves_what_it_has_told() -> None:
    task, journal = await run(options={"n": 4})
    cancelled = ended(TaskStatus.CANCELLED, id=task.id)
    events = list(stream_of(cancelled, ASKED, journal[:8]))
    is_whole(events)
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning"]
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"
    assert events[-1]["response"]["usage"]["output_tokens"] > 0


def test_no_event_of_a_journal_breaks_it() -> None:
    """A trace may have been imported, or damaged."""
    odd: list[Any] = [{}, {"saw": 3}, {"usage": {"prompt_tokens": "x"}}, {"error": "x", "outcome": "failed"}]
    journal = [
        Event(seq, kind, "0", 1.0, data)
        for seq, (kind, data) in enumerate((kind, data) for kind in EventType for data in odd)
    ]
    is_whole(list(stream_of(ended(TaskStatus.CANCELLED), ASKED, journal)))


def test_a_long_way_to_an_answer_is_not_told_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_LINES", 5)
    journal = [
        Event(seq, EventType.DECISION, "", 1.0, {"by": "auto", "verdict": "x", "saw": {"reason": str(seq)}})
        for seq in range(50)
    ]
    events = list(stream_of(ended(TaskStatus.CANCELLED), ASKED, journal))
    is_whole(events)
    lines = [event["delta"] for event in events if event["type"].endswith("text.delta")]
    assert len(lines) == 5
    assert lines[-1] == folding.MORE


@pytest.mark.parametrize("content", ["text", "answer"])
async def test_the_answer_is_the_text_or_the_short_answer(content: Any) -> None:
    asked = Asked(model="anabranch/vote", content=content)
    task, journal = await run(asked=asked)
    [message] = [
        item
        for item in list(stream_of(task, asked, journal))[-1]["response"]["output"]
        if item["type"] == "message"
    ]
    expected = "42" if content == "answer" else "Six sevens are 42.\nAnswer: 42"
    assert message["content"][0]["text"] == expected
    assert message["phase"] == "final_answer"


async def test_an_old_journal_can_be_told() -> None:
    folder = Path(__file__).parents[2] / "tasks" / "data"
    async with MemoryStore() as store:
        for path in sorted(folder.glob("*.jsonl")):
            task = await restore(store, read_lines(path))
            journal = [event async for event in store.read(task.id)]
            is_whole(list(stream_of(task, ASKED, journal)))
