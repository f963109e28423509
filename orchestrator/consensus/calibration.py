"""From a score to a probability of being right, with the evidence for it."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.consensus.shares import share_at_most, smoothed, wilson_upper

NEEDED = 20
"""The minimum number of examples with a score that a calibration takes."""
NEEDED_EACH = 5
"""The minimum number of right, and of wrong, examples: what never fails says nothing about failing."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A group of neighbouring scores: mean predicted probability, share that was right, size."""

    predicted: float
    observed: float
    count: int


@dataclass(frozen=True, slots=True)
class Risk:
    """Accepting all that is at least as sure as ``score``: how many that is, and how many of them are wrong.

    ``coverage`` and ``risk`` are shares; ``upper`` is the upper end of the risk's 95 % interval (Wilson),
    which holds for one score, not for the best of many.
    """

    score: float
    coverage: float
    risk: float
    upper: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a threshold did on examples that it was not chosen on: the evidence for a bound on its risk.

    Of ``examples``, ``accepted`` were as sure as the threshold, and ``wrong`` of those were wrong. With 95 %
    confidence no more than the share ``upper`` of what it accepts is wrong (Clopper-Pearson, one-sided).
    """

    examples: int
    accepted: int
    wrong: int
    upper: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted calibration.

    ``rising`` says whether a larger score is surer. ``knots`` are scores, starting with the least sure
    (negated if not ``rising``), each with the probability of being right from there on (isotonic regression,
    so it never falls as sureness grows). ``risks`` go from the surest score to the least sure one.
    """

    rising: bool
    knots: tuple[tuple[float, float], ...]
    examples: int
    accuracy: float
    auroc: float
    auroc_interval: tuple[float, float]
    brier: float
    calibration_error: float
    reliability: tuple[Bin, ...]
    risks: tuple[Risk, ...]

    def probability(self, score: float) -> float:
        """The calibrated probability of being right."""
        return _at(self.knots, self._sure(score))

    def accepts(self, score: float, threshold: float) -> bool:
        """Whether the score is at least as sure as the threshold."""
        return self._sure(score) >= self._sure(threshold)

    def _sure(self, score: float) -> float:
        return score if self.rising else -score


def calibrate(
    scores: Sequence[float | None],
    right: Sequence[bool],
    *,
    rising: bool,
    seed: int = 0,
) -> Calibration:
    """Fit a calibration to labelled examples.

    Examples with an undefined score are left out. The reliability curve and the errors come from ten-fold
    cross-fitting: every example is predicted by a fit that has not seen it.

    Raises:
        ValueError: fewer than 20 defined scores, 5 right or 5 wrong examples; lists of different lengths.
    """
    pairs = _pairs(scores, right, rising)
    sure = [score for score, _ in pairs]
    labels = [label for _, label in pairs]
    hits = sum(labels)
    if len(labels) < NEEDED or min(hits, len(labels) - hits) < NEEDED_EACH:
        raise ValueError(
            f"a calibration needs at least {NEEDED} examples with a score, {NEEDED_EACH} of them right and "
            f"{NEEDED_EACH} wrong; there are {len(labels)}, {hits} right and {len(labels) - hits} wrong"
        )
    area, interval = auroc(sure, labels), auroc_interval(sure, labels, seed=seed)
    assert area is not None  # both kinds of labels are present
    assert interval is not None
    predicted = _cross_fitted(pairs, seed)
    curve = reliability(predicted, labels, bins=max(2, min(10, len(labels) // 15)))
    return Calibration(
        rising=rising,
        knots=isotonic(sure, labels),
        examples=len(pairs),
        accuracy=fmean(labels),
        auroc=area,
        auroc_interval=interval,
        brier=fmean((p - label) ** 2 for p, label in zip(predicted, labels, strict=True)),
        calibration_error=sum(each.count * abs(each.predicted - each.observed) for each in curve)
        / len(pairs),
        reliability=curve,
        risks=tuple(_risks(pairs, rising)),
    )


def threshold(
    scores: Sequence[float | None], right: Sequence[bool], *, rising: bool, risk: float, seed: int = 0
) -> tuple[float | None, HeldOut | None]:
    """The least sure score to accept so that at most the share ``risk`` of what is accepted is wrong.

    One half of the examples says which scores to try: those whose share of wrong answers is at most ``risk``
    with 95 % confidence, without the surer half of them, which accept too little to be borne out. The other
    half tries them, the surest first, up to the first that it does not bear out at the same confidence. As
    the order was fixed before, all that it bears out hold together (fixed sequence testing, as in Learn then
    Test, arXiv 2110.01052). Returns the last of them and what the held-out half says of it; None and what it
    says of the first if it bears out none, None twice if there is none to try.

    Raises:
        ValueError: lists of different lengths.
    """
    pairs = _pairs(scores, right, rising)
    dealt = random.Random(seed).sample(pairs, len(pairs))
    chosen_on, held_out = dealt[::2], dealt[1::2]
    found: tuple[float | None, HeldOut | None] = None, None
    fitting = [sure for sure, count, wrong in _nested(chosen_on) if share_at_most(wrong, count) <= risk]
    for sure in fitting[len(fitting) // 2 :]:
        accepted = [label for score, label in held_out if score >= sure]
        wrong = len(accepted) - sum(accepted)
        told = HeldOut(len(held_out), len(accepted), wrong, share_at_most(wrong, len(accepted)))
        if told.upper > risk:
            return found if found[1] else (None, told)
        found = (sure if rising else -sure), told
    return found


def _pairs(scores: Sequence[float | None], right: Sequence[bool], rising: bool) -> list[tuple[float, bool]]:
    """Sureness and label of the examples with a defined score."""
    if len(scores) != len(right):
        raise ValueError(f"{len(scores)} scores for {len(right)} labels")
    return [
        (score if rising else -score, bool(label))
        for score, label in zip(scores, right, strict=True)
        if score is not None and math.isfinite(score)
    ]


def isotonic(sure: Sequence[float], labels: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """The non-falling step function nearest to the labels (pool adjacent violators), as (score, share).

    Shares are drawn towards a half by one extra example each way, so that no finite evidence gives certainty.
    """
    blocks: list[tuple[float, float, int]] = []  # first score, right, all
    for score, label in sorted(zip(sure, labels, strict=True)):
        if blocks and blocks[-1][0] == score:
            first, hits, count = blocks.pop()
            blocks.append((first, hits + label, count + 1))
        else:
            blocks.append((score, float(label), 1))
    return tuple((first, smoothed(hits, count)) for first, hits, count in pooled(blocks))


def pooled(blocks: Iterable[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Blocks (first score, right, all), the least sure first, put together where their shares do not rise."""
    kept: list[tuple[float, float, int]] = []
    for block in blocks:
        kept.append(block)
        while len(kept) > 1 and smoothed(*kept[-2][1:]) >= smoothed(*kept[-1][1:]):
            _, hits, count = kept.pop()
            first, more, others = kept.pop()
            kept.append((first, hits + more, count + others))
    return kept


def auroc(sure: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The probability that a right answer is surer than a wrong one, ties counting half (Mann-Whitney)."""
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    ranked = sorted(zip(sure, labels, strict=True))
    rank_sum, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        rank_sum += (at + end + 1) / 2 * sum(label for _, label in ranked[at:end])
        at = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def auroc_interval(
    sure: Sequence[float], labels: Sequence[bool], *, seed: int = 0, draws: int = 400
) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the AUROC over examples."""
    rng = random.Random(seed)
    values = []
    for _ in range(draws):
        drawn = rng.choices(range(len(labels)), k=len(labels))
        value = auroc([sure[at] for at in drawn], [labels[at] for at in drawn])
        if value is not None:
            values.append(value)
    values.sort()
    return (values[int(0.025 * len(values))], values[int(0.975 * len(values))]) if values else None


def reliability(predicted: Sequence[float], labels: Sequence[bool], *, bins: int = 10) -> tuple[Bin, ...]:
    """Predicted against observed, in ``bins`` groups of equal size; equal predictions share a group."""
    ranked = sorted(zip(predicted, labels, strict=True))
    groups: list[list[tuple[float, bool]]] = []
    size = len(ranked) / bins
    for pair in ranked:
        if groups and (groups[-1][-1][0] == pair[0] or len(groups[-1]) < size):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    return tuple(
        Bin(fmean(p for p, _ in group), fmean(label for _, label in group), len(group)) for group in groups
    )


def _cross_fitted(pairs: Sequence[tuple[float, bool]], seed: int, folds: int = 10) -> list[float]:
    dealt = random.Random(seed).sample(range(len(pairs)), len(pairs))
    predicted = [0.0] * len(pairs)
    for fold in range(folds):
        left = set(dealt[fold::folds])
        seen = [pair for at, pair in enumerate(pairs) if at not in left]
        knots = isotonic([score for score, _ in seen], [label for _, label in seen])
        for at in left:
            predicted[at] = _at(knots, pairs[at][0])
    return predicted


def _at(knots: Sequence[tuple[float, float]], sure: float) -> float:
    """The value of the step function that the knots describe."""
    return knots[max(0, bisect_right(knots, sure, key=lambda knot: knot[0]) - 1)][1]


def _risks(pairs: Sequence[tuple[float, bool]], rising: bool) -> list[Risk]:
    """One line for each distinct score, the surest first."""
    return [
        Risk(score if rising else -score, count / len(pairs), wrong / count, wilson_upper(wrong, count))
        for score, count, wrong in _nested(pairs)
    ]


def _nested(pairs: Sequence[tuple[float, bool]]) -> Iterator[tuple[float, int, int]]:
    """Each distinct sureness, the highest first, with how many are at least as sure and how many wrong."""
    ranked = sorted(pairs, reverse=True)
    wrong = 0
    for count, (score, label) in enumerate(ranked, 1):
        wrong += not label
        if count == len(ranked) or ranked[count][0] != score:
            yield score, count, wrong
