"""How fast a replica has been, and how many calls it takes at once: learned from the calls themselves."""

from __future__ import annotations

FIRST_GUESS_PREFILL = 2_000.0  # tokens/s; a modest GPU. Replaced by the first observation.
FIRST_GUESS_OUTPUT = 64.0  # tokens
FIRST_GUESS_SERVICE = 1.0  # seconds
FIRST_GUESS_STEP = 0.02  # seconds from a token of a call to its next
LEAST_SLOPE = 0.01  # of a step, for each call in the batch: an emptier replica is never thought slower


class Pace:
    """Prefill rate, and the time of a decoding step as a line over the size of the batch.

    All averages forget exponentially, so they follow a replica that is throttled or that others use too.

    Args:
        common: the pace of all replicas together. It learns what this one learns, and stands in for it
            until there is something of its own.
    """

    def __init__(self, common: Pace | None = None) -> None:
        self._common = common
        self._prefill: float | None = None
        self._output_tokens: float | None = None
        self._service_seconds: float | None = None
        # Weighted sums of a least-squares line: step = base + slope * batch.
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def first_token(self, computed: float, seconds: float) -> None:
        """A call got its first token; ``computed`` prompt tokens had to be computed before it."""
        # Small prompts measure the latency of the network, not the engine.
        if computed < 64 or seconds <= 0:
            return
        self._prefill = _average(self._prefill, computed / seconds, 0.2)
        if self._common is not None:
            self._common.first_token(computed, seconds)

    def finished(self, tokens: int, decode_seconds: float, total_seconds: float, batch: float) -> None:
        """A call of ``tokens`` completion tokens ended; it decoded among ``batch`` calls on average."""
        if self._common is not None:
            self._common.finished(tokens, decode_seconds, total_seconds, batch)
        self._output_tokens = _average(self._output_tokens, tokens, 0.1)
        self._service_seconds = _average(self._service_seconds, total_seconds, 0.1)
        if tokens < 2:
            return
        step = decode_seconds / (tokens - 1)
        decay = 0.98
        self._weight = self._weight * decay + 1
        self._x = self._x * decay + batch
        self._y = self._y * decay + step
        self._xx = self._xx * decay + batch * batch
        self._xy = self._xy * decay + batch * step

    @property
    def measured_prefill(self) -> float | None:
        """Prompt tokens per second; None until a call has shown it."""
        return self._prefill

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens per second, to the best of what is known."""
        if self._prefill is not None:
            return self._prefill
        return self._common.prefill_tokens_per_s if self._common is not None else FIRST_GUESS_PREFILL

    @property
    def output_tokens(self) -> float:
        """Completion tokens of an average call."""
        if self._output_tokens is not None:
            return self._output_tokens
        return self._common.output_tokens if self._common is not None else FIRST_GUESS_OUTPUT

    @property
    def service_seconds(self) -> float:
        """Time from sending an average call to its end."""
        if self._service_seconds is not None:
            return self._service_seconds
        return self._common.service_seconds if self._common is not None else FIRST_GUESS_SERVICE

    def prefill_seconds(self, tokens: float) -> float:
        """Time to compute ``tokens`` prompt tokens."""
        return tokens / self.prefill_tokens_per_s

    def step_seconds(self, batch: float) -> float:
        """Time from one token of a call to its next while ``batch`` calls decode."""
        if self._weight == 0:
            if self._common is not None:
                return self._common.step_seconds(batch)
            return FIRST_GUESS_STEP * (1 + LEAST_SLOPE * batch)
        mean_x, mean_y = self._x / self._weight, self._y / self._weight
        variance = self._xx / self._weight - mean_x * mean_x
        slope = LEAST_SLOPE * mean_y
        # Unless the batch size varies, no slope can be seen.
        if variance > 0.25:
            slope = max(slope, (self._xy / self._weight - mean_x * mean_y) / variance)
        return max(mean_y * 0.1, mean_y + slope * (batch - mean_x))


def _average(old: float | None, new: float, share: float) -> float:
    return new if old is None else old + share * (new - old)


class InFlightLimit:
    """How many calls one replica gets at once: grows while it copes, shrinks when it says that it does not.

    Additive increase, multiplicative decrease. Calls beyond what the server batches would wait there, where
    they can no longer be reordered or moved.

    Args:
        start: the first limit: what the engine says about its concurrency, if anything.
        most: never more than this.
    """

    def __init__(self, start: int, most: int) -> None:
        if not 1 <= start <= most:
            raise ValueError(f"the limit starts at {start} and must lie between 1 and {most}")
        self._value = float(start)
        self._most = most

    @property
    def value(self) -> int:
        """The most calls in flight."""
        return int(self._value)

    def coped(self, in_flight: int) -> None:
        """A call succeeded while ``in_flight`` calls were there."""
        if in_flight >= int(self._value):
            self._value = min(self._most, self._value + 1 / self._value)

    def refused(self) -> None:
        """The replica said that it had no room."""
        self._value = max(1.0, self._value * 0.7)

    def observed(self, running: int, waiting: int) -> None:
        """The server's own gauges show this many calls.

        A few waiting calls are wanted: they fill the gap when others end, and siblings end together.
        """
        slack = max(2, running // 2)
        if waiting > slack:
            self._value = max(1.0, min(self._value, running + slack))
        elif waiting == 0 and running >= int(self._value) - 1:
            self._value = min(self._most, self._value + max(1.0, self._value * 0.05))
