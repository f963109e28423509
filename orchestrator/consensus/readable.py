"""Formulas as people write them without LaTeX: for what is shown, never for what is compared."""

# ruff: noqa: RUF001, RUF002 -- the look-alike characters are what people read

from __future__ import annotations

import re
from typing import Final

from orchestrator.consensus.latex_commands import (
    AS_THEY_ARE,
    BETWEEN,
    BOARD,
    CHOICES,
    ESCAPED,
    FRACTIONS,
    FUNCTIONS,
    KNOWN,
    LETTERS,
    MATRICES,
    NOTHING,
    ROOTS,
    SPACES,
    WORDS,
)
from orchestrator.consensus.reading.predicates import CODE_WORDS, QUOTED

LONGEST: Final = 2_000
"""Characters beyond which a formula is left as it is."""

DEEPEST: Final = 40
"""Braces within braces beyond which a formula is left as it is."""


_COMMAND = re.compile(r"\\([a-zA-Z]+|[^a-zA-Z]|\Z)")
_MARKED = re.compile(r"\\|[\^_]\{|\{,\}|\$[^$]+\$")
_PATH = re.compile(r"[A-Za-z]:\\|\\\\\w")
_CODE = re.compile(r"`|(?:^|[\s(=,r])[\"']\\")
_ABOUT_LATEX = re.compile(r"\b(?:la)?tex\b|\b(?:math|ka)jax\b|\bkatex\b|\\[a-zA-Z]{2,}", re.IGNORECASE)
_DOLLARS = re.compile(r"\$\$?(?=\S)(?P<inner>[^$]*(?:[\\^_=+<>][^$]*|(?<![^$])[A-Za-z]))(?<=\S)\$\$?(?!\d)")
_SIMPLE = re.compile(r"[-−]?(?:[\d.,]+|[^\W\d_](?:\^\d)?|[^\W\d_]{3,})[°%]?|√(?:\d+|[^\W\d_])")
_ABOVE = re.compile(r"[-−]?[^\s+\-−/±×·]+")
_SCRIPTS = {"^": re.compile(r"[-−]?\d+|\d*[-+−]|[^\W_]|[*′]+"), "_": re.compile(r"[^\W_]+")}
_TEXT_NEXT = re.compile(r"\s*(?:\\(?:text|mathrm|,|;|quad|%)|[^\W\d_]{2,})")
_LETTER_NEXT = re.compile(
    r"\s*(?:[^\W\d_]|\(|\\(?:left|sqrt|pi|theta|alpha|beta|ln|log|sin|cos|tan)(?![a-zA-Z]))"
)
_ANY, _ALNUM = re.compile(r"\s*"), re.compile(r"\s*(?=[^\W_])")
_SPACE = re.compile(r"[^\S\n]+")
_UNARY = re.compile(r"(?:^|(?<=[=(\[,<>≤≥≈≠]))(\s*[±∓]) ")
_FORMULA = re.compile(
    r"(?P<code>(?P<fence>`{3,}|~{3,}).*?(?:(?P=fence)|\Z)|`[^`\n]*`)"
    r"|\\\[(?P<a>.+?)\\\]|\\\((?P<b>.+?)\\\)|\$\$(?P<c>[^$]+)\$\$"
    r"|\$(?=\S)(?P<d>[^$\n]*[\\^_=][^$\n]*)(?<=\S)\$(?!\d)",
    re.DOTALL,
)


def asks_for_latex(question: str) -> bool:
    """Whether a question is about LaTeX, so that an answer in it is what is wanted."""
    return _ABOUT_LATEX.search(question) is not None


def readable(claim: str) -> str:
    r"""A short answer without LaTeX: ``\frac{2}{5}`` as 2/5, ``x^{10}`` as x^10, ``3 \times 4`` as 3 × 4.

    What is no LaTeX, such as a path, a pattern, or code, stays as it is, and so does a formula with a command
    that is not known.
    """
    if not _is_formula(claim):
        return claim
    return _shown(_DOLLARS.sub(lambda match: match["inner"], claim)) or claim


def readable_text(text: str) -> str:
    """A text whose formulas, where they are marked as such, are readable; code stays as it is."""

    def plainly(match: re.Match[str]) -> str:
        inner = match["a"] or match["b"] or match["c"] or match["d"]
        return readable(f"${inner.strip()}$") if inner else match[0]

    return _FORMULA.sub(plainly, text) if "\\" in text or "$" in text else text


def _is_formula(text: str) -> bool:
    if not _MARKED.search(text) or len(text) > LONGEST or _PATH.match(text):
        return False
    if CODE_WORDS.fullmatch(text) or QUOTED.fullmatch(text) or _CODE.search(text):
        return False
    if "\n" in text.strip() and not text.lstrip().startswith(("\\begin", "\\[", "$", "\\left")):
        return False
    return all(name in KNOWN for name in _COMMAND.findall(text))


def _shown(formula: str) -> str:
    try:
        told = _Formula(formula).read()
    except ValueError:
        return ""
    told = _SPACE.sub(" ", told).strip()
    return re.sub(r" ([,;.)\]])", r"\1", _UNARY.sub(r"\1", re.sub(r"([(\[]) ", r"\1", told)))


class _Formula:
    """A formula that is read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def read(self, until: str = "") -> str:
        """What is shown up to the character ``until``, which is passed over, or to the end.

        Raises:
            ValueError: the formula is broken off, or nested too deeply.
        """
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        told = ""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == until:
                self._at += 1
                break
            told = self._next(told)
        else:
            if until:
                raise ValueError(f"a {until} is missing")
        self._depth -= 1
        return told

    def _next(self, told: str) -> str:
        """What is shown after the next sign, of which ``told`` was shown before."""
        char = self._text[self._at]
        if char == "\\":
            return self._command(told)
        self._at += 1
        match char:
            case "{":
                inner = self.read("}")
                return told + (f"{{{inner}}}" if "," in inner.strip(",") else inner)
            case "^" | "_":
                return told + self._script(char, told)
            case "~" if told[-1:].strip():
                return told + " "
            case "&":
                return told + ", "
            case "$" if not self._text[self._at : self._at + 1].isdigit():
                return told
            case "}":
                return told
        return told + char

    def _argument(self) -> str:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        if self._text[self._at : self._at + 1] == "{":
            self._at += 1
            return self.read("}").strip()
        if self._at >= len(self._text):
            raise ValueError("an argument is missing")
        return self._next("").strip()

    def _script(self, mark: str, told: str) -> str:
        raised = self._argument()
        if mark == "^" and raised in ("°", "′", "′′"):
            return raised
        if mark == "^" and told[-1:].isdigit() and raised in ("st", "nd", "rd", "th"):
            return raised
        return f"{mark}{raised}" if _SCRIPTS[mark].fullmatch(raised) else f"{mark}({raised})"

    def _command(self, told: str) -> str:
        found = _COMMAND.match(self._text, self._at)
        assert found is not None
        self._at, name = found.end(), found[1]
        if name in ESCAPED:
            return told + name
        if name in BETWEEN:
            return f"{told} {BETWEEN[name]} "
        if name in LETTERS:
            self._skip_space(before=_ALNUM)
            return told + LETTERS[name]
        if name in FUNCTIONS:
            spaced = f"{told} {name}" if told[-1:].isalnum() else told + name
            return spaced + (" " if self._text[self._at : self._at + 1] == "\\" else "")
        if name in NOTHING or name == "!":
            self._skip_space(before=_ANY)
            if name in ("left", "right") and self._text[self._at : self._at + 1] == ".":
                self._at += 1
            return told
        if name in SPACES:
            return told + " "
        if name in FRACTIONS:
            return self._fraction(told)
        if name in AS_THEY_ARE:
            return self._as_it_is(name, told)
        return self._other(name, told)

    def _skip_space(self, *, before: re.Pattern[str]) -> None:
        if found := before.match(self._text, self._at):
            self._at = found.end()

    def _fraction(self, told: str) -> str:
        above, below = self._argument(), self._argument()
        above = above if _ABOVE.fullmatch(above) or above.startswith("√(") else f"({above})"
        quotient = f"{above}/{below if _SIMPLE.fullmatch(below) else f'({below})'}"
        multiplies = _LETTER_NEXT.match(self._text, self._at) and not _TEXT_NEXT.match(self._text, self._at)
        if multiplies or self._text[self._at : self._at + 1] == "^":
            quotient = f"({quotient})"
        return f"{told} {quotient}" if told[-1:].isalnum() else told + quotient

    def _as_it_is(self, name: str, told: str) -> str:
        inner = self._argument() if name not in WORDS else self._words()
        if name == "mathbb":
            return told + BOARD.get(inner, inner)
        apart = name in WORDS and told[-1:].isascii() and told[-1:].isalnum() and inner[:1].isalnum()
        more = self._text[self._at : self._at + 1]
        return f"{told}{' ' * apart}{inner}{' ' * (name in WORDS and (more.isalnum() or more == chr(92)))}"

    def _words(self) -> str:
        """An argument that is text."""
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        if self._text[self._at : self._at + 1] != "{":
            return self._argument()
        self._at += 1
        return self.read("}")

    def _other(self, name: str, told: str) -> str:
        match name:
            case "sqrt":
                degree = ""
                if self._text[self._at : self._at + 1] == "[":
                    self._at += 1
                    degree = self.read("]").strip()
                inner = self._argument()
                inner = inner if re.fullmatch(r"[\d.]+|[^\W\d_]", inner) else f"({inner})"
                return told + (ROOTS[degree] + inner if degree in ROOTS else f"{inner}^(1/{degree})")
            case "overline":
                inner = self._argument()
                return told + ("".join(f"{char}\u0305" for char in inner) if inner.isdigit() else inner)
            case _ if name in CHOICES:
                return f"{told}C({self._argument()}, {self._argument()})"
            case "pmod":
                return f"{told} (mod {self._argument()})"
            case "begin":
                return told + self._environment()
            case "end":
                self._argument()
                return told
            case "\\":
                return f"{told.rstrip()}; "
        return told  # the delimiters of a formula

    def _environment(self) -> str:
        kind = self._argument().rstrip("*")
        if kind == "array":
            self._argument()
        end = self._text.find(rf"\end{{{kind}}}", self._at)
        end = len(self._text) if end < 0 else end
        rows = _Formula(self._text[self._at : end]).read().strip().rstrip("; ").split("; ")
        self._at = end
        if kind not in MATRICES:
            return "; ".join(row.strip(", ") for row in rows)
        if len(rows) == 1 or not any(", " in row for row in rows):
            return f"({', '.join(rows)})"
        return f"[{', '.join(f'[{row}]' for row in rows)}]"
