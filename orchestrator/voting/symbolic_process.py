"""The program that compares formulas for :mod:`orchestrator.voting.symbolic`, in a process of its own.

It is asked about pairs of expressions, and replies whether they are equal. A pair that cannot be compared
shows no equality.
"""

from __future__ import annotations

import math_verify

from workers.apart import answer

SECONDS = 3
"""For one comparison; most take a few milliseconds."""

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
    answer(lambda pair: compare(*pair), seconds=SECONDS, otherwise=False)


if __name__ == "__main__":
    main()
