"""Formulas as math-verify reads them: roots, π, powers and functions as commands, alternatives as a set."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities import LATEX_TEXT, spelt_out
from orchestrator.consensus.quantities.patterns import lazily

_ROOT = lazily(
    r"(?:√|(?<![a-zA-Z\\])sqrt)\s*(?:\((?P<a>[^()]*(?:\([^()]*\)[^()]*)*)\)|\{(?P<b>[^{}]*)\}|(?P<c>\d+|[a-zA-Z]))"
)
_FUNCTION = lazily(r"(?<![a-zA-Z\\])(sin|cos|tan|cot|sec|csc|ln|log|exp|pi|infty)(?![a-zA-Z])")
_BARE_ROOT = lazily(r"\\sqrt\s*(\d)")
_REPEATING = lazily(r"(?P<begin>\d*\.\d*)\\overline\s*\{(?P<cycle>\d{1,9})\}")
_SIGNS = str.maketrans(
    {
        "π": r"\pi ",
        "·": r"\cdot ",
        "×": r"\cdot ",
        "−": "-",
        "∞": r"\infty ",
        "±": r"\pm ",
        "≤": r"\le ",
        "≥": r"\ge ",
    }
)
_ALTERNATIVES = lazily(
    r"\s*,?\s+(?:or|oder|ou|o|или)\s+|\s*∨\s*|\s*;\s*|\s*,\s+(?:and\s+)?|\s*\\(?:lor|vee)(?![a-zA-Z])\s*|\s+and\s+"
)
_LEFT = lazily(r"^\s*(?P<name>[a-zA-Z]\w?)(?:_\{?(?:\d|[\d,]+)\}?)?\s*=\s*")
_BOTH = lazily(r"\\pm(?![a-zA-Z])|\+/-")
_MARKS = lazily(r"\\[()\[\]]|\$|\\(?:left|right)(?=[()\[\]])|\\(?:quad|qquad)(?![a-zA-Z])|\\,|\\ ")
_REMARK = lazily(r"\s*\((?:double|repeated|twice|multiplicity)\b[^()]*\)", re.IGNORECASE)


def as_latex(text: str) -> str:
    """The formula in LaTeX; several values, also those of a ±, are a set."""
    values = values_of(text)
    if len(values) == 1:
        return values[0]
    return r"\{" + ", ".join(values) + r"\}"


def values_of(text: str) -> list[str]:
    """The values that a formula gives, each in LaTeX; one for most formulas."""
    text = _REMARK.sub("", _MARKS.sub(" ", LATEX_TEXT.sub(r" \1 ", text)))
    text = spelt_out(text).replace("**", "^").translate(_SIGNS)
    text = _REPEATING.sub(_cycle, text)
    for _ in range(3):
        text = _ROOT.sub(lambda match: rf"\sqrt{{{match['a'] or match['b'] or match['c']}}}", text)
    text = _FUNCTION.sub(r"\\\1 ", _BARE_ROOT.sub(r"\\sqrt{\1}", text)).replace("*", r"\cdot ").strip()
    opened = text[:1] in "([{" or text[:2] == r"\{" or "\\begin" in text
    pieces = [text] if opened else [piece for piece in _ALTERNATIVES.split(text) if piece.strip()]
    named = [_LEFT.match(piece) for piece in pieces]
    if len(pieces) > 1:
        names = {match["name"][0] for match in named if match}
        if len(names) > 1:
            return [text]
        pieces = [_LEFT.sub("", piece) for piece in pieces]
    found: list[str] = []
    for piece in pieces:
        signs = len(_BOTH.findall(piece))
        if signs == 1:
            bare = _LEFT.sub("", piece)
            found += [_BOTH.sub("+", bare), _BOTH.sub("-", bare)]
        else:
            found.append(piece)
    return [piece.strip() for piece in found] or [text]


def _cycle(match: re.Match[str]) -> str:
    """A repeating decimal as a fraction."""
    begin, cycle = match["begin"], match["cycle"]
    whole, _, decimals = begin.partition(".")
    first = int((whole or "0") + decimals)
    both = int((whole or "0") + decimals + cycle)
    below = (10 ** len(cycle) - 1) * 10 ** len(decimals)
    return rf"\frac{{{both - first}}}{{{below}}}"
