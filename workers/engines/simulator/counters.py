"""What a simulator did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """What a simulator did. ``in_flight`` and ``waiting`` are gauges, ``peak_in_flight`` the highest so far.

    Every call that started ends as finished, aborted (its reader left) or failed. ``in_flight`` calls hold a
    place in the batch; ``waiting`` calls do not yet. ``wasted_tokens`` are the completion tokens of calls
    that did not finish. ``prompt_tokens_total`` minus ``prompt_tokens_computed`` came from the cache.
    """

    started: int = 0
    finished: int = 0
    aborted: int = 0
    failed: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    waiting: int = 0
    prompt_tokens_total: int = 0
    prompt_tokens_computed: int = 0
    completion_tokens: int = 0
    wasted_tokens: int = 0


class Tally:
    """The counts behind :class:`Counters`, swapped when they are taken."""

    __slots__ = (
        "aborted",
        "completion_tokens",
        "failed",
        "finished",
        "peak_in_flight",
        "prompt_tokens_computed",
        "prompt_tokens_total",
        "started",
        "wasted_tokens",
    )

    def __init__(self) -> None:
        self.started = self.finished = self.aborted = self.failed = self.peak_in_flight = 0
        self.prompt_tokens_total = self.prompt_tokens_computed = 0
        self.completion_tokens = self.wasted_tokens = 0
