"""Comparing claims as mathematics, with math-verify (extra ``math``)."""

from __future__ import annotations

from importlib.util import find_spec

from workers.tools.registry import tool

AVAILABLE = find_spec("math_verify") is not None
"""Whether the extra ``math`` is installed."""


def math_equal(left: str, right: str) -> bool:
    """Whether two mathematical expressions, in LaTeX or plain, have the same value."""
    import math_verify

    # Its own time-outs use signals, which threads do not have; the tool's time-out takes their place.
    first, second = (math_verify.parse(f"${side}$", parsing_timeout=None) for side in (left, right))
    return bool(math_verify.verify(first, second, timeout_seconds=None))


MATH_EQUAL = tool(timeout=10.0)(math_equal)
"""A tool, because it may take long: it runs off the event loop, and its verdict is recorded."""
