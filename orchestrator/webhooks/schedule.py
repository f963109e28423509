"""When a delivery that failed is tried again."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Final

JITTER: Final = 0.25
"""By which part a wait may be longer, at random, so that not all deliveries come back at once."""

LONGEST_RETRY_AFTER: Final = 86_400.0
"""The longest wait that an endpoint may ask for, in seconds."""


def retry_in(
    attempts: int, retries: Sequence[float], asked: float | None, draw: random.Random | None = None
) -> float | None:
    """Seconds until the next attempt after so many; None if that was the last one.

    ``asked`` is what the endpoint asked to wait for; no attempt comes sooner.
    """
    if attempts > len(retries):
        return None
    wait = retries[max(attempts, 1) - 1] * (1.0 + JITTER * (draw or random).random())
    return max(wait, min(asked or 0.0, LONGEST_RETRY_AFTER))


def patience(retries: Sequence[float]) -> float:
    """Seconds after which a delivery is given up, however often its endpoint was left alone meanwhile."""
    return 2.0 * sum(retries) + 3_600.0


def asked_wait(header: str | None, now: float) -> float | None:
    """The seconds that a ``Retry-After`` asks to wait, by a number or a date; None if it does not."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return wait if math.isfinite(wait) and wait > 0 else None
