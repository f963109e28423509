"""What looks like a number or a word and names something: versions, code literals, labels, steps."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction
from math import gcd, lcm

from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.numbers import read_number
from orchestrator.consensus.quantities.patterns import lazily

_VERSION = lazily(
    r"(?:(?P<product>[A-Za-z][\w.+#-]*)\s+)?(?:(?P<word>version|release|ver\.?"
    r"|v\.?)\s*(?=\d))?(?P<figures>\d+(?:\.\d+){1,3}(?:[-.]?(?:rc|a|b|alpha|beta)\.?\d*)?)"
    r"(?:\s+of\s+(?P<owner>[A-Z]\w*))?",
    re.IGNORECASE,
)
_PROPORTION = lazily(r"\d{1,9}(?:\.\d{1,6})?(?:(?:\s?:\s?|\sto\s)\d{1,9}(?:\.\d{1,6})?){2,9}")
_GROUPED = lazily(r"\d{1,3}(?:\.\d{3})+")
_LONGEST_LITERAL = 40
_BASES = (
    (
        lazily(
            r"0x(?P<digits>[0-9a-f]+)|(?P<a>[0-9a-f]+)(?:_\{?16\}?|\s+(?:in\s+)?hex(?:adecimal)?"
            r"|\s*\(hex(?:adecimal)?\))",
            re.I,
        ),
        16,
    ),
    (
        lazily(
            r"0b(?P<digits>[01]+)|(?P<a>[01]+)(?:_\{?2\}?|\s+(?:in\s+)?binary|\s*\(binary\)|\s+base\s+2)",
            re.I,
        ),
        2,
    ),
    (
        lazily(
            r"0o(?P<digits>[0-7]+)|(?P<a>[0-7]+)(?:_\{?8\}?|\s+(?:in\s+)?octal|\s*\(octal\)|\s+base\s+8)",
            re.I,
        ),
        8,
    ),
    (
        lazily(
            r"(?!\d+e\d+$)(?P<digits>\d+[a-f][0-9a-f]*|[a-f]+\d[0-9a-f]*|[A-F]{2,8}|[a-f]{2})(?P<a>(?!))?"
        ),
        16,
    ),
)
_LABEL = lazily(
    r"(?:(?:option|choice|answer)\s+)?(?:\(\s*(?P<a>[A-Ha-h])\s*\)|(?P<b>[A-H])(?=$"
    r"|[.):]))[.):]?(?:\s+(?P<text>\S.*))?"
)
_FURTHER = lazily(r"(?:(?:and|or|nor)\b|[,&/])\s*\(?[A-H]\b")
_OPTION = lazily(
    r"(?:option|choice|statement|answer|number|no\.|nr\.|#|№)\s*\(?(?P<what>\d{1,3}|[A-Ha-h])\)?",
    re.IGNORECASE,
)
_DIVIDED = lazily(
    r"(?:(?:the\s+)?quotient\s+(?:is\s+)?)?(?P<quotient>\d{1,9}),?\s*(?:and\s+|with\s+)?(?:an?\s+|the\s+)?"
    r"(?:R|r|rem\.?|remainder)\s*(?:of\s+|is\s+)?(?P<rest>\d{1,9})"
)
_NUMBERED = lazily(
    r"(?P<word>step|chapter|position|place|question|exercise|problem|page|line|row|column|day"
    r"|week|figure|level)\s+(?P<which>\d{1,4}|[a-z-]+)",
    re.I,
)


_GROWTH = lazily(
    r"(?:\\mathcal\s*\{?\s*)?(?P<sign>[OoΘΩ])\s*\}?\s*\(\s*(?P<inside>[^=<>]{1,60})\)(?:\s+time)?"
)
_GROWTHS = {
    "constant time": "1",
    "linear time": "n",
    "linear": "n",
    "quadratic time": "n^2",
    "quadratic": "n^2",
    "cubic time": "n^3",
    "cubic": "n^3",
    "logarithmic time": "logn",
    "logarithmic": "logn",
    "linearithmic time": "nlogn",
    "linearithmic": "nlogn",
}


def _growth(text: str) -> Meaning | None:
    """O(n log n), however it is set."""
    if (inside := _GROWTHS.get(text.casefold())) is not None:
        return Meaning("growth", ("O", inside))
    match = _GROWTH.fullmatch(text)
    if match is None or match["inside"].count("(") != match["inside"].count(")"):
        return None
    inside = re.sub(r"log_?\{?(?:2|10)\}?(?!\d)|lg|ln", "log", match["inside"].casefold().replace("**", "^"))
    inside = re.sub(r"log\s*\(\s*(\w)\s*\)", r"log\1", inside)
    return Meaning("growth", (match["sign"], re.sub(r"[\s{}\\*·×]|cdot", "", inside)))


def read_ratio_of_several(text: str) -> Meaning | None:
    """2:3:5, in its least whole numbers."""
    if not _PROPORTION.fullmatch(text):
        return None
    terms = [Fraction(term) for term in re.findall(r"\d+(?:\.\d+)?", text)]
    whole = [int(term * lcm(*(each.denominator for each in terms))) for term in terms]
    return Meaning("proportion", tuple(each // gcd(*whole) for each in whole)) if any(whole) else None


def read_identifier(text: str) -> Meaning | None:
    """What is named, with what tells it apart from others of its kind."""
    if len(text) > 80:
        return None
    figures = any(map(str.isdigit, text))
    if figures and (match := _DIVIDED.fullmatch(text)):
        return Meaning("division", (int(match["quotient"]), int(match["rest"])))
    if "." in text and figures and (match := _VERSION.fullmatch(text)):
        version = match["figures"].casefold()
        product = (match["product"] or match["owner"] or "").casefold()
        if match["word"] or product or (version.count(".") == 2 and not _GROUPED.fullmatch(version)):
            return Meaning("version", (version,), (), "" if product in ("version", "release") else product)
    for pattern, base in _BASES if len(text) <= _LONGEST_LITERAL else ():
        if match := pattern.fullmatch(text):
            digits = match["digits"] or match["a"]
            return Meaning("literal", (base, digits.casefold().lstrip("0") or "0"))
    if (growth := _growth(text)) is not None:
        return growth
    if (match := _LABEL.fullmatch(text)) and not _FURTHER.match(match["text"] or ""):
        return Meaning("label", ((match["a"] or match["b"]).upper(),), (), _words(match["text"] or ""))
    if match := _OPTION.fullmatch(text):
        return Meaning("label", (match["what"].upper(),))
    if match := _NUMBERED.fullmatch(text):
        number = read_number(match["which"].casefold())
        if number is not None and number.end == len(match["which"]):
            return Meaning("numbered", (match["word"].casefold(), number.value))
    return None


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
