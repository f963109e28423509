"""How a run would have gone with one thing changed, from its trace alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.errors import InvalidRequest
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Result
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.reuse import Memo
from orchestrator.tasks.hindsight.difference import completion_tokens
from orchestrator.tasks.hindsight.recorders import Memory
from orchestrator.tasks.hindsight.replaying import setup_of
from storage.events import Event, EventType


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """How a run would have gone with one thing changed, as far as its trace can tell.

    ``tokens`` are the completion tokens of the results that it used, ``recorded_tokens`` those of the
    original run, cancelled branches included.
    """

    result: Result
    events: tuple[Event, ...]
    tokens: int
    recorded_tokens: int


async def counterfactual(
    task_id: str, events: Sequence[Event], find: FindPlanner, *, at: str, change: Change
) -> Counterfactual:
    """Repeat a run with ``change`` at node ``at``, using only results that the trace has.

    Raises:
        Unknown: the change needs tokens that were never generated; names the nodes.
        InvalidRequest: there is no such node, or it cannot be changed that way.
        Conflict: the journal does not hold a complete run.
    """
    check_change(events, at, change)
    setup = setup_of(task_id, events, find, {at: change})
    recorder = Memory()
    result = await setup.execute(setup.executor(recorder, memo=Memo(events)))
    reused = (event.data["reused"].get("usage") or {} for event in recorder.events if "reused" in event.data)
    tokens = sum(usage.get("completion_tokens", 0) for usage in reused)
    return Counterfactual(result, tuple(recorder.events), tokens, completion_tokens(events))


def check_change(events: Iterable[Event], at: str, change: Change) -> None:
    """Refuse a change that cannot be made.

    Raises:
        InvalidRequest: the trace has no node ``at``, or a node of its kind cannot be changed that way.
    """
    added = {event.path: event for event in events if event.type is EventType.NODE_ADDED}
    if at not in added:
        known = ", ".join(list(added)[:20]) or "none"
        raise InvalidRequest(f"the trace has no node {at!r}; it has {known}{' …' if len(added) > 20 else ''}")
    kind = added[at].data["kind"]
    if kind not in set(NodeKind):
        raise InvalidRequest(f"node {at} is of the kind {kind}, which this version does not know")
    change.check(at, NodeKind(kind))
