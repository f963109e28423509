"""What a figure is: a number with all that is written together with it, a date, list, formula or word."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.consensus.quantities.patterns import lazily

LONGEST_LIST = 160
"""Length in characters up to which brackets or equations are one figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure at ``begin`` to ``end`` of a text. ``text`` is what it comes to, ``full`` all of it.

    ``kind`` is "number" or "words", to which a unit may belong; "date", "formula", "list", or "equations".
    """

    begin: int
    end: int
    text: str
    full: str
    kind: str


_ONES = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    "|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|zero"
)
_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth"
    "|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|fortieth|fiftieth|hundredth"
)
_IN_DAYTIME = r"(?:\s(?:o['’]clock\s)?(?:in\sthe\s(?:early\s)?(?:morning|afternoon|evening)|at\snight)\b)"
_DAYTIME = rf"(?:\so['’]clock)?{_IN_DAYTIME}?"
_MONTH = r"(?-i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)(?-i:[a-z]*)\b\.?"
FIGURES = r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+)(?:[.,'’]\d+)*"
_RAISED = r"⁰¹²³⁴-⁹⁺⁻"
_SYMBOL = r"(?:US|C|A|HK|R)?[$€£¥₹₩₽]"
_DATE = (
    rf"\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s(?:of\s)?\d{{4}}\b)?|\b{_MONTH}(?:,|\sof)?\s\d{{4}}\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}}\b)?"
    rf"|\b(?:(?:twenty|thirty)[\s-])?(?:{_ORDINALS})\s(?:day\s)?of\s{_MONTH}(?:,?\s(?:of\s)?\d{{4}}\b)?"
    rf"|\b{_MONTH}\sthe\s(?:(?:twenty|thirty)[\s-])?(?:{_ORDINALS})\b(?:,?\s(?:of\s)?\d{{4}}\b)?"
    rf"|\b(?:half|(?:a\s)?quarter|ten|twenty|five|\d{{1,2}}(?:\sminutes)?)\spast\s\d{{1,2}}\b{_DAYTIME}"
    rf"|\b(?:a\s)?quarter\sto\s\d{{1,2}}\b(?!:){_DAYTIME}"
    rf"|(?<![\d:.,])\d{{1,2}}(?:[:.]\d\d|\so['’]clock)?{_IN_DAYTIME}"
    r"|(?<![\w-])\d{1,9}-(?:in|out-of)-\d{1,9}\b(?:\s(?:chance|probability)\b)?"
    rf"|\b\d{{4}}年(?:\d{{1,2}}月(?:\d{{1,2}}日)?)?"
)
_DEGREES = r"\d+(?:\.\d+)?°\s?\d+(?:\.\d+)?['′](?:\s?\d+(?:\.\d+)?[\"″])?"
_NUMBER = (
    # With all that is written together with it: the last figures alone of "10:30", "2024-01-02", "3 1/2",
    # "10^5" and "5kN" would be the same as those of many other answers.
    rf"(?<![^\W぀-鿿가-힣])(?<![.^])(?<![A-Za-z]-)(?<![A-Za-z][A-Za-z\d]\))(?:[-+−](?=[\d.$€£¥]))?(?:{_SYMBOL}\s?[-−]?|(?:USD|EUR|GBP"
    rf"|JPY|Rs\.?)\s)?"
    rf"(?:\d+\s(?=\d+/\d))?(?:{FIGURES}|\.\d+)(?:[½⅓⅔¼¾⅕-⅞])?(?:\s?/\s?\d+(?:\.\d+)?)?(?:e[-+−]?\d+)?"
    r"(?:\s?(?:[×x*·]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?[-+−]?\d+\}?)?"
    rf"(?:(?:[:/×·–-]|\*\*?|\s\*\*\s|\^\{{?[-−]?){FIGURES}\}}?)*[{_RAISED}]*(?:!+(?!=)|[½⅓⅔¼¾⅕-⅞])?"
    r"(?:\s?(?:\\?%|‰)|\s?[ap]\.?\s?m\b\.?|['’]s\b)?"
    r"(?:(?:[°µμΩ℃℉€£¥₹'\"′″]|[^\W\d_])[\w°µμΩ·^/²³⁻¹]*)?"
)
_SINGLE = r"[⁰¹²³⁴-⁹]+[CP][₀-₉]+|(?<!\w)[-−]?\d*[½⅓⅔¼¾⅕-⅞]|(?<!\w)(?:[-−]|(?<!\w))(?:π|∞|√\d+)"
_ANY = lazily(rf"(?P<date>{_DATE})|(?P<degrees>{_DEGREES})|(?P<number>{_NUMBER}|{_SINGLE})", re.IGNORECASE)
_EQUATION = rf"(?<![\w\\])[A-Za-z]\w?\s*=\s*[-−]?{FIGURES}(?:/\d+)?"
_EQUATIONS = lazily(rf"{_EQUATION}(?:(?:,\s*|\s+)(?:(?:and|or)\s+)?{_EQUATION})+")
_BOUND = lazily(
    rf"(?<![\w\\])(?:[-−]?{FIGURES}\s*(?:<=?|≤|⩽)\s*)?[A-Za-z]\w?\s*(?:[<>]=?|[≤≥≠⩽⩾]|!="
    rf"|=/=)\s*[-−]?{FIGURES}"
    rf"(?:\s+(?:and|or)\s+[A-Za-z]\w?\s*(?:[<>]=?|[≤≥≠⩽⩾])\s*[-−]?{FIGURES})?"
)
_BRACKETS = lazily(
    r"(?:(?<![\w\\.])[A-Za-z][\w.]{0,15}(?=\())?(?P<inside>[\[({](?:[^\[\](){}]"
    r"|[\[({][^\[\](){}]*[\])}])*[\])}])"
)
_ORDER = lazily(r"(?<![\w\\])[OoΘΩ]\((?:[^()\n]|\([^()\n]*\)){1,60}\)")
_WORD = lazily(r"(?<![\\\w])[^\W\d_]{2,}")
_COMMAND = lazily(
    r"(?<![\w\\])(?:[-+−]?\d*)?\\[a-zA-Z]+(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\[[^\]\n]*\]"
    r"|[\^_][\w{])*"
    r"(?:[\^_]\{[^{}]*\}|[^\s\\{},.;:]*\\[a-zA-Z]+(?:\{(?:[^{}]|\{[^{}]*\})*\})*)*[\w!^}]*"
)
_SPAN = lazily(
    r"\\\[(?P<a>.{0,2000}?)\\\]|\\\((?P<b>.{0,1000}?)\\\)|\$\$(?P<c>.{1,2000}?)\$\$"
    r"|\\begin\{(?P<name>align|equation|gather|multline|aligned)\*?\}(?P<d>.{0,2000}?)\\end\{(?P=name)\*?\}"
    r"|(?<![\w\\])\$(?![\s$])(?P<e>[^$\n]{1,300}?)(?<!\s)\$(?![\d$])",
    re.DOTALL,
)
_TEXT = lazily(r"\\(?:text|mathrm|textbf|mathbf|mbox|textit|operatorname)\s*\{[^{}]*\}")
_ENVIRONMENT = lazily(r"\\(?:begin|end)\{[a-zA-Z]+\*?\}")
_NAMED = lazily(r"\\[a-zA-Z]+")
_PROSE = lazily(r"(?<![\\\w])[^\W\d_]{3,}")
_ROWS = lazily(r"\\\\(?:\[[^\]]*\])?|\\newline|\\begin\{[a-z]+\*?\}|\\end\{[a-z]+\*?\}")
_NUMBERED = lazily(r"\\(?:tag\*?|label)\s*\{[^{}]*\}|\\(?:nonumber|notag)(?![a-zA-Z])")
_SPACES = lazily(r"\\(?:quad|qquad)(?![a-zA-Z])|\\[,;: ]$|&")

_SCALES = "hundred|thousand|million|billion|trillion|dozen"
_PARTS = (
    "halves|half|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?"
    "|hundredths?|thousandths?|millionths?|billionths?"
)
_CARDINAL = (
    rf"(?:(?:{_ONES}|one)(?:[\s-](?:{_ONES}|one))*(?:[\s-](?:{_SCALES})(?:\s+and)?(?:[\s-](?:{_ONES}|one))*)*"
    rf"|an?\s+(?:{_SCALES})(?:\s+(?:and\s+)?(?:{_ONES}))*)"
)
_HOUR = rf"(?:{_ONES}|one|noon|midnight)"
_CLOCK = (
    rf"(?:half|(?:an?\s+)?quarter|(?:{_ONES})(?:[\s-](?:{_ONES}))?(?:\s+minutes)?)\s+past\s+{_HOUR}{_DAYTIME}"
    rf"|(?:(?:an?\s+)?quarter|(?:{_ONES})(?:[\s-](?:{_ONES}))?\s+minutes)\s+to\s+{_HOUR}{_DAYTIME}"
    rf"|(?:{_ONES}|one)(?:\so['’]clock){_DAYTIME}|(?:{_ONES}|one){_IN_DAYTIME}|(?:12\s|twelve\s)?(?:noon"
    rf"|midnight)"
)
_WORDS = lazily(
    rf"\b(?:(?:minus|negative)\s+)?(?:{_CLOCK}|an?\s+[^\W\d_]+\s+and\s+a\s+(?:half|quarter)"
    rf"|{_CARDINAL}[\s-](?:and\s+(?:an?\s+)?)?(?:{_PARTS})"
    rf"|(?:an?\s+)?(?:half|quarter|third|fifth|tenth)(?=\s+(?:of|an?)\b|\s*$)|half(?=\s)"
    rf"|(?:(?:{_ONES})[\s-])?(?:{_ORDINALS})(?=\s*$|\s+place\b)"
    rf"|(?<=the\s)(?:(?:{_ONES})-)?(?:{_ORDINALS})(?=\s\w+$)"
    rf"|{_CARDINAL}(?:\s+(?:and\s+)?a\s+half|[\s-](?:{_ORDINALS})(?=\s*$))?)(?!\w)",
    re.IGNORECASE,
)
_LONE_ONE = lazily(r"one", re.IGNORECASE)
_SHARED = lazily(r"\s+(?:in|out\s+of)\s", re.IGNORECASE)


def is_figure(text: str) -> bool:
    """Whether the text is nothing but one number or date, such as "10:30 am"."""
    return _ANY.fullmatch(text) is not None


def right_side(text: str) -> str:
    """What an equation ends with; the whole text if there is no equation or there are several."""
    text = _IMPLIED.split(text)[-1]
    left, equals, right = text.rpartition("=")
    unequal = left[-1:] in ("<", ">", "!", ":", "")
    if not equals or unequal:
        member = _MEMBER.match(text)
        return text[member.end() :] if member else text
    if _SYMBOL_LEFT.fullmatch(left) and _BRACKETED.match(right):
        return right
    words = _WORD.search(_NO_WORDS.sub("", _ENVIRONMENT.sub("", _TEXT.sub("", left))))
    return text if _several(text) or words else right


_IMPLIED = lazily(r"\\(?:implies|Rightarrow|Longrightarrow|iff)(?![a-zA-Z])|[⇒⟹]")
_MEMBER = lazily(r"\s*[A-Za-z]\s*(?:\\in(?![a-zA-Z])|∈)\s*(?=\\?[\[({])")
_SYMBOL_LEFT = lazily(r"\s*[A-Za-z]\w?(?:\^\{?-?\w\}?)?\s*")
_BRACKETED = lazily(r"\s*(?:\\left\s*)?\\?[\[({]")
_NO_WORDS = lazily(r"\b(?:[A-Z]{2,3}|d[a-z]|sin|cos|tan|log|ln|exp|det|gcd|lcm|max|min)\b")


def _several(text: str) -> bool:
    return bool(
        re.search(
            r",(?!\d{3}(?!\d)|\\?!)|\\(?:text|mbox)\s*\{\s*(?:or|and)\b|\\(?:lor|vee|land|wedge)\b", text
        )
    )


def display(content: str) -> tuple[str, str]:
    """The right side of the last line of a formula that may have several lines, and that whole line."""
    content = _NUMBERED.sub("", content)
    matrix = re.search(r"\\begin\{(?:[pbvBV]?matrix|cases|array)\}", content)
    rows = [content] if matrix else [row for row in _ROWS.split(content) if row.strip(" \t\n&")]
    spaced = rows[-1] if matrix else _SPACES.sub(" ", rows[-1] if rows else "")
    last = " ".join(spaced.split()).rstrip(".,; ")
    last = last.removeprefix("=").strip()
    return right_side(last).strip(), last


def formula_spans(text: str) -> list[tuple[int, int, str]]:
    """Where formulas begin and end, with their delimiters, and what is in them; money is no formula."""
    spans = []
    for match in _SPAN.finditer(text):
        content = next(match[name] for name in "abcde" if match[name] is not None)
        prose = _PROSE.search(_NAMED.sub("", _ENVIRONMENT.sub("", _TEXT.sub("", content))))
        if content.strip() and (match["e"] is None or not prose):
            spans.append((*match.span(), content))
    return spans


def figures(text: str) -> list[Figure]:
    """The figures of one sentence, in their order; number words only if there are no others."""
    found: list[Figure] = []
    rest = text
    for begin, end, content in formula_spans(text):
        side, line = display(content)
        if side:
            found.append(Figure(begin, end, side, line, "formula"))
        rest = _blanked(rest, begin, end)
    for pattern, kind in (
        (_ORDER, "formula"),
        (_EQUATIONS, "equations"),
        (_BOUND, "equations"),
        (_BRACKETS, "list"),
        (_COMMAND, "formula"),
    ):
        for match in pattern.finditer(rest):
            inside = match["inside"] if kind == "list" else ""
            listed = kind != "list" or (
                "," in inside and not _WORD.search(inside) and re.search(r"\d", inside)
            )
            if listed and match[0].strip() and len(match[0]) <= LONGEST_LIST:
                found.append(Figure(*match.span(), match[0], match[0], kind))
                rest = _blanked(rest, *match.span())
    for match in _ANY.finditer(rest):
        kind = "date" if match["date"] else "number"
        found.append(Figure(*match.span(), match[0], match[0], kind))
    if not found:
        found = [
            Figure(*match.span(), match[0], match[0], "words")
            for match in _WORDS.finditer(rest)
            if not _LONE_ONE.fullmatch(match[0]) or _SHARED.match(rest, match.end())
        ]
    return sorted(found, key=lambda figure: figure.begin)


def _blanked(text: str, begin: int, end: int) -> str:
    return text[:begin] + "\0" * (end - begin) + text[end:]
