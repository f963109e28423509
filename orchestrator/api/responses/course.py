"""The course of a run in words: lines that say what was begun, who answered what, and why it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.consensus.stopping import RuleError, parse_rule
from orchestrator.runtime.nodes import NodeKind
from storage.events import Event, EventType
from workers.redaction import redacted
from workers.showing import cut

MOST_LINES = 400
"""How many lines are told of a run; of a longer one, the last says where the rest is."""

LONGEST_LINE = 300
"""The most characters of a line; longer ones are cut."""

SHORTEST_ENTROPY = 0.005
"""Entropies below are told as 0, in nats."""

SEGMENT = ","
"""What the label of a further segment of a branch has, and that of a branch does not."""


class Course:
    """What is told of a run, as a function of its events alone; pass them to :meth:`take` in order."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._cancelled: dict[str, int] = {}  # branches, by vote
        self._told = 0

    def take(self, event: Event) -> list[str]:
        """The lines that an event gives reason for, each without a line end."""
        lines = []
        for line in self._lines(event):
            if self._told < MOST_LINES:
                lines.append(cut(" ".join(line.split()), LONGEST_LINE))
            elif self._told == MOST_LINES:
                lines.append("… and more, which the trace has")
            self._told += 1
        return lines

    def _lines(self, event: Event) -> Iterator[str]:
        match event.type:
            case EventType.RUN_STARTED:
                yield f"planner {_text(event.data.get('planner')) or 'unknown'}"
            case EventType.NODE_ADDED:
                yield from self._added(event)
            case EventType.NODE_SETTLED:
                yield from self._settled(event)
            case EventType.DECISION:
                yield from self._decided(event)
            case EventType.LIMIT_REACHED:
                yield f"ended early: {_text(event.data.get('limit'))}"
            case EventType.RUN_RESUMED:
                yield "interrupted; another process goes on from here"

    def _added(self, event: Event) -> Iterator[str]:
        kind, label = _text(event.data.get("kind")), _text(event.data.get("label"))
        self._kinds[event.path], self._labels[event.path] = kind, label
        match kind:
            case NodeKind.VOTE:
                most = _most(label)
                yield f"a vote begins{'' if most is None else f', of at most {most} branches'}: {label}"
            case NodeKind.GENERATE | NodeKind.TOOL if self._kinds.get(_scope(event.path)) == NodeKind.VOTE:
                if _is_branch(kind, label):
                    yield f"{label} begins"
            case NodeKind.GENERATE | NodeKind.SPAWN if label:
                yield f"{label} begins"
            case NodeKind.TOOL:
                yield f"tool {label} is used"

    def _settled(self, event: Event) -> Iterator[str]:
        kind, label = self._kinds.get(event.path, ""), self._labels.get(event.path, "")
        outcome = event.data.get("outcome")
        if outcome == "failed":
            error = event.data.get("error")
            message = _text(error.get("message")) if isinstance(error, Mapping) else ""
            yield f"{label or kind} failed: {redacted(message)}"
        elif outcome == "cancelled" and _is_branch(kind, label):
            vote = _scope(event.path)
            self._cancelled[vote] = self._cancelled.get(vote, 0) + 1
        elif outcome == "succeeded" and kind == NodeKind.VOTE:
            yield from self._elected(event)

    def _elected(self, event: Event) -> Iterator[str]:
        if count := self._cancelled.get(event.path):
            yield f"{count} {'branch' if count == 1 else 'branches'} cancelled"
        answer = event.data.get("value")
        if isinstance(answer, Mapping) and (claim := _text(answer.get("claim"))):
            yield f"the vote has decided: {claim}"

    def _decided(self, event: Event) -> Iterator[str]:
        by, verdict = _text(event.data.get("by")), _text(event.data.get("verdict"))
        saw = event.data.get("saw")
        saw = saw if isinstance(saw, Mapping) else {}
        if self._kinds.get(event.path) == NodeKind.VOTE:
            if "branch" in saw and isinstance(counts := saw.get("counts"), list):
                yield _vote(saw, counts)
            if by != "merge" and verdict.startswith("stop"):
                yield f"the vote ends: {verdict.removeprefix('stop: ')}"
        elif verdict:
            reason = _text(saw.get("reason"))
            yield f"{by}: {verdict}{f' ({reason})' if reason else ''}"


def _vote(saw: Mapping[str, Any], counts: list[Any]) -> str:
    """What a branch has answered, and how the vote stands with it."""
    if saw.get("cluster") is None:
        return f"branch {saw['branch']}: no answer"
    numbers = [count for count in counts if isinstance(count, int | float)]
    agree = f"{max(numbers, default=0)} of {sum(numbers)} agree"
    line = f"branch {saw['branch']}: {_text(saw.get('claim'))}; {agree}"
    entropy = saw.get("entropy")
    if isinstance(entropy, int | float):
        line += f", entropy {0.0 if entropy < SHORTEST_ENTROPY else entropy:.2f}"
    return line


def _is_branch(kind: str, label: str) -> bool:
    """Whether a node is a branch, and not a further segment of one or a probe of it."""
    return kind == NodeKind.GENERATE and label.startswith("branch ") and SEGMENT not in label


def _scope(path: str) -> str:
    return path.rpartition(".")[0]


def _most(rule: str) -> int | None:
    """How many branches a rule may start; None if it is none that is known here."""
    with suppress(RuleError):
        return parse_rule(rule).limit
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
