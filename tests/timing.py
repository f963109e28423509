"""Whether a reading takes time in proportion to its text, whatever else the machine and the process do."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """CPU time that this thread spends on the work, without a collection of what others left."""
    gc.collect(0)
    enabled = gc.isenabled()
    gc.disable()
    began = time.thread_time()
    try:
        work()
    finally:
        took = time.thread_time() - began
        if enabled:
            gc.enable()
    return took


def takes_time_in_proportion(read: Callable[[str], object], piece: str, *, start: str = "") -> None:
    """A text eight times as long takes less than forty times as long; of quadratic work, it would be 64.

    The best of three tries counts: a machine may stop or slow down in the middle of one.
    """
    short, long = (start + piece * (length // len(piece)) for length in (4_000, 32_000))
    read(short[:1_000])  # what is made ready at the first use
    tries = []
    for _ in range(3):
        tries.append((seconds(lambda: read(short)), seconds(lambda: read(long))))
        if tries[-1][1] < 40 * tries[-1][0] + 0.05:
            return
    raise AssertionError(f"seconds for a text, and for one that is eight times as long: {tries}")
