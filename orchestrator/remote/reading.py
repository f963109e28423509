"""What a service sends of tasks and their traces, read into the values that this process has of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.bodies import TaskBody
from orchestrator.validation import explain
from storage.events import Event, EventType
from storage.tasks import Task
from storage.trace import Decision, Trace, TraceNode

T = TypeVar("T")


class Strange(Exception):
    """A service says something that this version does not understand."""


def read(make: Callable[[Any], T], body: str | bytes) -> T:
    """What ``make`` makes of the JSON in a body.

    Raises:
        Strange: it cannot make anything of it.
    """
    try:
        return make(json.loads(body))
    except ValidationError as error:
        raise Strange(explain(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Strange(f"{type(error).__name__}: {error}") from error


_TASK = frozenset(field.name for field in fields(Task)) & TaskBody.model_fields.keys()
_RUN = frozenset(field.name for field in fields(Trace)) - {"task", "resumed_at", "decisions", "nodes"}
_PATHS = ("inputs", "after", "seen")
_NODE = frozenset(field.name for field in fields(TraceNode)) - {*_PATHS, "children"}


def task_of(said: Any) -> Task:
    """A task as a service shows it. What it does not show, such as the idempotency key, is not there.

    Raises:
        ValueError: it is none.
    """
    body = TaskBody.model_validate(said)
    told: dict[str, Any] = {name: getattr(body, name) for name in _TASK}
    told |= {name: said[name] for name in ("solution", "error")}  # with what a newer service says
    return Task(**{"idempotency_key": None, "parent_id": None, "fork_at": None, **told})


def event_of(said: Any) -> Event:
    """An event of a journal.

    Raises:
        ValueError, KeyError, TypeError: it is none, or one that this version does not know.
    """
    return Event(int(said["seq"]), EventType(said["type"]), said["path"], float(said["at"]), said["data"])


def page_of(said: Any) -> tuple[list[Task], str | None]:
    """A page of tasks, and the cursor of the next one.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    return [task_of(each) for each in said["tasks"]], said["next"]


def trace_of(said: Mapping[str, Any]) -> Trace:
    """The trace as a service shows it.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    return Trace(
        task=task_of(said["task"]),
        resumed_at=tuple(said["resumed_at"]),
        decisions=tuple(Decision(**each) for each in said["decisions"]),
        nodes=_nodes(said["nodes"]),
        **{name: said[name] for name in _RUN},
    )


def _nodes(said: Any) -> tuple[TraceNode, ...]:
    """The nodes with their children; takes no stack for the depth of the tree."""
    made: dict[int, TraceNode] = {}
    pending = [(each, False) for each in said]
    while pending:
        each, children_made = pending.pop()
        if children_made:
            made[id(each)] = _node(each, tuple(made[id(child)] for child in each["children"]))
        else:
            pending.append((each, True))
            pending += [(child, False) for child in each["children"]]
    return tuple(made[id(each)] for each in said)


def _node(said: Mapping[str, Any], children: tuple[TraceNode, ...]) -> TraceNode:
    told = {name: said[name] for name in _NODE} | {name: tuple(said[name]) for name in _PATHS}
    return TraceNode(**told, children=children)
