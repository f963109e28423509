"""One spelling for what is written in LaTeX, with raised or lowered figures, or with fraction characters."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
import unicodedata
from functools import partial

from orchestrator.consensus.quantities.patterns import lazily

LATEX_TEXT = lazily(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathsf|mathcal|mbox|operatorname"
    r"|ce|unit)\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
)

_LATEX_SPACE = lazily(r"\\[,;:! ]|\\(?:quad|qquad)\b|~|\\(?:left|right|displaystyle)(?![a-zA-Z])")
_LATEX_FRACTION = lazily(r"\\[dt]?frac\s*(?:\{([^{}]+)\}\s*\{([^{}]+)\}|(\d)\s*(\d))")
_LATEX_CHOICE = lazily(r"\\[dt]?binom\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
_VULGAR = lazily("[¼-¾⅐-⅞]")
_RAISED = lazily("[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+")
_LOWERED = lazily(r"(?<=\d)[₀-₉]+")
_LOOSE_POWER = lazily(r"(?<=[^\W\d])\s+(?=\^)")
_OPEN_BRACKET = lazily(r"^\\[\[(]\s*|\s*\\[\])]$")
_INNER_DOLLAR = lazily(
    r"(?<=[\w})!²³])\$(?=\s*[,;.]|\s+(?:or|and|oder|und|ou|et|o|y|e|или|и)\b)|\$(?=\\|[^\W\d]\w?\s*[=<>≤≥])"
)
_ORDINAL = lazily(r"(?<=\d)\s*\^\s*\{\s*(st|nd|rd|th)\s*\}")

_LATEX_SIGNS = {
    r",\!": ",",
    r"\%": "%",
    r"\$": "$",
    r"\&": "&",
    r"\#": "#",
    r"^\circ": "°",
    r"^{\circ}": "°",
    r"\circ": "°",
    r"\degree": "°",
    "{,}": ",",
    r"\Omega": "Ω",
    r"\mu": "µ",
    r"\AA": "Å",
    r"\pi": "π",
    r"\times": "×",
    r"\cdot": "·",
    r"\pm": "±",
    r"\geqslant": "≥",
    r"\geq": "≥",
    r"\ge": "≥",
    r"\leqslant": "≤",
    r"\leq": "≤",
    r"\le": "≤",
    r"\gt": ">",
    r"\lt": "<",
    r"\neq": "≠",
    r"\ne": "≠",
    r"\approx": "≈",
    r"\sim": "≈",
    r"\in": "∈",
    r"\choose": " choose ",
    r"\lor": " or ",
    r"\vee": " or ",
    r"\to": "→",
    r"\rightarrow": "→",
    r"\longrightarrow": "→",
    r"\rightleftharpoons": "⇌",
    r"\infty": "∞",
    r"\cup": "∪",
    r"\emptyset": "∅",
    r"\varnothing": "∅",
    r"\mathbb{R}": "ℝ",
    r"\mathbb R": "ℝ",
    r"\R": "ℝ",
    r"\setminus": "∖",
    r"\backslash": "∖",
    r"\ldots": "...",
    r"\dots": "...",
    r"\Theta": "Θ",
    r"\lambda": "λ",
    r"\alpha": "α",
    r"\beta": "β",
    r"\theta": "θ",
    r"\euro": "€",
    r"\pounds": "£",
}
_LATEX_SIGN = lazily(
    "|".join(
        re.escape(sign) + (r"(?![a-zA-Z])" if sign[-1].isalpha() else "")
        for sign in sorted(_LATEX_SIGNS, key=len, reverse=True)
    )
)


def spelt_out(text: str) -> str:
    """The text with raised, lowered and fraction characters written plainly: x² as x^2, ½ as 1/2.

    NFKC would turn 2² into 22, and 1½ into 11/2. A lowered figure after a letter is left to it: H₂O is H2O.
    """
    if text.isascii():
        return text
    return _LOWERED.sub(
        partial(_script, "_"), _RAISED.sub(partial(_script, "^"), _VULGAR.sub(_fraction, text))
    )


def plain(text: str) -> str:
    """The text as it would be written without LaTeX: commands for signs, spaces, words and fractions."""
    text = _RAISED.sub(partial(_script, "^"), _VULGAR.sub(_fraction, text)) if not text.isascii() else text
    if not any(mark in text for mark in "\\$^{~"):
        return text.strip()
    text = _undelimited(text)
    text = LATEX_TEXT.sub(r" \1 ", _LATEX_SIGN.sub(lambda sign: _LATEX_SIGNS[sign[0]], text))
    text = _ORDINAL.sub(r"\1", _LATEX_SPACE.sub(" ", text))
    text = _LOOSE_POWER.sub("", text)
    text = _LATEX_CHOICE.sub(r"C(\1,\2)", text)
    text = _LATEX_FRACTION.sub(_quotient, text).strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == "$" == text[-1] else text


def _undelimited(text: str) -> str:
    """The text without the delimiters of a formula, also where one of two is missing."""
    text = text.strip()
    if len(text) > 1 and text[0] == "$" == text[-1] and text.strip("$").find("$") < 0:
        return text.strip("$").strip()
    if text.count(r"\[") + text.count(r"\(") != text.count(r"\]") + text.count(r"\)"):
        text = _OPEN_BRACKET.sub("", text)
    if text[-1:] == "$" and (text[-2:-1].isalpha() or text[-2:-1] in "$})" or any(c in text for c in "\\=^")):
        text = text.rstrip("$").rstrip()
    return _INNER_DOLLAR.sub("", text)


def _quotient(match: re.Match[str]) -> str:
    above, below = match[1] or match[3], match[2] or match[4]
    return f" {_grouped(above)}/{_grouped(below)}"


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"\s*[-−]?[\w.]+\s*", text) else f"({text})"


def _script(mark: str, match: re.Match[str]) -> str:
    figures = unicodedata.normalize("NFKC", match[0])
    return f"{mark}{figures}" if len(figures) == 1 else f"{mark}{{{figures}}}"


def _fraction(match: re.Match[str]) -> str:
    return " " + unicodedata.normalize("NFKC", match[0]).replace("\u2044", "/")
