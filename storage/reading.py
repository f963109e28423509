"""Checks that stored events say what their readers need.

A database or a file may have been changed by somebody else. Its events are then still JSON, but may lack
what the vocabulary promises, and a reader that stumbles over that could not say where.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, NonNegativeInt, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from storage.errors import JournalDamaged
from storage.events import Event, EventType
from storage.store import Store

PATH = re.compile(r"\d++(?:\.\d++)*+", re.ASCII)
"""The path of a node: the numbers of the scopes that it is in, from the outermost, and its own."""

LATEST = 1e11
"""Times are seconds since 1970, and before this one, some three thousand years later."""

TURN_SECONDS = 0.005
"""How long a journal is checked before the other tasks of the event loop get a turn."""

_OF_NODES = frozenset({EventType.NODE_STARTED, EventType.NODE_CHUNK, EventType.NODE_SETTLED})
_ONE_OF_SEVERAL = re.compile(r"\.(?:constrained-\w+|literal\[.*\])\Z", re.DOTALL)
"""How the library marks which of several forms of a value a problem is about."""
_EXACT = ConfigDict(extra="forbid", strict=True)


@with_config(_EXACT)
class _Usage(TypedDict, total=False):
    prompt_tokens: NonNegativeInt
    cached_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt
    reasoning_tokens: NonNegativeInt


@with_config(_EXACT)
class _Failure(TypedDict):
    code: str
    message: str
    path: NotRequired[str]
    retryable: NotRequired[bool]


class _Score(TypedDict):
    token: str
    logprob: float
    top: dict[str, float]


@with_config(_EXACT)
class _Call(TypedDict):
    id: str
    name: str
    arguments: str


class _Completion(TypedDict):
    text: str
    finish_reason: str
    token_ids: NotRequired[list[int]]
    logprobs: NotRequired[list[_Score]]
    confidences: NotRequired[list[float]]
    entropies: NotRequired[list[float]]
    reasoning: NotRequired[str]
    cached: NotRequired[bool]
    calls: NotRequired[list[_Call]]


class _Request(TypedDict):
    key: NotRequired[str]
    seed: NotRequired[int | None]
    prompt: NotRequired[list[tuple[str, str] | tuple[str, str, list[_Call]]]]
    sampling: NotRequired[dict[str, Any]]
    tool: NotRequired[str]


class _Reused(TypedDict):
    usage: NotRequired[_Usage | None]


class _RunStarted(TypedDict):
    planner: str
    versions: NotRequired[dict[str, Any]]
    capabilities: NotRequired[dict[str, Any]]
    sampling: NotRequired[dict[str, Any]]
    changes: NotRequired[dict[str, dict[str, Any]]]


class _NodeStarted(TypedDict):
    request: NotRequired[_Request | None]


class _NodeAdded(_NodeStarted):
    kind: str
    label: NotRequired[str]
    inputs: NotRequired[list[str]]
    after: NotRequired[list[str]]
    ahead: NotRequired[str | None]
    held: NotRequired[bool]


class _NodeChunk(TypedDict):
    text: str


class _NodeSettled(TypedDict):
    outcome: Literal["succeeded", "failed", "cancelled"]
    error: NotRequired[dict[str, Any] | None]
    usage: NotRequired[_Usage]
    timing: NotRequired[dict[str, float]]
    worker: NotRequired[str | None]
    reused: NotRequired[_Reused | None]


class _Decision(TypedDict):
    by: str
    saw: NotRequired[dict[str, Any] | None]


class _LimitReached(TypedDict):
    limit: str
    error: NotRequired[_Failure]
    turn: NotRequired[int]


class _Answer(TypedDict):
    text: str
    claim: NotRequired[str | None]
    undecided: NotRequired[str | None]


class _RunFinished(TypedDict):
    outcome: str
    answer: NotRequired[_Answer | None]
    error: NotRequired[dict[str, Any] | None]


_SAYS: Mapping[EventType, TypeAdapter[Any]] = {
    EventType.RUN_STARTED: TypeAdapter(_RunStarted),
    EventType.NODE_ADDED: TypeAdapter(_NodeAdded),
    EventType.NODE_STARTED: TypeAdapter(_NodeStarted),
    EventType.NODE_CHUNK: TypeAdapter(_NodeChunk),
    EventType.NODE_SETTLED: TypeAdapter(_NodeSettled),
    EventType.DECISION: TypeAdapter(_Decision),
    EventType.LIMIT_REACHED: TypeAdapter(_LimitReached),
    EventType.RUN_RESUMED: TypeAdapter(dict[str, Any]),
    EventType.RUN_FINISHED: TypeAdapter(_RunFinished),
}
_FAILED, _COMPLETION = TypeAdapter(_Failure), TypeAdapter(_Completion)


class Reading:
    """Checks the events of one task as they pass by in order."""

    def __init__(self, task_id: str) -> None:
        self._task_id = task_id
        self._kinds: dict[str, str] = {}
        self._asked: set[str] = set()
        self._count = 0

    def check(self, event: Event) -> None:
        """Refuse an event that a reader could not understand.

        Raises:
            JournalDamaged: names the task, the event, and what is wrong with it.
        """
        if event.seq != self._count:
            raise damaged(self._task_id, event, f"event {self._count} is missing before it")
        self._count += 1
        at: object = event.at
        if not (isinstance(at, int | float) and 0 <= at < LATEST):
            raise damaged(self._task_id, event, "at: it should be a time, in seconds since 1970")
        try:
            _SAYS[event.type].validate_python(event.data)
            if event.path and event.path not in self._kinds and PATH.fullmatch(event.path) is None:
                raise damaged(self._task_id, event, "no node has such a path")
            if event.type is EventType.NODE_ADDED:
                if unknown := [path for path in event.data.get("inputs", ()) if path not in self._kinds]:
                    raise damaged(self._task_id, event, f"its input {min(unknown)} was never added")
                self._kinds[event.path] = event.data["kind"]
            elif event.type in _OF_NODES:
                self._check_node(event)
            if "key" in (event.data.get("request") or {}):
                self._asked.add(event.path)
        except ValidationError as error:
            raise damaged(self._task_id, event, explained(error)) from None

    def _check_node(self, event: Event) -> None:
        kind = self._kinds.get(event.path)
        if kind is None:
            raise damaged(self._task_id, event, "the node was never added")
        if event.type is not EventType.NODE_SETTLED or not event.data.get("external"):
            return
        if event.path not in self._asked:
            raise damaged(self._task_id, event, "its node had asked for nothing")
        if event.data["outcome"] == "failed":
            _FAILED.validate_python(event.data.get("error"))
        elif event.data["outcome"] == "succeeded":
            if "value" not in event.data:
                raise damaged(self._task_id, event, "value: Field required")
            if kind == "generate":
                _COMPLETION.validate_python(event.data["value"])


def checked(task_id: str, events: Iterable[Event]) -> Iterator[Event]:
    """The events, each once it has been checked. Raises like :meth:`Reading.check`."""
    reading = Reading(task_id)
    for event in events:
        reading.check(event)
        yield event


async def read_journal(store: Store, task_id: str) -> list[Event]:
    """The whole journal of a task, checked.

    Raises:
        TaskNotFound: there is no task with that id.
        JournalDamaged: an event cannot be read or understood.
    """
    reading, events = Reading(task_id), []
    turn = monotonic()
    async for event in store.read(task_id):
        reading.check(event)
        events.append(event)
        if monotonic() - turn > TURN_SECONDS:
            await asyncio.sleep(0)
            turn = monotonic()
    return events


def damaged(task_id: str, event: Event, why: str) -> JournalDamaged:
    """An event of a task's journal is not as it was written."""
    node = f" of node {event.path}" if event.path else ""
    return JournalDamaged(f"task {task_id}: event {event.seq} ({event.type}{node}) is damaged: {why}")


def explained(error: ValidationError, *, most: int | None = 3, whole: str = "data") -> str:
    """The first problems of a validation, on one line; of a value that may be one of several, as one."""
    told: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_input=False):
        where = ".".join(map(str, problem["loc"]))
        told.setdefault(_ONE_OF_SEVERAL.sub("", where) or whole, []).append(problem["msg"])
    return "; ".join(f"{where}: {' or '.join(said)}" for where, said in list(told.items())[:most])
