"""A run as its events have told it so far: its steps, its votes, and how long it may still take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean

from orchestrator.consensus.stopping import RuleError, parse_rule
from orchestrator.runtime.nodes import NodeKind
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType

SCOPES = frozenset({NodeKind.SPAWN, NodeKind.VOTE})
WORK = frozenset({NodeKind.GENERATE, NodeKind.TOOL})


@dataclass
class Row:
    """A node as the view shows it. Times are in seconds since the epoch."""

    path: str
    kind: str
    label: str
    state: str = "waiting"
    tokens: int = 0
    started_at: float | None = None
    settled_at: float | None = None
    cluster: int | None = None
    claim: str = ""
    remark: str = ""
    text: str = ""
    """The end of what it has said, while it runs."""


@dataclass
class Vote:
    """The state of a vote, as of its last decision; ``most`` is how many branches it may have, if known."""

    most: int | None = None
    counts: list[int] = field(default_factory=list)
    claims: dict[int, str] = field(default_factory=dict)
    entropy: float | None = None
    verdict: str = ""


class RunView:
    """What is known of a run so far; pass its events to :meth:`take` in order."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._branches: dict[tuple[str, str], Row] = {}  # by scope and label
        self.votes: dict[str, Vote] = {}
        self.planner = ""
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.outcome = ""

    def take(self, item: Event | Progress) -> None:
        """Fold in an event or the progress of a call."""
        if isinstance(item, Progress):
            if row := self.rows.get(item.path):
                row.tokens, row.text = item.tokens, item.text
            return
        data = item.data
        match item.type:
            case EventType.RUN_STARTED:
                self.planner, self.started_at = str(data.get("planner", "")), item.at
            case EventType.NODE_ADDED:
                row = self.rows[item.path] = Row(item.path, str(data["kind"]), str(data.get("label", "")))
                self._branches.setdefault((item.path.rpartition(".")[0], row.label), row)
                if row.kind == NodeKind.VOTE:
                    self.votes[item.path] = Vote(_most(row.label))
                if "request" in data or (row.kind in SCOPES and not data.get("inputs")):
                    row.state, row.started_at = "running", item.at
            case EventType.NODE_STARTED:
                self.rows[item.path].state, self.rows[item.path].started_at = "running", item.at
            case EventType.NODE_SETTLED:
                self._settled(self.rows[item.path], item)
            case EventType.DECISION:
                self._decided(item)
            case EventType.RUN_FINISHED:
                self.finished_at, self.outcome = item.at, str(data["outcome"])

    def _settled(self, row: Row, event: Event) -> None:
        data = event.data
        row.state, row.settled_at = str(data["outcome"]), event.at
        row.tokens = (data.get("usage") or {}).get("completion_tokens", row.tokens)
        if row.state == "failed":
            row.remark = str(data["error"]["message"])
        elif row.state == "succeeded" and row.kind == NodeKind.TOOL:
            row.remark = str(data.get("value"))

    def _decided(self, event: Event) -> None:
        saw = event.data.get("saw") or {}
        vote = self.votes.setdefault(event.path, Vote())
        vote.verdict = f"{event.data['by']}: {event.data.get('verdict')}"
        if not isinstance(saw.get("counts"), list):
            return
        vote.counts, vote.entropy = saw["counts"], saw.get("entropy")
        row = self._branches.get((event.path, f"branch {saw.get('branch')}"))
        if isinstance(cluster := saw.get("cluster"), int):
            vote.claims.setdefault(cluster, str(saw.get("claim", "")))
            if row is not None:
                row.cluster, row.claim = cluster, vote.claims[cluster]
        elif row is not None:
            row.claim = "no answer"

    @property
    def tokens(self) -> int:
        """Completion tokens so far."""
        return sum(row.tokens for row in self.rows.values())

    def headline(self, now: float) -> str:
        """How far the run is, in a line: steps, tokens, seconds, and what is expected of it."""
        work = [row for row in self.rows.values() if row.kind in WORK]
        done = sum(row.settled_at is not None for row in work)
        seconds = max(0.0, (self.finished_at or now) - (self.started_at or now))
        parts = [
            self.planner,
            f"{done} of {len(work)} steps",
            f"{self.tokens:,} tokens",
            f"{seconds:.1f} s",
        ]
        if self.finished_at is None:
            parts += self._expected(now)
        return " · ".join(parts)

    def _expected(self, now: float) -> Iterator[str]:
        """What is known of the end: how many branches the votes may have, and the time of what runs."""
        for path, vote in self.votes.items():
            if vote.most is not None and self.rows[path].settled_at is None:
                ended = [row for row in self.rows.values() if row.settled_at and _is_branch(row, path)]
                yield f"{len(ended)} of at most {vote.most} branches"
        if (left := self.seconds_left(now)) is not None:
            yield f"about {spell(left)} more for what runs"

    def seconds_left(self, now: float) -> float | None:
        """How long the calls that run will take, if they become as long as those that have ended.

        Siblings are compared: branches of one vote, or calls of one scope. None if there is nothing to go by.
        """
        calls = [row for row in self.rows.values() if row.kind == NodeKind.GENERATE and row.started_at]
        running = [row for row in calls if row.state == "running"]
        begun = min((row.started_at or now for row in calls), default=now)
        tokens = sum(row.tokens for row in calls)
        if not running or not tokens or now <= begun:
            return None
        together, longest = 0.0, 0.0
        for row in running:
            scope = row.path.rpartition(".")[0]
            ended = [
                other.tokens
                for other in calls
                if other.state == "succeeded" and other.tokens and other.path.rpartition(".")[0] == scope
            ]
            if not ended:
                return None
            missing = fmean([max(0, length - row.tokens) for length in ended])
            together += missing
            if row.tokens:
                longest = max(longest, missing * (now - (row.started_at or now)) / row.tokens)
        # Calls at the same time share a machine, or each has its own: the slower of both is expected.
        return max(longest, together * (now - begun) / tokens)


def _is_branch(row: Row, vote: str) -> bool:
    """Whether a step is a branch of the vote of that path, and not a further segment of it or a probe."""
    return row.path.rpartition(".")[0] == vote and row.label.startswith("branch ") and "," not in row.label


def _most(rule: str) -> int | None:
    """How many branches a rule may start; None if it is none that is known here."""
    with suppress(RuleError):
        return parse_rule(rule).limit
    return None


def spell(seconds: float) -> str:
    """A time that is not known exactly: ``7 s``, ``2 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
