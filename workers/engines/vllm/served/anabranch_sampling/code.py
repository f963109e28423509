"""The code of one sample, from token to token."""

from __future__ import annotations

import random

_FINEST = 2.0**-53
"""How fine a code is at first: the distance of two floating-point numbers below 1."""

_COARSEST = 2.0**-24
"""How coarse it may become. Each token uses up as many of its bits as the token's surprise has."""

_GOLDEN = 0.6180339887498949


class Code:
    """Where in the unit interval a sample lies, at each of its tokens.

    Bits that are used up are replaced by random ones, which are drawn from the code itself: the same code
    makes the same sample. A server may ask twice for one position, and for a later one first, if it
    computes a request anew; a code that has not seen the tokens before starts from a point of its own there.

    Raises:
        ValueError: ``start`` is not in [0, 1).
    """

    def __init__(self, start: float) -> None:
        if not 0.0 <= start < 1.0:
            raise ValueError(f"a code of arithmetic sampling is at least 0 and below 1, not {start}")
        self._start = start
        self._position = 0
        self._point, self._grain = start, _FINEST
        self._next: tuple[float, float] | None = None

    def at(self, position: int) -> float:
        """The point at which the token of that position is drawn, in [0, 1)."""
        if position != self._position:
            if self._next is not None and position == self._position + 1:
                self._point, self._grain = self._next
            else:
                self._point, self._grain = (self._start + position * _GOLDEN) % 1.0, _FINEST
            self._position, self._next = position, None
        return self._point

    def narrow(self, low: float, width: float) -> None:
        """Take note of the interval of the token that was drawn: where it begins, and its length above 0."""
        point, grain = (self._point - low) / width, self._grain / width
        if grain > _COARSEST:
            fresh = random.Random(f"{self._start}:{self._position}").random()
            point, grain = point + grain * fresh, _FINEST
        self._next = min(max(point, 0.0), 1.0 - _FINEST), grain
