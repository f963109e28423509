"""How sure a branch is of its own tokens (DeepConf, arXiv 2508.15260, section 3.1)."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, TypeAlias

from orchestrator.consensus.entropy import LEAST_LOGPROB

TOP = 20
WINDOW = 2048
Score = Literal["lowest", "bottom", "tail", "mean"]
Token: TypeAlias = tuple[str, float, Mapping[str, float]]
"""A token, its natural log-probability, and those of its likeliest alternatives (it may be one of them)."""


def token_confidence(top: Sequence[float], *, k: int = TOP) -> float | None:
    """Minus the mean of the ``k`` largest log-probabilities at one position: larger is peakier, so surer.

    None if there are none or one is not a log-probability; if a server adds the sampled token as one more
    entry, the entries are cut to ``k``.
    """
    largest = sorted(top, reverse=True)[:k]
    if not largest or not all(LEAST_LOGPROB <= each <= 0 for each in largest):
        return None
    return -math.fsum(largest) / len(largest)


def token_entropy(top: Sequence[float]) -> float | None:
    """The entropy in nats of the alternatives at one position, scaled to sum to 1.

    None as above, and if all of them are impossible.
    """
    if not top or not all(LEAST_LOGPROB <= each <= 0 for each in top):
        return None
    total = math.fsum(map(math.exp, top))
    if not total:
        return None
    return -math.fsum(math.exp(each) / total * (each - math.log(total)) for each in top)


def token_scores(tops: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The confidence and the entropy at each position, to four digits; both empty if any is unknown."""
    confidences = [token_confidence(top) for top in tops]
    entropies = [token_entropy(top) for top in tops]
    known = [round(each, 4) for each in confidences if each is not None]
    uncertain = [round(each, 4) for each in entropies if each is not None]
    return (known, uncertain) if len(known) == len(uncertain) == len(tops) else ([], [])


def least_probability(tokens: Sequence[Token], claim: str) -> float | None:
    """How sure an answer is: the least probability of the tokens that spell it, in [0, 1].

    Of a text that says more than its answer, only the tokens of the answer count, wherever it stands: what is
    said a second time is sure in any case. If it does not stand there as it was read, all tokens do.
    Alternatives that spell the same in another case, or with a space before it, belong to a token: a model
    that is sure of the word may waver over how it begins. None if nothing is known: there are no tokens, or
    one has no log-probability.
    """
    text = "".join(token for token, _, _ in tokens)
    spans = _where(claim, text)
    least, place = None, 0
    for token, logprob, alternatives in tokens:
        start, place = place, place + len(token)
        end = next((end for begin, end in spans if place > begin and start < end), None)
        if not token.strip() or end is None:
            continue
        spelt, own = text[start:end].strip().casefold(), token.strip().casefold()
        alike = [
            other
            for name, other in alternatives.items()
            if name != token and spelt.startswith(word := name.strip().casefold()) and len(word) >= len(own)
        ]
        if not all(LEAST_LOGPROB <= each <= 0 or each == -math.inf for each in (logprob, *alike)):
            return None
        probability = math.fsum(map(math.exp, (logprob, *alike)))
        least = probability if least is None else min(least, probability)
    return None if least is None else min(1.0, least)


def _where(claim: str, text: str) -> list[tuple[int, int]]:
    """Where a claim stands in a text, if it can apart from longer words (B is not that of "Bern")."""
    if not claim or claim not in text:
        return [(0, len(text))]
    alone = [found.span() for found in re.finditer(rf"(?<!\w){re.escape(claim)}(?!\w)", text)]
    return alone or [found.span() for found in re.finditer(re.escape(claim), text)]


def inverse_entropy(entropies: Sequence[float]) -> float:
    """The weight of a branch by inverse mean token entropy (arXiv 2511.02309); 0 if there are none."""
    return 1 / max(fmean(entropies), 1e-6) if entropies else 0.0


def branch_confidence(
    tokens: Sequence[float], score: Score = "lowest", *, window: int = WINDOW
) -> float | None:
    """The score of a whole branch, computed from its token confidences.

    ``lowest``: the least sure window; ``bottom``: the mean of the least sure tenth of the windows;
    ``tail``: the last window; ``mean``: all tokens. A branch shorter than a window is one window. None for
    an empty branch or a confidence that is not a finite number.
    """
    if not tokens or not all(math.isfinite(each) for each in tokens):
        return None
    if score == "mean":
        return fmean(tokens)
    if score == "tail":
        return fmean(tokens[-window:])
    groups = sorted(_groups(tokens, window))
    return groups[0] if score == "lowest" else fmean(groups[: max(1, len(groups) // 10)])


def _groups(tokens: Sequence[float], window: int) -> list[float]:
    if len(tokens) <= window:
        return [fmean(tokens)]
    total = math.fsum(tokens[:window])
    groups = [total / window]
    for new, old in zip(tokens[window:], tokens, strict=False):
        total += new - old
        groups.append(total / window)
    return groups


class LowestGroup:
    """The lowest window confidence so far of a branch that is still generating.

    No window is complete before ``window`` tokens have come, and ``value`` is None until then.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        self.value: float | None = None
        self._recent: deque[float] = deque(maxlen=window)
        self._total = 0.0

    def add(self, confidence: float) -> None:
        """Take in the confidence of the next token."""
        if len(self._recent) == self._recent.maxlen:
            self._total -= self._recent[0]
        self._recent.append(confidence)
        self._total += confidence
        if len(self._recent) == self._recent.maxlen:
            mean = self._total / len(self._recent)
            self.value = mean if self.value is None else min(self.value, mean)
