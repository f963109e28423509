"""Faults that the simulator injects on purpose."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import Literal

from workers.calls import Call

FaultKind = Literal["refuse", "reject", "overload", "reset", "hang", "garbage", "mangle", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong, and when.

    The kinds, and what the caller sees:

    - ``refuse``: :class:`EngineUnavailable` before any work.
    - ``reject``: :class:`CallRejected` before any work.
    - ``overload``: :class:`Overloaded` before any work, to be tried again after ``seconds``.
    - ``reset``: :class:`EngineInterrupted` after ``after_tokens`` tokens.
    - ``hang``: nothing more after ``after_tokens`` tokens (0: before the first) until the call is cancelled.
    - ``garbage``: :class:`EngineProtocolError` after ``after_tokens`` tokens.
    - ``mangle``: the call succeeds, with every second character of its text destroyed (U+FFFD).
    - ``slow``: the call succeeds, with its latency and decoding ``factor`` times as long.

    If an answer is shorter than ``after_tokens``, its fault strikes where its last chunk would have come.

    The fault strikes a call when all of these hold: its index (0 for the first call that the simulator
    got) is in ``calls``, ``when(call)`` is true, and a draw falls below ``probability``. A condition that is
    not given holds. The draw depends on the simulator's seed and the index, so a retry draws again.
    """

    kind: FaultKind
    calls: Collection[int] | None = None
    when: Callable[[Call], bool] | None = None
    probability: float = 1.0
    after_tokens: int = 0
    factor: float = 10.0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability is {self.probability}: give a number from 0 to 1")
        if self.after_tokens < 0 or self.factor <= 0 or self.seconds < 0:
            raise ValueError("after_tokens and seconds cannot be negative, and factor must be above 0")

    def strikes(self, index: int, call: Call, rng: Random) -> bool:
        """Whether the call with this index meets the fault."""
        if self.calls is not None and index not in self.calls:
            return False
        if self.when is not None and not self.when(call):
            return False
        return self.probability >= 1.0 or rng.random() < self.probability


@dataclass(frozen=True, slots=True)
class Outage:
    """The whole engine dies ``at`` seconds after its start and comes back ``seconds`` later, cache empty.

    ``seconds`` None: it stays dead until :meth:`Simulator.revive`.
    """

    at: float
    seconds: float | None = None
