"""The answers that a search came to, and which of them is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.runtime.values import Answer, Cluster, Question
from orchestrator.voting.ballot import labels


@dataclass(frozen=True, slots=True)
class Tried:
    """An answer that was come to, what it is worth, and a verifier's verdict on it, None if there is none.

    What scores are worth, only the search that gave them knows: more is better.
    """

    answer: Answer
    score: float
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer that is given, how many say the same, and all answers by what they mean."""

    tried: Tried
    count: int
    clusters: tuple[Cluster, ...]


def choose(question: Question, tried: Sequence[Tried]) -> Choice:
    """The accepted answer, else the best of those that were not refused, else the best of all.

    The best has the highest score; of equal ones, it is that which was come to most often, then first.

    Raises:
        ValueError: nothing was tried.
    """
    clusters = Clusters(choices=labels(question.choices))
    where = [
        None if (claim := each.answer.claim) is None else clusters.add(at, Claim(claim, "whole"))
        for at, each in enumerate(tried)
    ]
    counts = [0 if each is None else len(clusters.members[each].branches) for each in where]
    standing = {True: 2, None: 1, False: 0}
    at = max(
        range(len(tried)), key=lambda at: (standing[tried[at].verified], tried[at].score, counts[at], -at)
    )
    ranked = sorted(clusters.members, key=lambda cluster: -len(cluster.branches))
    return Choice(tried[at], counts[at], tuple(Cluster(each.text, len(each.branches)) for each in ranked))


def counted(count: int, what: str) -> str:
    """So many of something, in words: ``1 answer``, ``3 answers``."""
    return f"{count} {what}{'s' * (count != 1)}"
