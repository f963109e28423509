"""Multiples of a root or of π in one spelling: √12 is 2√3, and 50π/2 is 25π."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

from fractions import Fraction

from orchestrator.consensus.quantities.patterns import lazily

_LARGEST = 10**6
"""Beyond it the square factor of a root is not looked for."""

_WHOLE = r"\d{1,3}(?:,\d{3})+|\d{1,9}"
_ROOT = rf"(?:√|\\sqrt|sqrt)\s*(?:\(\s*(?P<a>{_WHOLE})\s*\)|\{{\s*(?P<b>{_WHOLE})\s*\}}|(?P<c>\d{{1,6}}))"
_TERM = lazily(
    rf"(?P<open>\()?(?P<times>\d+(?:\.\d+)?(?:/\d{{1,9}})?)?\s*[*·×]?\s*(?:{_ROOT}|(?P<pi>π|pi(?![a-z])))"
    r"(?P<close>\))?(?:\s*/\s*(?P<below>[1-9]\d{0,8})(?![\w.^]))?(?!\s*[*·×^/+−]|\s*-\s*\d|\s*\d"
    r"|\s?[a-z](?:\b|\^)\s*[-+=*^])"
)


def read_multiple(text: str) -> tuple[Fraction, str, int] | None:
    """The multiple, what it is a multiple of ("√3", "π"), and where it ends; None for any other text."""
    match = _TERM.match(text)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    above, _, under = (match["times"] or "1").partition("/")
    below = int(under or 1) * int(match["below"] or 1)
    if not below:
        return None
    value = Fraction(above) / below
    if match["pi"]:
        return value, "π", match.end()
    root = int((match["a"] or match["b"] or match["c"]).replace(",", ""))
    if not 1 < root <= _LARGEST:
        return None
    square = next((n for n in range(int(root**0.5) + 1, 1, -1) if root % (n * n) == 0), 1)
    rest = root // (square * square)
    return (value * square, f"√{rest}", match.end()) if rest > 1 else None
