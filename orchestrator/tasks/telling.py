"""How a run goes, told in short lines while it goes: what chat programs and assistants show of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrator.runtime.nodes import NodeKind
from orchestrator.visible import one_line
from storage.events import Event, EventType

LONGEST = 80
"""The most characters of what is quoted in a line."""

_BRANCH = re.compile(r"branch (\d+)")

_STEPS = {
    "survey": "Looking at which methods suit the question.",
    "check": "Checking the arithmetic of a branch, and that it answers all that is asked.",
    "program": "Computing the program that a branch wrote.",
    "schema": "Checking the JSON against its schema.",
    "router": "Asking the model which kind of answer is wanted.",
    "format": "Writing the answer as JSON.",
}
"""What the steps do that have a bare name in the trace."""

_ENOUGH = {
    "agreed": "the branches agree",
    "budget": "the tokens that the vote may take are spent",
    "deadline": "the time that the vote may take is over",
    "decided": "those that still run could not change the answer",
    "exhausted": "no more branches may be asked",
    "given_up": "further branches would hardly bring agreement",
    "sure": "the first look is sure",
    "verified": "an answer was verified",
}
"""Why a vote ended, where a stop rule says it in a single word."""


class Telling:
    """Puts the events of one run into words, in their order."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}

    def lines(self, event: Event) -> Iterator[str]:
        """What there is to tell of an event."""
        match event.type:
            case EventType.NODE_ADDED:
                yield from self._added(event)
            case EventType.DECISION:
                yield from _decided(event.data)
            case EventType.NODE_SETTLED:
                yield from self._settled(event)
            case EventType.LIMIT_REACHED:
                yield f"The bound of {event.data.get('limit')} is reached."
            case EventType.RUN_RESUMED:
                yield "Another process goes on with the run."

    def _added(self, event: Event) -> Iterator[str]:
        kind, label = str(event.data.get("kind")), str(event.data.get("label", ""))
        self._labels[event.path] = _named(label)
        if kind == NodeKind.VOTE:
            yield "A vote begins."
        elif _BRANCH.fullmatch(label):
            yield f"{_named(label)} begins."
        elif told := _STEPS.get(label):
            yield told
        elif kind == NodeKind.TOOL:
            yield f"Calling the tool {_cut(label)}."
        elif kind == NodeKind.GENERATE and label and label != "answer" and "," not in label:
            yield f"Step: {_cut(label)}."

    def _settled(self, event: Event) -> Iterator[str]:
        if event.data.get("outcome") == "failed":
            error = event.data.get("error")
            why = error.get("message") if isinstance(error, dict) else ""
            yield f"{self._labels.get(event.path) or 'A step'} failed: {_cut(str(why))}."


def _named(label: str) -> str:
    """What a node is called at the beginning of a sentence; branches are counted from 1."""
    if branch := _BRANCH.match(label):
        return f"Branch {int(branch[1]) + 1}{_cut(label[branch.end() :])}"
    return f"{label[:1].upper()}{_cut(label)[1:]}"


def _decided(data: Any) -> Iterator[str]:
    by, verdict = str(data.get("by", "")), str(data.get("verdict", ""))
    saw = data.get("saw") if isinstance(data.get("saw"), dict) else {}
    if by == "merge":
        return
    if isinstance(branch := saw.get("branch"), int):
        yield _answered(branch, saw)
    elif (reason := saw.get("reason")) is not None:
        yield f"{by.capitalize()}: {_cut(verdict)}, since {_cut(str(reason), 2 * LONGEST)}."
    elif verdict == "expand" and (more := saw.get("by")):
        yield f"They do not agree yet: up to {more} more begin."
    stops, _, why = verdict.partition(": ")
    if stops in ("stop", "finish") and why:
        yield f"Enough: {_ENOUGH.get(why) or _cut(why)}."


def _answered(branch: int, saw: Any) -> str:
    silent = saw.get("cluster") is None
    said = "has no answer" if silent else f"says {_cut(str(saw.get('claim', '')))}"
    counts = saw.get("counts")
    parts = []
    if isinstance(counts, list) and counts and sum(counts) > 1:
        parts.append(f"{max(counts)} of {sum(counts)} agree")
    if isinstance(entropy := saw.get("entropy"), int | float):
        parts.append(f"entropy {entropy:.2f}")
    told = f" ({', '.join(parts)})" if parts else ""
    return f"Branch {branch + 1} {said}{told}."


def sentence(text: str) -> str:
    """What says of an answer why it may be trusted, as a line of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def _cut(text: str, most: int = LONGEST) -> str:
    """A text in one line, cut where it is long."""
    line = one_line(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"
