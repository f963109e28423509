"""How much the answers of each voter should count, from how often labelled ones were right."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from orchestrator.consensus.calibration import NEEDED
from orchestrator.consensus.shares import smoothed


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that a voter gave to a question: what it is, and whether it is right."""

    voter: str
    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class Reliability:
    """How many answers of a voter were right, and what each of them should weigh.

    ``weight`` is None if there are fewer than 20, or if its answers are no evidence for what they say.
    """

    right: int
    count: int
    weight: float | None


def reliabilities(questions: Sequence[Sequence[Given]]) -> dict[str, Reliability]:
    """The weights of voters, from what they answered to labelled questions; silence tells nothing.

    An answer weighs the logarithm of the odds that it is right against that it is this wrong one,
    ln(m p / (1 - p)). With that, the vote elects the most probable answer if voters err independently (Nitzan
    and Paroush, 1982, for two answers). Here p is the share of right answers of the voter, and m how many
    wrong answers there are: one over the chance that two wrong ones to a question coincide. Both shares are
    drawn to a half by one example each way.
    """
    given = [each for answers in questions for each in answers]
    tally, right = Counter(each.voter for each in given), Counter(each.voter for each in given if each.right)
    pairs = [
        one.answer == other.answer
        for answers in questions
        for one, other in combinations([each for each in answers if not each.right], 2)
    ]
    wrong = 1 / smoothed(sum(pairs), len(pairs))
    found = {}
    for voter, count in tally.items():
        share = smoothed(right[voter], count)
        weight = math.log(wrong * share / (1 - share))
        known = count >= NEEDED and weight > 0
        found[voter] = Reliability(right[voter], count, round(weight, 3) if known else None)
    return found
