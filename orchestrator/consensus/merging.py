"""One answer from many. Every merge says which it was and what it saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.consensus.stopping.view import Tally, View

BY_VOTES = "weighted majority"
"""The name of a majority in which branches have more or fewer votes than one."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The answer of a vote and what it rests on.

    ``confidence`` is the winner's share of the weight of all branches, of those that gave no answer too,
    between 0 and 1; it is a share, not a probability of being right. ``counts`` is the weight of the answers
    by cluster; ``method`` names the merge.
    """

    method: str
    winner: int | None
    text: str | None
    confidence: float
    counts: Mapping[int, float]
    abstained: int


def majority(view: View, texts: Sequence[str], *, winner: int | None = None) -> Merged:
    """The answer of the cluster with the most votes; of equal clusters, the one that arrived first.

    ``texts`` are the representatives' texts by cluster index. ``winner`` is what a stop rule decided, if it
    decided otherwise. Where branches have more or fewer votes than one, the merge is :data:`BY_VOTES`.
    """
    equal = all(branch.weight == 1 for branch in view.finished)
    return _elect("majority" if equal else BY_VOTES, view.tally(), texts, winner)


def weighted(view: View, texts: Sequence[str], weights: Mapping[int, float], *, method: str) -> Merged:
    """A vote in which each branch has a weight: its confidence, inverse entropy, or certainty.

    ``weights`` is by branch index; one that is missing, negative or not a number counts as 0. A branch that
    has several votes weighs as many times. If no weight is left, this is the majority, and says so.
    ``method`` names the weights in the trace.
    """
    given = [_weight(weights.get(branch.index)) for branch in view.finished]
    if not any(
        weight for weight, branch in zip(given, view.finished, strict=True) if branch.cluster is not None
    ):
        return majority(view, texts)
    return _elect(f"weighted by {method}", Tally.of(view.finished, given), texts, None)


BORDA = 0.5
"""The power of the ranks in :func:`ranked`: with 0 all votes weigh the same, with 1 by rank."""


def ranked(scores: Mapping[int, float], *, power: float = BORDA) -> dict[int, float]:
    """Borda voting (arXiv 2502.18581): of N scores, the r-th largest gets (N - r + 1) ** power votes.

    ``scores`` are by branch index. Equal scores share what their ranks get; one that is not a finite number
    gets 0, and takes no rank.
    """
    known = {at: score for at, score in scores.items() if math.isfinite(score)}
    places = sorted(known.values(), reverse=True)
    votes: dict[float, list[float]] = {}
    for place, score in enumerate(places):
        votes.setdefault(score, []).append((len(places) - place) ** power)
    return {at: fmean(votes[known[at]]) if at in known else 0.0 for at in scores}


def verified(view: View, texts: Sequence[str]) -> Merged:
    """The first answer that a verifier accepted; if there is none, the majority of those not refused."""
    accepted = [branch for branch in view.finished if branch.verified and branch.cluster is not None]
    left = [branch for branch in view.finished if branch.verified is not False]
    winner = accepted[0].cluster if accepted else None
    return _elect("verifier" if accepted else "majority of unrefused", Tally.of(left), texts, winner)


def medoid(similarity: Sequence[Sequence[float]]) -> int:
    """The index of the answer most similar to all others; of equals, the first.

    Raises:
        ValueError: the matrix is empty or not square.
    """
    n = len(similarity)
    if n == 0 or any(len(row) != n for row in similarity):
        raise ValueError("a medoid needs a square matrix of similarities with at least one row")
    totals = [math.fsum(similarity[i][j] + similarity[j][i] for j in range(n) if j != i) for i in range(n)]
    return totals.index(max(totals))


def overlaps(texts: Sequence[str]) -> list[list[float]]:
    """How much any two texts have in common: the F1 of their words, counted with repetition, in [0, 1]."""
    numbers: dict[tuple[str, int], int] = {}
    words = [_words(text, numbers) for text in texts]
    shared = [[0.0] * len(words) for _ in words]
    for i, ours in enumerate(words):
        for j, theirs in enumerate(words[: i + 1]):
            both = len(ours & theirs)
            shared[i][j] = shared[j][i] = 2 * both / (len(ours) + len(theirs)) if both else 0.0
    return shared


def _words(text: str, numbers: dict[tuple[str, int], int]) -> set[int]:
    """The words as numbers, each repetition as another one: sets of numbers are compared fastest."""
    counts = Counter(text.casefold().split())
    return {
        numbers.setdefault((word, at), len(numbers)) for word, times in counts.items() for at in range(times)
    }


def numbered(answers: Sequence[str], counts: Sequence[int]) -> str:
    """The distinct answers as a numbered list for a synthesis prompt, the most frequent first.

    ``answers`` are the representatives of the clusters, so each meaning appears once, with its count.
    """
    given = [(count, answer.strip()) for count, answer in zip(counts, answers, strict=True)]
    ranked = sorted((pair for pair in given if all(pair)), key=lambda pair: -pair[0])
    lines = (f"{at}. ({count} of {sum(counts)}) {answer}" for at, (count, answer) in enumerate(ranked, 1))
    return "\n".join(lines)


def concatenated(parts: Sequence[str], *, separator: str = "\n\n") -> str:
    """The parts in the given order, whatever order they arrived in; empty ones leave no gap."""
    return separator.join(stripped for part in parts if (stripped := part.strip()))


def _elect(method: str, tally: Tally, texts: Sequence[str], winner: int | None) -> Merged:
    chosen = tally.winner if winner is None else winner
    weight = tally.total + tally.silence
    share = tally.weights.get(chosen, 0.0) / weight if chosen is not None and weight else 0.0
    text = None if chosen is None else texts[chosen]
    return Merged(method, chosen, text, share, dict(tally.weights), tally.abstained)


def _weight(given: float | None) -> float:
    return given if given is not None and math.isfinite(given) and given > 0 else 0.0
