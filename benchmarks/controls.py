"""What a critic holds against a stop rule: simpler rules, oracles, made-up votes, lengths that say nothing.

The simple rules start ``CONTROL_START`` branches and never more. The oracles know what no rule can know, and
show how much of the saving is there to be had: one stops once the leader will no longer change among the
branches that it started, the other as soon as the leader is right.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from benchmarks.replay import Problem
from orchestrator.consensus.stopping import Branch, Decision, Stop, StopRule, Tally, View
from orchestrator.consensus.stopping.rule import Rule, wait_or_end

CONTROL_START = 24
MADE_UP = {"55/45": 0.55, "60/40": 0.6, "70/30": 0.7, "80/20": 0.8}
TILTS = {"lengths say nothing": 0.0, "wrong branches longer": 0.4}
"""By how much the logarithm of a wrong branch's length is larger; in the recorded contests it is 0.4, on
average over the problems that have both kinds."""

Informed = Callable[[Problem, Sequence[int]], StopRule]
"""A rule that is made for a problem and an order of its branches: an oracle."""


class StartsOnce(Rule):
    """A rule that starts ``start`` branches and no more."""

    __slots__ = ()
    start: int

    @property
    def initial(self) -> int:
        """All that it will ever start."""
        return min(self.start, self.width)

    @property
    def limit(self) -> int:
        """The same."""
        return self.initial


@dataclass(frozen=True, slots=True)
class LeadOrCount(StartsOnce):
    """Start ``start`` branches; stop when one answer leads by ``lead``, or after ``arrivals``."""

    name: ClassVar[str] = "lead"
    lead: int = 2
    arrivals: int = 10
    start: int = CONTROL_START
    width: int = 64

    def decide(self, view: View) -> Decision:
        """Count, and ask nothing else."""
        tally = view.tally()
        if tally.first - tally.second >= self.lead:
            return Stop("agreed", tally.winner)
        if len(view.finished) >= self.arrivals:
            return Stop("given_up", tally.winner)
        return wait_or_end(view, tally)


@dataclass(frozen=True, slots=True)
class After(StartsOnce):
    """An oracle: start ``start`` branches, and stop after ``arrivals`` of them, which was looked up."""

    name: ClassVar[str] = "after"
    arrivals: int = 1
    start: int = CONTROL_START
    width: int = 64

    def decide(self, view: View) -> Decision:
        """Stop when it was told to."""
        tally = view.tally()
        stop = len(view.finished) >= self.arrivals
        return Stop("agreed", tally.winner) if stop else wait_or_end(view, tally)


def _leaders(problem: Problem, order: Sequence[int]) -> list[int | None]:
    """Who leads after each arrival, if all start together and the shortest arrives first."""
    begun = order[:CONTROL_START]
    arriving = sorted(range(len(begun)), key=lambda at: (problem.tokens[begun[at]], at))
    branches = [Branch(at, problem.answers[begun[at]]) for at in arriving]
    return [Tally.of(branches[:count]).winner for count in range(1, len(branches) + 1)]


def knows_the_end(problem: Problem, order: Sequence[int]) -> StopRule:
    """The oracle that stops once the leader will no longer change."""
    leaders = _leaders(problem, order)
    changes = [at for at in range(1, len(leaders)) if leaders[at] != leaders[at - 1]]
    return After(arrivals=(changes[-1] if changes else 0) + 1, width=len(order))


def knows_the_answer(problem: Problem, order: Sequence[int]) -> StopRule:
    """The oracle that stops as soon as the leader is right, and after all of them if it never is."""
    leaders = _leaders(problem, order)
    right = next((at for at, leader in enumerate(leaders) if leader == problem.gold), len(leaders) - 1)
    return After(arrivals=right + 1, width=len(order))


def simple_rules(width: int) -> Mapping[str, StopRule]:
    """The simple rules by name."""
    never = width + 1
    counts = {
        f"first {k} of {CONTROL_START}": LeadOrCount(never, k, CONTROL_START, width) for k in (3, 5, 10)
    }
    return {**counts, f"lead 2 or 10 of {CONTROL_START}": LeadOrCount(width=width)}


def thriftier_rules(width: int, start: int) -> Mapping[str, StopRule]:
    """Simple rules that start as many branches as another rule does."""
    return {
        f"first 4 of {start}": LeadOrCount(width + 1, 4, start, width),
        f"lead 2 or 10 of {start}": LeadOrCount(2, 10, start, width),
    }


ORACLES: Mapping[str, Informed] = {
    "oracle: no change": knows_the_end,
    "oracle: right": knows_the_answer,
}


def permuted(problem: Problem, seed: int) -> Problem:
    """The same answers with lengths dealt out anew, so that short branches are no more often right."""
    rng = random.Random(f"{seed} {problem.name}")
    dealt = rng.sample(problem.tokens, len(problem.tokens))
    return replace(problem, tokens=tuple(dealt), probes=tuple(() for _ in dealt))


def contests(share: float, *, tilt: float = 0.0, problems: int = 60, branches: int = 128) -> list[Problem]:
    """Made-up votes between two answers: each branch gives the right one with probability ``share``.

    Lengths are lognormal (sigma 0.35 within a problem, 0.5 between problems). A wrong branch is ``e ** tilt``
    times as long as a right one; at 0 lengths say nothing about being right.
    """
    made = []
    for number in range(problems):
        rng = random.Random(f"{share} {tilt} {number}")
        scale = math.exp(rng.gauss(math.log(10_000), 0.5))
        answers = tuple(int(rng.random() >= share) for _ in range(branches))
        tokens = tuple(
            max(1, round(scale * math.exp(rng.gauss(0.0, 0.35) + tilt * answer))) for answer in answers
        )
        made.append(Problem(f"{share:.0%}, tilt {tilt}, {number}", 0, answers, tokens, ((),) * branches, 500))
    return made
