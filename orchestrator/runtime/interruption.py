"""Which planner code each thread is running, and how another thread ends it if it never yields."""

from __future__ import annotations


def running(thread_id: int) -> str | None:
    """The planner code that the thread runs at this moment, for people; None if it runs none."""
    raise NotImplementedError


def interrupt(thread_id: int) -> bool:
    """Raise an error in the planner code that the thread runs; returns whether it was running any."""
    raise NotImplementedError
