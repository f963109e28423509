"""How sure a branch is of its tokens, as far as it has come."""

from __future__ import annotations

from statistics import fmean

from orchestrator.consensus.confidence import LowestGroup, branch_confidence, inverse_entropy
from workers.calls import Completion


class TokenScores:
    """What is kept of the scores of a branch's tokens; nothing is known of one of which some have none.

    ``segments`` has, for each completion that was taken in, the mean confidence of its tokens, None if that
    is unknown. Groups are ``window`` tokens long.
    """

    def __init__(self, window: int) -> None:
        self.segments: list[float | None] = []
        self._window = window
        self._confidences: list[float] = []
        self._entropies: list[float] = []
        self._known = True
        self._group = LowestGroup(window=window)

    def take(self, completion: Completion) -> None:
        """Take in what comes next."""
        confidences = completion.confidences
        self._known = self._known and bool(confidences)
        self._confidences += confidences
        self._entropies += completion.entropies
        self.segments.append(fmean(confidences) if confidences else None)
        for confidence in confidences:
            self._group.add(confidence)

    def lowest(self, *, whole: bool) -> float | None:
        """The lowest group confidence (DeepConf), of the ``whole`` branch or so far; None if unknown."""
        if not self._known:
            return None
        return branch_confidence(self._confidences, window=self._window) if whole else self._group.value

    @property
    def known(self) -> bool:
        """Whether the confidence of all tokens is known."""
        return self._known and bool(self._confidences)

    @property
    def mean(self) -> float:
        """The mean confidence: up to a constant, its self-certainty (arXiv 2502.18581); 0 if unknown."""
        return fmean(self._confidences) if self.known else 0.0

    @property
    def inverse_entropy(self) -> float:
        """The weight by the entropy of the tokens; 0 if unknown."""
        return inverse_entropy(self._entropies) if self._known else 0.0
