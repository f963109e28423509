"""What a vote would cost and how far it would agree, from branches that were recorded: order statistics.

The time of a vote over n branches is an order statistic of their lengths: the last of n that are all waited
for, an earlier one where a stop rule stops (runtime distributions, as they are used to predict parallel SAT
solvers). Nothing is assumed about the shape of the lengths: votes are drawn from the recorded branches of one
question at a time, and run under the very stop rule, on a clock whose pace depends on how many branches run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, linear_regression, median
from typing import Final

from orchestrator.consensus.stopping import Branch, Cancel, Continue, Expand, Stop, StopRule, View

VOTES = 1_000
"""How many votes are drawn in all for one width, unless there are more questions."""

MOST_OF_ONE = 25
"""How many of them are drawn from the branches of one question."""

SLOWEST: Final = 4.0
"""How many times faster than any that is known a pace may be taken to be where fewer branches run."""

RESAMPLES = 200
"""How many times the questions are drawn again for an interval."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A recorded branch: its completion tokens, the seconds until the first, and the cluster of its answer.

    One that is not ``whole`` was cancelled, and would have become longer than it is.
    """

    tokens: int
    first: float
    cluster: int | None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """The branches of one recorded vote, and the prompt tokens of one of them."""

    branches: tuple[Drawn, ...]
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds from one token of a branch to its next, by how many branches ran beside each other.

    Between the numbers that are known it changes evenly. Beyond them it goes on as they do on the whole (the
    line of least squares): a step of an engine that batches takes some time, and some more for each branch.
    """

    known: tuple[tuple[float, float], ...]
    _looked_up: dict[int, float] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, measured: Sequence[tuple[float, float]]) -> Pace:
        """From how many branches ran while each recorded one did, on average, and its seconds for a token."""
        near: dict[int, list[tuple[float, float]]] = {}
        for running, seconds in measured:
            near.setdefault(round(running), []).append((running, seconds))
        return cls(
            tuple(
                (fmean(running for running, _ in each), median(seconds for _, seconds in each))
                for _, each in sorted(near.items())
            )
        )

    def seconds(self, running: int) -> float:
        """Seconds for a token of each while so many run."""
        if running not in self._looked_up:
            self._looked_up[running] = self._between(running)
        return self._looked_up[running]

    def _between(self, running: int) -> float:
        if not self.known:
            return 0.0
        (least, fast), (most, slow) = self.known[0], self.known[-1]
        if running < least:
            return max(fast / SLOWEST, fast - self._slope() * (least - running))
        if running > most:
            return slow + self._slope() * (running - most)
        low, seconds = [pair for pair in self.known if pair[0] <= running][-1]
        high, longer = next(pair for pair in self.known if pair[0] >= running)
        return seconds if low == high else seconds + (longer - seconds) * (running - low) / (high - low)

    def _slope(self) -> float:
        """Seconds for each further branch, if one makes the others slower at all."""
        if len(self.known) < 2:
            return 0.0
        return max(0.0, linear_regression(*zip(*self.known, strict=True)).slope)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a drawn vote ended: after which time, with which tokens of all branches, which share of the
    branches that had finished gave the answer, and how many had started.
    """

    seconds: float
    tokens: float
    agreement: float
    started: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and the interval that holds it in 95 of 100 draws of the questions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of votes of at most ``width`` branches; ``tokens`` are completion tokens.

    ``repeated`` is the share of them for which a question had too few branches, so that some stood for
    several: such votes agree more, and last less long, than real ones.
    """

    width: int
    seconds: Interval
    seconds_p90: Interval
    tokens: Interval
    tokens_p90: Interval
    agreement: Interval
    started: float
    repeated: float


def forecast(
    rule: StopRule,
    width: int,
    recorded: Sequence[Recorded],
    pace: Pace,
    seed: int = 0,
    *,
    votes: int = VOTES,
) -> Forecast:
    """What is to be expected of votes by ``rule``, of at most ``width`` branches, on such questions.

    The same for the same arguments; ``votes`` are drawn in all. ``recorded`` has at least one vote with a
    branch that is whole.
    """
    rng = random.Random(f"{seed}:{width}:{rule.spec}")
    times = max(1, min(MOST_OF_ONE, votes // len(recorded)))
    every = [branch for vote in recorded for branch in vote.branches if branch.whole]
    drawn = [[play(rule, draw(vote, every, width, rng), pace) for _ in range(times)] for vote in recorded]
    again = [rng.choices(range(len(drawn)), k=len(drawn)) for _ in range(RESAMPLES)]

    def interval(values: Sequence[Sequence[float]], p90: bool = False) -> Interval:
        of = percentile if p90 else _mean
        whole = of([value for each in values for value in each])
        means = values if p90 else [[fmean(each)] for each in values]  # as many votes of each question
        resampled = sorted(of([value for at in ats for value in means[at]]) for ats in again)
        return Interval(whole, resampled[RESAMPLES // 40], resampled[-1 - RESAMPLES // 40])

    seconds = [[ended.seconds for ended in each] for each in drawn]
    tokens = [[ended.tokens for ended in each] for each in drawn]
    return Forecast(
        width,
        interval(seconds),
        interval(seconds, p90=True),
        interval(tokens),
        interval(tokens, p90=True),
        interval([[ended.agreement for ended in each] for each in drawn]),
        fmean(ended.started for each in drawn for ended in each),
        fmean(width > len(vote.branches) for vote in recorded),
    )


def _mean(values: Sequence[float]) -> float:
    return fmean(values)


def percentile(values: Sequence[float], share: float = 0.9) -> float:
    """The smallest of the values that such a share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * round(1000 * share) // 1000) - 1)]


def draw(vote: Recorded, every: Sequence[Drawn], width: int, rng: random.Random) -> list[Drawn]:
    """So many branches of a vote, each at most once if there are enough.

    One that was cancelled stands for those that are longer than it came to be: of the same vote if there are
    any (Efron's redistribution to the right, which gives the estimate of Kaplan and Meier), otherwise of all.
    What it would have answered is drawn from the answers of its own vote.
    """
    enough = width <= len(vote.branches)
    picked = rng.sample(vote.branches, width) if enough else rng.choices(vote.branches, k=width)
    return [branch if branch.whole else _completed(branch, vote, every, rng) for branch in picked]


def _completed(branch: Drawn, vote: Recorded, every: Sequence[Drawn], rng: random.Random) -> Drawn:
    own = [each for each in vote.branches if each.whole]
    if longer := [each for each in own if each.tokens > branch.tokens]:
        return rng.choice(longer)
    answer = rng.choice(own).cluster if own else None
    longer = [each for each in every if each.tokens > branch.tokens]
    like = rng.choice(longer) if longer else branch
    return Drawn(like.tokens, like.first, answer)


@dataclass(slots=True)
class _Running:
    """A branch as it runs: what is left of the time until its first token, and of the tokens after that."""

    branch: Drawn
    wait: float
    left: float

    def advance(self, seconds: float, pace: float) -> None:
        """Let so much time pass."""
        self.left -= max(0.0, seconds - self.wait) / pace if pace else 0.0
        self.wait = max(0.0, self.wait - seconds)

    def ends_in(self, pace: float) -> float:
        """The seconds to its end at that pace."""
        return self.wait + self.left * pace


def play(rule: StopRule, branches: Sequence[Drawn], pace: Pace) -> Ended:
    """Run a vote over these branches in order, as the rule asks for them, until it stops."""
    return _Vote(rule, branches, pace).run()


class _Vote:
    """One vote on a clock of its own."""

    def __init__(self, rule: StopRule, branches: Sequence[Drawn], pace: Pace) -> None:
        self._rule = rule
        self._branches = branches
        self._pace = pace
        self._now = 0.0
        self._started = 0
        self._running: dict[int, _Running] = {}
        self._finished: list[Branch] = []
        self._lost: list[Branch] = []

    def run(self) -> Ended:
        self._start(self._rule.initial)
        wake: float | None = None
        while self._running:
            self._advance(wake)
            decision = self._rule.decide(self._view())
            while isinstance(decision, Expand | Cancel):
                if isinstance(decision, Expand):
                    self._start(decision.by)
                else:
                    self._cancel(decision.branches)
                decision = self._rule.decide(self._view())
            if isinstance(decision, Stop):
                return self._ended(decision.winner)
            assert isinstance(decision, Continue), "what copies branches watches them"
            wake = decision.wake
        return self._ended(self._view().tally().winner)

    def _start(self, count: int) -> None:
        for branch in self._branches[self._started : self._started + count]:
            self._running[self._started] = _Running(branch, branch.first, max(0.0, branch.tokens - 1.0))
            self._started += 1

    def _cancel(self, branches: Sequence[int]) -> None:
        for index in branches:
            self._lost.append(Branch(index, tokens=self._tokens(self._running.pop(index))))

    def _advance(self, wake: float | None) -> None:
        """To the next arrival, or to when the rule wants to be asked again."""
        pace = self._pace.seconds(len(self._running))
        index, ends = min(
            ((at, each.ends_in(pace)) for at, each in self._running.items()), key=lambda pair: pair[1]
        )
        early = wake is not None and wake < ends
        step = wake if early and wake is not None else ends
        for each in self._running.values():
            each.advance(step, pace)
        self._now += step
        if not early:
            branch = self._running.pop(index).branch
            self._finished.append(Branch(index, branch.cluster, branch.tokens))

    def _view(self) -> View:
        running = tuple(Branch(index, tokens=self._tokens(each)) for index, each in self._running.items())
        room = min(self._rule.limit, len(self._branches)) - self._started
        return View(tuple(self._finished), running, tuple(self._lost), max(0, room), self._now)

    @staticmethod
    def _tokens(running: _Running) -> int:
        return 0 if running.wait else round(running.branch.tokens - max(0.0, running.left))

    def _ended(self, winner: int | None) -> Ended:
        view = self._view()
        votes = sum(branch.cluster == winner for branch in self._finished) if winner is not None else 0
        agreement = votes / max(1, len(self._finished))
        return Ended(self._now, float(view.tokens), agreement, self._started)


def running_beside(spans: Mapping[int, tuple[float, float]]) -> Iterator[tuple[int, float]]:
    """For each branch of a vote, by number, how many ran while it did, on average, itself included.

    ``spans`` says when each began and ended, in seconds.
    """
    for index, (began, ended) in spans.items():
        if ended > began:
            shared = sum(max(0.0, min(ended, end) - max(began, begin)) for begin, end in spans.values())
            yield index, shared / (ended - began)
