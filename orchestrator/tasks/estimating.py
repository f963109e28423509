"""What a vote would cost, predicted from the branches of stored runs, and the width that a budget allows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.consensus.forecast import (
    VOTES,
    Drawn,
    Forecast,
    Pace,
    Recorded,
    forecast,
    running_beside,
)
from orchestrator.consensus.stopping import DEFAULT_RULE, RuleError, StopRule, parse_rule
from orchestrator.errors import InvalidRequest, translated
from orchestrator.planning.finding import FindPlanner
from orchestrator.planning.planner import Planner
from orchestrator.runtime.values import Budget
from orchestrator.tasks.requests import TaskRequest, budget_of
from storage.errors import JournalDamaged
from storage.listing import Place
from storage.store import Store
from storage.tasks import Task, TaskStatus
from storage.trace import Trace, TraceNode

AUTO = "auto"
"""The value of the option ``n`` of a vote that its budget is to choose."""

WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16)
"""The widths that are predicted unless others are asked for; of these, a budget chooses one."""

QUICK = 250
"""Votes that are drawn for a width where a run waits for it: half a second for all widths."""

USUAL = 8
"""The width of a vote for which too little is recorded to choose one."""

FEWEST_BRANCHES = 20
FEWEST_VOTES = 5
"""Fewer than these tell too little."""

BRANCHES_ARE_ALIKE = ("temperature", "max_tokens", "voters")
"""The options that must be the same for the branches of one run to tell of those of another."""

MOST_TASKS = 200
"""How many stored runs are looked at, the newest first."""

LARGEST = 8_000_000
"""Bytes of a journal; larger ones are left out."""

_BRANCH = re.compile(r"branch (\d+)\Z")


class TooFew(InvalidRequest):
    """Too few branches are recorded to predict from."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Which stored runs a prediction rests on: those of a planner and a model, all tenants or one.

    Without a ``model``, it is that of the newest run. ``options`` are what those of the runs must be, such as
    ``max_tokens``; those that a run was not given count with their defaults.
    """

    planner: str = "vote"
    model: str | None = None
    tenant: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be expected of votes of several widths by one rule, and what that rests on.

    ``branches`` have come to their end, ``cancelled`` ones have not. ``paces`` are the seconds for a token by
    how many branches ran beside each other, and ``prompt_tokens`` the mean of a branch's.
    """

    rule: str
    planner: str
    model: str
    rows: tuple[Forecast, ...]
    votes: int
    branches: int
    cancelled: int
    prompt_tokens: float
    paces: tuple[tuple[float, float], ...]

    def widest(self, budget: Budget) -> Forecast | None:
        """The widest vote that keeps within the seconds and tokens of a budget nine in ten times, if any."""
        fitting = [row for row in self.rows if self._fits(row, budget)]
        return max(fitting, key=lambda row: row.width, default=None)

    def _fits(self, row: Forecast, budget: Budget) -> bool:
        tokens = row.tokens_p90.value + self.prompt_tokens * row.started
        in_time = budget.seconds is None or row.seconds_p90.value <= budget.seconds
        return in_time and (budget.tokens is None or tokens <= budget.tokens)


async def estimate(
    store: Store,
    find: FindPlanner,
    basis: Basis,
    *,
    rule: str = DEFAULT_RULE,
    widths: Sequence[int] = WIDTHS,
    seed: int = 0,
    draws: int = VOTES,
) -> Estimate:
    """Predict votes by ``rule`` from stored runs; the same for the same runs and ``seed``.

    For each width, so many votes are drawn from the recorded branches, or one for each vote recorded.

    Raises:
        TooFew: too few branches are recorded; says how many there are, and of what.
        InvalidRequest: there is no such rule, it looks at more than answers, or sets a width of its own.
        UnknownPlanner: there is no such planner.
    """
    rules = {width: _rule(rule, width) for width in sorted(set(widths))}
    with translated():
        found = _Found(basis, find)
        for task in await _newest(store, basis):
            if await store.size(task.id) <= LARGEST:
                try:
                    found.take(await Trace.read(store, task.id))
                except JournalDamaged:
                    continue
    found.check()
    votes, pace = found.votes, found.pace

    def rows() -> tuple[Forecast, ...]:
        return tuple(forecast(each, n, votes, pace, seed, votes=draws) for n, each in rules.items())

    return Estimate(
        rule,
        basis.planner,
        found.model or "",
        await asyncio.to_thread(rows),
        len(found.votes),
        found.branches,
        sum(len(vote.branches) for vote in found.votes) - found.branches,
        found.prompt_tokens,
        found.pace.known,
    )


def _rule(spec: str, width: int) -> StopRule:
    """The rule for votes of that width. Raises InvalidRequest if they cannot be predicted."""
    try:
        rule = parse_rule(spec, width=width)
    except RuleError as error:
        raise InvalidRequest(str(error)) from None
    if rule.needs:
        needs = ", ".join(sorted(rule.needs))
        raise InvalidRequest(f"rule {spec} looks at {needs}; only rules that look at answers are predicted")
    if rule.limit != width:
        raise InvalidRequest(f"rule {spec} sets its width itself; leave that out to compare widths")
    return rule


async def _newest(store: Store, basis: Basis) -> list[Task]:
    """The newest runs of the planner that have succeeded and are no forks."""
    tasks: list[Task] = []
    before = None
    for _ in range(10):
        page = await store.list(
            tenant=basis.tenant, status=TaskStatus.SUCCEEDED, limit=MOST_TASKS, before=before
        )
        tasks += [task for task in page if task.planner == basis.planner and task.parent_id is None]
        if len(tasks) >= MOST_TASKS or len(page) < MOST_TASKS:
            break
        before = Place.of(page[-1])
    return tasks[:MOST_TASKS]


class _Found:
    """The votes that were found, and the pace at which their branches ran."""

    def __init__(self, basis: Basis, find: FindPlanner) -> None:
        self.votes: list[Recorded] = []
        self.model = basis.model
        self._basis = basis
        self._planner = find(basis.planner)
        self._measured: list[tuple[float, float]] = []

    @property
    def branches(self) -> int:
        """How many have come to their end."""
        return sum(branch.whole for vote in self.votes for branch in vote.branches)

    @property
    def pace(self) -> Pace:
        """How fast they ran."""
        return Pace.of(self._measured)

    @property
    def prompt_tokens(self) -> float:
        """Of a branch, on average."""
        return sum(vote.prompt_tokens for vote in self.votes) / len(self.votes)

    def take(self, trace: Trace) -> None:
        """Take in the votes of a run, if it is one of those that are wanted and went on without a break."""
        model = trace.header.get("capabilities", {}).get("model")
        if trace.resumed_at or not self._wanted(trace) or not isinstance(model, str):
            return
        self.model = self.model or model
        if model != self.model:
            return
        for node in trace.walk():
            if node.kind == "vote" and (vote := self._vote(trace, node)) is not None:
                self.votes.append(vote)

    def _wanted(self, trace: Trace) -> bool:
        try:
            had = options_of(self._planner, trace.header.get("options", {}))
        except InvalidRequest:  # of another version
            return False
        return all(name in had and had[name] == value for name, value in self._basis.options.items())

    def _vote(self, trace: Trace, node: TraceNode) -> Recorded | None:
        branches = _branches(node)
        if not branches:
            return None
        clusters = dict(_clusters(trace, node.path))
        spans = {
            at: (each.started_at, each.settled_at)
            for at, each in branches.items()
            if each.started_at is not None and each.settled_at is not None
        }
        beside = dict(running_beside(spans))
        drawn, prompts = [], []
        for at, branch in branches.items():
            whole = branch.state == "succeeded"
            first, total = branch.timing.get("first_token", 0.0), branch.timing.get("total")
            if whole and total is not None:
                prompts.append(branch.usage.get("prompt_tokens", 0))
                if branch.tokens > 1 and at in beside:
                    self._measured.append((beside[at], (total - first) / (branch.tokens - 1)))
            if whole or branch.tokens:
                drawn.append(Drawn(branch.tokens, first, clusters.get(at), whole))
        if not prompts:
            return None
        return Recorded(tuple(drawn), round(sum(prompts) / len(prompts)))

    def check(self) -> None:
        """Refuse to predict from too little. Raises TooFew."""
        if self.branches >= FEWEST_BRANCHES and len(self.votes) >= FEWEST_VOTES:
            return
        options = self._basis.options.items()
        told = "".join(f", {name}={value}" for name, value in options if value is not None)
        raise TooFew(
            f"there are {self.branches} branches of {len(self.votes)} votes to predict from (planner "
            f"{self._basis.planner}, model {self.model or 'any'}{told}); it takes at least "
            f"{FEWEST_BRANCHES} of {FEWEST_VOTES}: run some questions with the rule fixed first"
        )


def _branches(node: TraceNode) -> dict[int, TraceNode]:
    """The branches of a vote by number; none if one was reused, came from a cache, or is in pieces."""
    branches = {}
    for child in node.children:
        if child.kind != "generate" or not child.label.startswith("branch"):
            continue
        cached = isinstance(child.value, Mapping) and child.value.get("cached")
        if child.reused or cached or (found := _BRANCH.match(child.label)) is None:
            return {}
        if child.state in ("succeeded", "cancelled"):
            branches[int(found[1])] = child
    return branches


def _clusters(trace: Trace, path: str) -> Iterator[tuple[int, int]]:
    """The clusters of a vote's branches, by number, as its decisions have them."""
    for decision in trace.decisions:
        branch, cluster = decision.saw.get("branch"), decision.saw.get("cluster")
        if decision.path == path and isinstance(branch, int) and isinstance(cluster, int):
            yield branch, cluster


def options_of(planner: Planner, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a planner, as they are given or by default. Raises InvalidRequest like the planner."""
    usual = {name: field.default for name, field in planner.options_model.model_fields.items()}
    return usual | planner.arguments(given)


async def with_width(
    request: TaskRequest, planner: Planner, model: str, store: Store, find: FindPlanner
) -> tuple[TaskRequest, Mapping[str, Any] | None]:
    """A request with a number for its option ``n`` in place of ``auto``, and what is recorded of that.

    It is the widest of :data:`WIDTHS` that is predicted to keep within the seconds and tokens of the budget
    nine in ten times, from runs of the same tenant; 1 if none is, and :data:`USUAL` if too little is stored.
    It is never more than the calls of the budget, or those that may be in flight at the same time.
    """
    if request.options.get("n") != AUTO:
        return request, None
    options = options_of(planner, request.options)
    same: dict[str, Any] = {name: options[name] for name in BRANCHES_ARE_ALIKE if name in options}
    basis = Basis(planner.name, model, request.tenant, same)
    rule = options.get("rule") or DEFAULT_RULE
    budget = budget_of(request.budget)
    most = min(each for each in (WIDTHS[-1], budget.calls, budget.width) if each is not None)
    widths = [width for width in WIDTHS if width <= most]
    try:
        made = await estimate(store, find, basis, rule=rule, widths=widths, seed=request.seed, draws=QUICK)
    except InvalidRequest as error:
        told: dict[str, Any] = {"n": min(USUAL, most), "why": str(error)}
    else:
        row = made.widest(budget)
        expected = row or made.rows[0]
        told = {
            "n": expected.width,
            "why": ("none" if row is None else "the widest that") + " keeps within the budget",
            "votes": made.votes,
            "branches": made.branches,
            "seconds_p90": round(expected.seconds_p90.value, 3),
            "tokens_p90": round(expected.tokens_p90.value + made.prompt_tokens * expected.started),
        }
    return request.model_copy(update={"options": {**request.options, "n": told["n"]}}), told


def widths_of(text: str) -> tuple[int, ...]:
    """Widths as a command line gives them: ``1,2,4`` or ``1-16``.

    Raises:
        InvalidRequest: the text is nothing like that.
    """
    widths: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidRequest(f"widths are numbers and ranges, such as 1,2,4 or 1-16, not {text!r}")
        low, high = int(first), int(last if dash else first)
        if not 1 <= low <= high <= 256:
            raise InvalidRequest(f"widths rise from 1 to 256 at most, got {text!r}")
        widths += range(low, high + 1)
    return tuple(widths)
