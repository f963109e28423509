"""Journals as trees, and the chain that bounds a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from storage.errors import JournalDamaged
from storage.events import Event, EventType
from storage.spans import spans
from storage.store import Store
from storage.tasks import NewTask, Task, TaskStatus
from storage.trace import Trace
from storage.waits import MOST
from tests.storage.journals import arrivals, chain, growth, nested

TASK = Task(
    id="t",
    tenant="default",
    status=TaskStatus.RUNNING,
    question="q",
    planner="vote",
    options={},
    seed=0,
    idempotency_key=None,
    parent_id=None,
    fork_at=None,
    created_at=0.0,
)


def journal(*lines: tuple[float, EventType, str, dict[str, Any]]) -> list[Event]:
    return [Event(seq, kind, path, at, data) for seq, (at, kind, path, data) in enumerate(lines)]


def added(
    at: float, path: str, kind: str = "generate", **data: Any
) -> tuple[float, EventType, str, dict[str, Any]]:
    return at, EventType.NODE_ADDED, path, {"kind": kind, "label": f"node {path}", **data}


def settled(at: float, path: str, tokens: int = 0, outcome: str = "succeeded", **data: Any) -> Any:
    data = {"outcome": outcome, "usage": {"prompt_tokens": 10, "completion_tokens": tokens}, **data}
    return at, EventType.NODE_SETTLED, path, data


def test_tree_has_everything_that_the_journal_says() -> None:
    events = journal(
        (1.0, EventType.RUN_STARTED, "", {"planner": "vote"}),
        added(1.0, "0", request={"key": "k", "prompt": [["user", "hi"]]}),
        added(1.0, "1", kind="spawn"),
        added(1.1, "1.0", request={"key": "l"}),
        added(1.2, "2", kind="merge", inputs=["0", "1"], after=["0"]),
        (2.0, EventType.NODE_CHUNK, "0", {"text": "par"}),
        settled(2.5, "0", 7, value={"text": "part"}, worker="w", timing={"total": 1.5}),
        (2.6, EventType.RUN_RESUMED, "", {}),
        settled(3.0, "1.0", 4, outcome="failed", error={"code": "engine_timeout", "message": "late"}),
        (3.0, EventType.DECISION, "1", {"by": "beta", "verdict": "stop", "saw": {"n": 2}}),
        settled(3.1, "1", outcome="failed"),
        (3.2, EventType.LIMIT_REACHED, "", {"limit": "seconds"}),
        (3.3, EventType.RUN_FINISHED, "", {"outcome": "limited", "answer": {"text": "42"}}),
    )
    trace = Trace.of(TASK, events)
    assert trace.header == {"planner": "vote"}
    assert (trace.started_at, trace.finished_at, trace.resumed_at) == (1.0, 3.3, (2.6,))
    assert (trace.limit, trace.outcome, trace.answer) == ("seconds", "limited", {"text": "42"})
    assert [node.path for node in trace.nodes] == ["0", "1", "2"]
    assert [node.path for node in trace.walk()] == ["0", "1", "1.0", "2"]
    first, scope, merge = trace.nodes
    assert (first.state, first.value, first.worker, first.seconds) == (
        "succeeded",
        {"text": "part"},
        "w",
        1.5,
    )
    assert first.request == {"key": "k", "prompt": [["user", "hi"]]}
    assert scope.children[0].error == {"code": "engine_timeout", "message": "late"}
    assert (merge.state, merge.inputs, merge.after, merge.started_at) == ("waiting", ("0", "1"), ("0",), None)
    [decision] = trace.decisions
    assert (decision.path, decision.by, decision.verdict, decision.saw) == ("1", "beta", "stop", {"n": 2})
    assert trace.usage()["completion_tokens"] == 11


def test_node_that_waits_for_its_inputs_starts_later() -> None:
    events = journal(
        added(1.0, "0"),
        added(1.0, "1", inputs=["0"]),
        settled(2.0, "0"),
        (2.1, EventType.NODE_STARTED, "1", {"request": {"key": "k"}}),
        added(2.2, "2", inputs=["0"]),
    )
    waiting, immediate = Trace.of(TASK, events[:2]).nodes[1], Trace.of(TASK, events).nodes[2]
    assert (waiting.state, waiting.started_at) == ("waiting", None)
    assert (immediate.state, immediate.started_at) == ("running", 2.2)
    started = Trace.of(TASK, events).nodes[1]
    assert (started.state, started.started_at, started.request) == ("running", 2.1, {"key": "k"})


def test_journal_that_speaks_of_an_unknown_node_is_refused() -> None:
    with pytest.raises(JournalDamaged, match=r"task t: event 0 .*7\.1.*never added"):
        Trace.of(TASK, journal(settled(1.0, "7.1")))


def test_critical_path_follows_inputs_and_what_the_planner_awaited() -> None:
    #  0 (1 s, 10 tokens) -> 1 (3 s, 5 tokens) ─┐
    #  0                 -> 2 (1 s, 50 tokens) ─┴-> 3 (1 s, 1 token), added after 1 and 2
    events = journal(
        added(0.0, "0"),
        added(0.0, "1", inputs=["0"]),
        added(0.0, "2", inputs=["0"]),
        settled(1.0, "0", 10),
        (1.0, EventType.NODE_STARTED, "1", {}),
        (1.0, EventType.NODE_STARTED, "2", {}),
        settled(2.0, "2", 50),
        settled(4.0, "1", 5),
        added(4.0, "3", after=["1", "2"]),
        settled(5.0, "3", 1),
    )
    trace = Trace.of(TASK, events)
    seconds, tokens = trace.critical_path(), trace.critical_path("tokens")
    assert (seconds.paths, seconds.length, seconds.work) == (("0", "1", "3"), 5.0, 6.0)
    assert (tokens.paths, tokens.length, tokens.work) == (("0", "2", "3"), 61.0, 66.0)
    assert seconds.ratio == pytest.approx(1.2)


def test_scope_ends_with_its_children_and_cancelled_nodes_bound_nothing() -> None:
    events = journal(
        added(0.0, "0"),
        settled(2.0, "0", 1),
        added(2.0, "1", kind="spawn", after=["0"]),
        added(2.0, "1.0"),
        added(2.0, "1.1"),
        settled(5.0, "1.0", 1),
        settled(5.0, "1.1", 9, outcome="cancelled"),
        settled(5.0, "1", kind="spawn"),
        added(5.0, "2", inputs=["1"]),
        settled(6.0, "2", 1),
    )
    trace = Trace.of(TASK, events)
    path = trace.critical_path()
    assert (path.paths, path.length) == (("0", "1.0", "2"), 6.0)
    assert path.work == 9.0
    assert trace.usage()["wasted_tokens"] == 9


def test_deep_and_long_traces_need_no_recursion() -> None:
    def chain() -> Iterable[tuple[float, EventType, str, dict[str, Any]]]:
        for i in range(5000):
            yield added(float(i), str(i), after=[str(i - 1)] if i else [])
            yield settled(i + 1.0, str(i), 1)

    trace = Trace.of(TASK, journal(*chain()))
    assert trace.critical_path().length == 5000.0
    assert len(trace.critical_path().paths) == 5000


async def test_trace_of_a_stored_task(store: Store) -> None:
    claim = await store.start(NewTask(question="q", planner="direct"), "me", 30)
    writer = store.writer(claim.task.id, claim.fence)
    for event in journal(
        added(1.0, "0", request={"prompt": [["user", "p" * 1000]]}), settled(2.0, "0", 3, value={"text": "v"})
    ):
        writer.append(event)
    await store.finish(claim, TaskStatus.SUCCEEDED)
    trace = await Trace.read(store, claim.task.id)
    assert trace.task.status is TaskStatus.SUCCEEDED
    assert trace.nodes[0].request == {"prompt": [["user", "p" * 1000]]}


@pytest.mark.parametrize("make", [chain, arrivals])
def test_four_times_as_many_nodes_take_four_times_as_long(make: Callable[[int], list[Event]]) -> None:
    def read(events: list[Event]) -> None:
        trace = Trace.of(TASK, events)
        trace.critical_path()
        spans(trace)

    assert growth(make, read, 500) < 9


def test_a_trace_grows_with_its_journal_alone() -> None:
    """A node that comes after thousands of others names a few of them, and all that are new."""
    trace = Trace.of(TASK, arrivals(4000))
    last = trace.nodes[-1]
    assert last.seen == ("1999",)
    assert last.after == tuple(str(number) for number in range(2000 - MOST, 2000))
    assert sum(len(node.seen) for node in trace.walk()) == 2000


def test_critical_path_counts_what_is_no_longer_named() -> None:
    """The longest of many nodes that a later one waited for bounds it, however long ago it was waited for."""
    lines = [added(0.0, str(number)) for number in range(200)]
    lines += [settled(90.0 if number == 0 else 1.0, str(number)) for number in range(200)]
    lines += [added(90.0, str(200 + number), after=[str(number)]) for number in range(200)]
    lines += [settled(91.0, "399")]
    path = Trace.of(TASK, journal(*lines)).critical_path()
    assert (path.paths, path.length) == (("0", "399"), 91.0)


def test_scopes_nested_thousands_deep_need_no_recursion() -> None:
    trace = Trace.of(TASK, nested(5000))
    assert sum(1 for _ in trace.walk()) == 5000
    assert len(trace.critical_path().paths) == 1
    assert (
        len(spans(trace)["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 5002
    )  # with those of the task and of its plan
