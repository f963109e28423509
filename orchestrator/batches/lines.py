"""The lines of a batch: which task each asks for, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.batches.records import Record
from orchestrator.errors import AnabranchError, InvalidRequest
from orchestrator.tasks.requests import TaskRequest
from storage.tasks import NewTask

Id = str | int
"""What a line is called by whoever wrote it; or its number."""

LONGEST_ID = 255

APART = {
    "tenant": "all lines of a batch are of one tenant",
    "priority": "all lines of a batch wait alike",
    "idempotency_key": "the lines of a batch have keys of their own",
    "webhook": "register a webhook for the tenant instead",
    "asked_by": "it is what a protocol keeps",
}
"""The fields of a request that a line cannot give, and why."""

FIELDS = frozenset(TaskRequest.model_fields) - APART.keys()
"""The fields of a request that a line can give."""

Ask = Callable[[Mapping[str, Any]], TaskRequest]
"""The request for the fields of one line; raises InvalidRequest."""

ReadBody = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The fields of a request for the body of a line of OpenAI's form; raises InvalidRequest."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a batch: a task that it asks for, or the error of a line that asks for none.

    ``carried`` is what the line has besides, which its result repeats.
    """

    number: int
    id: Id
    task: NewTask | AnabranchError
    carried: Mapping[str, Any] = field(default_factory=dict)


def read_lines(
    records: Iterable[Record],
    ask: Ask,
    check: Callable[[TaskRequest], NewTask],
    *,
    carry: Collection[str] = (),
    bodies: Mapping[str, ReadBody] | None = None,
) -> list[Line]:
    """The lines of a batch, all of them checked.

    ``bodies`` reads lines of OpenAI's form (``custom_id``, ``method``, ``url``, ``body``), by their ``url``.

    Raises:
        InvalidRequest: two lines have the same id, so that nobody could tell their results apart.
    """
    found: dict[str, int] = {}
    lines = []
    for record in records:
        id: Id = record.number
        task: NewTask | AnabranchError
        try:
            id = id_of(record)
            if record.problem is not None:
                raise InvalidRequest(record.problem)
            task = check(ask(_fields(record.members, carry, bodies or {})))
        except AnabranchError as error:
            task = error
        first = found.setdefault(str(id), record.number)
        if first != record.number:
            raise InvalidRequest(
                f"line {record.number}: its id {str(id)[:40]!r} is that of line {first}; each needs its own"
            )
        carried = {name: record.members[name] for name in carry if name in record.members}
        lines.append(Line(record.number, id, task, carried))
    return lines


def id_of(record: Record) -> Id:
    """What a line is called: its ``id`` or ``custom_id``, or else its number.

    Raises:
        InvalidRequest: that is no text and no whole number, or the line says two.
    """
    given = [record.members[name] for name in ("id", "custom_id") if record.members.get(name) is not None]
    if not given:
        return record.number
    id = given[0]
    if isinstance(id, bool) or not isinstance(id, str | int) or not 0 < len(str(id)) <= LONGEST_ID:
        raise InvalidRequest(f"id: it must be a whole number, or a text of 1 to {LONGEST_ID} characters")
    if given[1:] not in ([], [id]):
        raise InvalidRequest("id and custom_id are two names for the same; give one of them")
    return id


def fields_of(members: Mapping[str, Any], advice: str = "") -> Mapping[str, Any]:
    """The fields of a request that a line gives; ``advice`` is what to do about others.

    Raises:
        InvalidRequest: there is no such field, or a line cannot give it.
    """
    for name in members:
        if name in APART:
            raise InvalidRequest(f"{name}: a line cannot give it, since {APART[name]}")
        if name not in FIELDS:
            raise InvalidRequest(f"{name[:40]}: there is no such field{advice.format(name[:40])}")
    return members


def _fields(
    members: Mapping[str, Any], carry: Collection[str], bodies: Mapping[str, ReadBody]
) -> Mapping[str, Any]:
    """The fields of a request that a line gives, be it as the body of a request of OpenAI's form."""
    apart = {"id", "custom_id", *carry}
    rest = {name: value for name, value in members.items() if name not in apart}
    if "body" in rest or "url" in rest:
        return _body(rest, bodies)
    return fields_of(rest, "; `--carry {}` repeats it in the result")


def _body(members: Mapping[str, Any], bodies: Mapping[str, ReadBody]) -> Mapping[str, Any]:
    """The fields of a request for a line of OpenAI's form."""
    given = dict(members)
    url, method, body = given.pop("url", None), given.pop("method", "POST"), given.pop("body", None)
    if given:
        other = next(iter(given))[:40]
        raise InvalidRequest(f"{other}: besides a body, a line has only custom_id, method and url")
    if method != "POST":
        raise InvalidRequest(f"method: it must be 'POST', not {str(method)[:40]!r}")
    if not isinstance(url, str) or url not in bodies:
        known = ", ".join(sorted(bodies)) or "nothing yet"
        raise InvalidRequest(f"url: {str(url)[:80]!r} cannot be asked in a batch; this can: {known}")
    if not isinstance(body, dict):
        raise InvalidRequest("body: it must be an object")
    return bodies[url](body)
