"""How branches agreed, by name, and how often labelled answers with that name were right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from orchestrator.consensus.calibration import NEEDED, pooled
from orchestrator.consensus.shares import smoothed

ALONE = "alone"

LEAST = 5
"""From how many labelled answers that agreed alike on, something is said of others: one or two are chance."""

SURE = (99, 90, 50)
"""From how many percent on a lone answer counts as equally sure of itself."""

_RANKED = re.compile(r"(?P<rank>\d+) (?P<rest>.+)", re.DOTALL)


def counted(agree: int, among: int) -> str:
    """The agreement of a vote: so many of so many branches."""
    return f"{agree} of {among}"


def alone(sure: float | None) -> str:
    """The agreement of an answer compared with none; ``sure`` is how sure it is of itself, if known."""
    if sure is None:
        return ALONE
    percent = next((percent for percent in SURE if sure >= percent / 100), 0)
    return f"{percent} % sure, {ALONE}"


@dataclass(frozen=True, slots=True)
class Alike:
    """Agreements that are taken for equally sure, and how many labelled answers with them were right."""

    agreements: tuple[str, ...]
    right: int
    count: int

    @property
    def tells(self) -> bool:
        """Whether there are enough of them to say something of others."""
        return self.count >= LEAST

    @property
    def probability(self) -> float:
        """The share that was right, drawn towards a half by one example each way (a Beta(1, 1) prior)."""
        return smoothed(self.right, self.count)


@dataclass(frozen=True, slots=True)
class Agreements:
    """How often answers of each agreement were right; ``rows`` begin with the surest.

    Of agreements that differ only in the number that they begin with, such as "2 of 3" and "3 of 3", the
    larger is never less sure: where the examples say so, they are taken together. Others are not compared.
    """

    rows: tuple[Alike, ...]
    examples: int
    accuracy: float

    def alike(self, agreement: str) -> Alike | None:
        """What is known of answers that agreed in this way; None if there was no such example."""
        return next((row for row in self.rows if agreement in row.agreements), None)


def tabulated(agreements: Sequence[str], right: Sequence[bool]) -> Agreements:
    """The table of labelled examples.

    Raises:
        ValueError: fewer than 20 examples; lists of different lengths.
    """
    if len(agreements) < NEEDED:
        raise ValueError(f"a calibration needs at least {NEEDED} examples; there are {len(agreements)}")
    tally: dict[str, list[bool]] = {}
    for agreement, label in zip(agreements, right, strict=True):
        tally.setdefault(agreement, []).append(bool(label))
    rows = []
    for _, chain in groupby(sorted(tally, key=_order), key=lambda each: _order(each)[0]):
        names = tuple(chain)
        blocks = pooled((at, float(sum(tally[name])), len(tally[name])) for at, name in enumerate(names))
        ends = [int(first) for first, _, _ in blocks[1:]] + [len(names)]
        rows += [
            Alike(names[int(first) : end], int(hits), count)
            for (first, hits, count), end in zip(blocks, ends, strict=True)
        ]
    rows.sort(key=lambda row: -row.probability)
    return Agreements(tuple(rows), len(right), fmean(right))


def _order(agreement: str) -> tuple[str, int]:
    """What an agreement can be compared within, and its place there."""
    found = _RANKED.fullmatch(agreement)
    return (found["rest"], int(found["rank"])) if found else (agreement, 0)
