"""The program that compares formulas for :mod:`orchestrator.voting.symbolic`, in a process of its own.

Each line that it reads is a pair of expressions in JSON, and each line that it writes is a verdict. It ends
when its input ends, or when a comparison takes more than :data:`SECONDS`. One that needs more than
:data:`MEMORY` shows no equality.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
from contextlib import suppress

import math_verify

SECONDS = 3
"""For one comparison; most take a few milliseconds."""

MEMORY = 2 << 30
"""Bytes of address space, if the platform can limit it."""

TINY = 1e-3
"""Below it, two numbers are the same only if they differ by less than a millionth of the larger.

math-verify rounds to six decimals, so that every tiny number would be every other.
"""


def compare(left: str, right: str) -> bool:
    """Whether both can be read as mathematics and have the same value.

    Both are read only as LaTeX: otherwise, math-verify would pick a number out of what it does not
    understand, and "> 5" would be 5.
    """
    latex = [math_verify.LatexExtractionConfig()]
    # Its own timeouts are signals, which do not interrupt arithmetic.
    first, second = (math_verify.parse(f"${side}$", latex, parsing_timeout=None) for side in (left, right))
    return bool(math_verify.verify(first, second, timeout_seconds=None)) and not _apart(first, second)


def _apart(first: list[object], second: list[object]) -> bool:
    """Whether both are tiny numbers, and not the same."""
    numbers = [each[0] for each in (first, second) if each and getattr(each[0], "is_number", False)]
    if len(numbers) < 2:
        return False
    try:
        one, other = (complex(number) for number in numbers)  # type: ignore[call-overload]
    except (TypeError, OverflowError):  # infinite, or with a percent sign
        return False
    larger = max(abs(one), abs(other))
    return bool(larger < TINY and abs(one - other) > 1e-6 * larger)


def main() -> None:
    """Answer until the input ends."""
    for name in ("SIGINT", "SIGTERM"):  # meant for the process that asks, whose end ends this one
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(ImportError, ValueError):  # no such limit, or a lower one is set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    replies, sys.stdout = sys.stdout, sys.stderr  # the parser may print
    for line in sys.stdin:
        # A thread without the interpreter's lock ends the process, even in the middle of arithmetic.
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            same = compare(*json.loads(line))
        except Exception:  # whatever a parser raises on what a model wrote does not show equality
            same = False
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(same), file=replies, flush=True)


if __name__ == "__main__":
    main()
