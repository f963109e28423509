"""When to stop asking another round of parallel answers (SEAT, arXiv 2507.06829).

The body of the paper was not available: the thresholds, the number of rounds and the guard are settings, and
these rules follow its idea without claiming to reproduce its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from orchestrator.consensus.stopping.rule import Settings, between
from orchestrator.consensus.stopping.view import Json


@dataclass(frozen=True, slots=True)
class Round:
    """The outcome of one round: entropy in nats (None: undefined), winner, and its share of the answers.

    ``copied`` is the share of the answers that merely repeat one which the branch was shown.
    """

    entropy: float | None
    winner: int | None
    support: float
    copied: float = 0.0


@dataclass(frozen=True, slots=True)
class Another:
    """Run one more round."""

    seen: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """Answer with the winner of round ``best`` (from 0), which need not be the last."""

    best: int
    reason: Literal["agreed", "exhausted", "collapsed", "copied"]
    seen: Mapping[str, Json] = field(default_factory=dict)


class RoundRule(Protocol):
    """Decides after each round: a pure function of the rounds so far."""

    @property
    def limit(self) -> int:
        """The maximum number of rounds."""
        ...

    @property
    def spec(self) -> str:
        """The text that :func:`~orchestrator.consensus.stopping.parse_round_rule` reads."""
        ...

    def decide(self, rounds: Sequence[Round]) -> Another | End:
        """What to do after the last of ``rounds``."""
        ...


def collapsed(rounds: Sequence[Round]) -> bool:
    """Whether the last round agrees for a bad reason.

    Its entropy fell to 0, but its winner is not the one that most of the most certain earlier round
    stood for.
    """
    *earlier, last = rounds
    stood = [each for each in earlier if each.entropy is not None and each.support > 0.5]
    if last.entropy != 0 or not stood:
        return False
    return min(stood, key=lambda each: each.entropy or 0.0).winner != last.winner


def most_certain(rounds: Sequence[Round]) -> int:
    """The most certain round, the earliest of equals; the last one if no entropy is defined."""
    defined = [at for at, each in enumerate(rounds) if each.entropy is not None]
    return min(defined, key=lambda at: rounds[at].entropy or 0.0, default=len(rounds) - 1)


class _Seat(Settings):
    __slots__ = ()
    rounds: int
    copies: float

    def __post_init__(self) -> None:
        between("rounds", self.rounds, 1, 1000)
        between("copies", self.copies, 0, 1)

    @property
    def limit(self) -> int:
        """The maximum number of rounds."""
        return self.rounds

    def _bar(self, rounds: Sequence[Round]) -> float | None:
        raise NotImplementedError

    def decide(self, rounds: Sequence[Round]) -> Another | End:
        """End on copies, on collapse, on an entropy at or below the bar, or with the most certain round."""
        if not rounds:
            return Another()
        last = rounds[-1]
        bar = self._bar(rounds)
        seen = {"round": len(rounds) - 1, "entropy": last.entropy, "bar": bar}
        if len(rounds) > 1 and last.copied > self.copies:
            return End(most_certain(rounds[:-1]), "copied", seen)
        if len(rounds) > 1 and collapsed(rounds):
            return End(most_certain(rounds[:-1]), "collapsed", seen)
        if bar is not None and last.entropy is not None and last.entropy <= bar:
            return End(len(rounds) - 1, "agreed", seen)
        if len(rounds) >= self.rounds:
            return End(most_certain(rounds), "exhausted", seen)
        return Another(seen)


@dataclass(frozen=True, slots=True)
class SeatThreshold(_Seat):
    """Stop at the first round whose entropy is at most ``nats``, a value found on earlier questions.

    A round of which more than the share ``copies`` merely repeats what it was shown is no evidence: the
    search ends, and an earlier round answers. A share of 1 is never exceeded.
    """

    name: ClassVar[str] = "seat"
    nats: float = 0.3
    rounds: int = 4
    copies: float = 0.5

    def __post_init__(self) -> None:
        between("nats", self.nats, 0, 100)
        _Seat.__post_init__(self)

    def _bar(self, rounds: Sequence[Round]) -> float | None:
        return self.nats


@dataclass(frozen=True, slots=True)
class SeatSecretary(_Seat):
    """No threshold: watch the first rounds / e, then stop at the first that is more certain than those.

    The secretary problem knows no recall and no trend; here all rounds are kept, so the most certain one
    answers if none stops the search. An entropy of 0 among the watched rounds need only be equalled.
    ``copies`` is that of :class:`SeatThreshold`.
    """

    name: ClassVar[str] = "seat_secretary"
    rounds: int = 4
    copies: float = 0.5

    def _bar(self, rounds: Sequence[Round]) -> float | None:
        watched = max(1, round(self.rounds / math.e))
        if len(rounds) <= watched:
            return None
        entropies = [each.entropy for each in rounds[:watched] if each.entropy is not None]
        if not entropies:
            return None
        return math.nextafter(lowest, 0.0) if (lowest := min(entropies)) > 0 else 0.0
