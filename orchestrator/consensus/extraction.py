"""What a branch claims: the short answer at the end of a long text."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.quantities import LATEX_TEXT, is_unit

How = Literal["boxed", "json", "marker", "choice", "number", "whole", "code"]

LONGEST_WHOLE = 160
"""Length in characters up to which a text without any marker is itself taken as the answer."""

WORDS_OF_A_SENTENCE = 3
"""Number of words from which a claim is a sentence, even if a part looks like mathematics ("in 10 s")."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A short answer, and how it was found (from the most explicit to the least).

    A claim that is a program has the ``outputs`` that running it gave, as JSON in one spelling.
    """

    text: str
    how: How
    outputs: str | None = None

    def __str__(self) -> str:
        return self.text


_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_COMMAND = re.compile(r"\\[a-zA-Z]")
_OBJECT = re.compile(r'\{(?=\s*+"(?:[^"\\]|\\.)*+"\s*+:)')
_BRACE = re.compile(r"(?<!\\)[{}]")
_HASHES = re.compile(r"^\s*####\s*(?P<answer>\S.*)$", re.MULTILINE)
_MARKER = re.compile(
    r"(?:\b(?:final\s+)?answer(?:\s+(?:is|would\s+be|equals|=)|\s*[:=])"
    r"|\b(?:correct|right|best)\s+(?:option|choice|answer)\s*(?:is|:))"
    r"(?:\s+(?:therefore|thus|that))?\s*[:=]?[ \t*_]*\n?[ \t*_]*(?P<answer>[^\n]+)",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"(?:the|my|our)\s+(?=(?:final\s+)?answer\s+is\b)", re.IGNORECASE)
_MARKDOWN = re.compile(r"\*\*|__|`")
_SENTENCE_END = re.compile(
    # Not after initials or a title: "St. Louis" and "St. Paul" are not both "St".
    r"(?<=[^\s.])(?<!\.[A-Z])(?<!\b[A-Z]\. [A-Z])(?<!\b(?:St|Dr|Mr|Ms|Mt|Ft))(?<!\bMrs)(?<!\bProf)\."
    r"(?!\s+[A-Z]\.)(?=\s+[A-Z(]|\s*$)|[!?](?=\s|$)"
)
_MONTH = r"(?-i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_FIGURES = r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+)(?:[.,]\d+)*"
_NUMBER = re.compile(
    # With all that is written together with it: the last figures alone of "10:30", "2024-01-02", "3 1/2",
    # "10^5" and "1,5" would be the same as those of many other answers.
    rf"\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s{_MONTH}(?:,?\s\d{{4}})?\b"
    rf"|(?<![\w.^])[-+−]?(?:[$€£¥]\s?)?(?:\d+\s(?=\d+/\d))?{_FIGURES}(?:\s?/\s?\d+)?(?:e[-+]?\d+)?"
    r"(?:\s?(?:[×x*·]|\\times|\\cdot)\s?10\s?\^\s?\{?[-+−]?\d+\}?)?"
    rf"(?:(?:[:/*×·–-]|\^\{{?[-−]?){_FIGURES})*(?:\s?%|\s?[ap]\.?m\b\.?)?",
    re.IGNORECASE,
)
_EQUATION = rf"(?<![\w\\])[A-Za-z]\w?\s*=\s*[-−]?{_FIGURES}"
_EQUATIONS = re.compile(rf"{_EQUATION}(?:(?:,\s*|\s+)(?:(?:and|or)\s+)?{_EQUATION})+")
_BRACKETS = re.compile(r"[\[({](?:[^\[\](){}]|[\[({][^\[\](){}]*[\])}])*[\])}]")
_UNIT_WORD = r"((?:[^\W\d_]|[°µ])[^\s\d.,;:!?()$\\*]*(?:[23](?!\w))?)"
_UNIT_AHEAD = re.compile(rf"\s?{_UNIT_WORD}")
_UNIT_BEHIND = re.compile(rf"{_FIGURES}\s?{_UNIT_WORD},?\s+(?:and\s+)?$")
_YES_NO = re.compile(r"\W*(yes|no)\b(?!\.\s*\d)(?:\s*(?:$|[.,;:!—–])|\s+-\s)", re.IGNORECASE)
_PROVISO = re.compile(
    r"\b(?:but|if|only|unless|except|provided|although|though|however|not always|yes|no)\b", re.I
)
_WORD = re.compile(r"(?<![\\\w])[^\W\d_]{2,}")
_REFUSAL = re.compile(
    r"^\W*(?:i['’]?m\s+sorry|sorry|i\s+apologi[sz]e|as\s+an?\s+(?:ai|language)"
    r"|i\s+(?:don['’]?t|do\s+not)\s+know\b|(?:i\s+have\s+)?no\s+idea\b"
    r"|(?:unfortunately,?\s+)?i\s*(?:['’]m|\s+am)?\s*(?:cannot|can['’]?t|can\s+not|won['’]?t|unable|not\s+able)\b)",
    re.IGNORECASE,
)
_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}+|~{3,}+)[^`\n]*+\n(?P<code>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z(?P<open>))",
    re.MULTILINE | re.DOTALL,
)
_THOUGHT_END = "</think>"
_NOTHING = frozenset({"", "none", "null", "n/a", "na", "err", "error", "unknown", "?", "...", "…"})


def extract_claim(text: str, *, choices: Sequence[str] = (), truncated: bool = False) -> Claim | None:
    """The claim of ``text``, or None if it makes none: it is empty, cut off, or a refusal.

    Looked for in this order, the last occurrence of each: ``\\boxed{}``, a JSON object with ``answer``,
    ``#### x``, "the answer is x" or "Answer: x", one of ``choices`` (labels such as "A"), the whole text
    if it is not a sentence, a number with all that is written together with it or the LaTeX formula around
    it, and finally the whole text if it is short. If a yes or no comes with reasons, the word is the claim.
    ``truncated`` says that the engine stopped for length: the last words of such a text are not its
    conclusion, so it claims nothing.
    """
    body = _conclusion(text, truncated)
    if body is None:
        return None
    for how, found in _candidates(body, choices):
        answer = _tidy(found)
        if answer.casefold() not in _NOTHING:
            if how in ("boxed", "json", "marker") and _REFUSAL.match(answer):
                return None
            return Claim(_as_choice(answer, choices) or _as_yes_no(answer) or answer, how)
        if how in ("boxed", "json") or (how == "marker" and answer):
            return None  # an explicit "no answer" is an answer that abstains
    return None


def extract_code(text: str, *, truncated: bool = False) -> Claim | None:
    """The program that ``text`` ends with: its last fenced block.

    None if there is none, or if that block is empty or not closed; ``truncated`` as above.
    """
    body = _conclusion(text, truncated)
    blocks = list(_FENCE.finditer(body)) if body is not None else []
    if not blocks or blocks[-1]["open"] is not None:
        return None
    code = textwrap.dedent(blocks[-1]["code"]).strip("\n")
    return Claim(code, "code") if code.strip() else None


def _conclusion(text: str, truncated: bool) -> str | None:
    """What was said after thinking; None if the text did not get that far."""
    if truncated or ("<think>" in text and _THOUGHT_END not in text):
        return None
    return text.rpartition(_THOUGHT_END)[2].strip()


def _candidates(body: str, choices: Sequence[str]) -> Iterator[tuple[How, str]]:
    boxed = _last_boxed(body)
    if boxed is not None:
        yield "boxed", boxed
    elif _BOXED.search(body):
        return  # a box that never closes means that the text was cut off
    if (value := _json_answer(body)) is not None:
        yield "json", value
    if hashes := _HASHES.findall(body):
        yield "marker", hashes[-1]
    if (marked := _last_marked(body)) is not None:
        yield "marker", marked
    if _REFUSAL.match(body):
        return
    if choices:
        if (letter := _last_choice(body, choices)) is not None:
            yield "choice", letter
        return  # a number or a sentence does not answer a multiple-choice question
    if len(body) <= LONGEST_WHOLE and _YES_NO.match(body):
        yield "whole", body
    elif _terse(body):
        yield "whole", _right_side(body)
    elif (figures := _last_figures(body)) is not None:
        yield "number", figures
    elif len(body) <= LONGEST_WHOLE:
        yield "whole", body


def _terse(body: str) -> bool:
    """Whether the text is an answer, not a sentence, like "10:30 am", "x > 5" or "5 km"; no bare numbers."""
    return (
        len(body) <= LONGEST_WHOLE
        and "\n" not in body
        and not _WORD.match(body)
        and len(_WORD.findall(body)) < WORDS_OF_A_SENTENCE
        and not _NUMBER.fullmatch(body.rstrip("."))
    )


def _last_figures(body: str) -> str | None:
    """The last number with its unit, or the formula, the brackets or the equations that it is part of."""
    numbers = list(_NUMBER.finditer(body))
    if not numbers:
        return None
    number = numbers[-1]
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), ("$", "$")):
        end = body.rfind(closing)
        begin = body.rfind(opening, 0, max(0, end))
        if 0 <= begin < number.start() and number.end() <= end:
            formula = body[begin + len(opening) : end]
            if opening != "$" or _COMMAND.search(formula):  # otherwise it is money
                return _right_side(formula)
    line = body.rfind("\n", 0, number.start()) + 1  # a list or an equation does not span lines
    for whole in (*_BRACKETS.finditer(body, line), *_EQUATIONS.finditer(body, line)):
        listed = whole.re is _EQUATIONS or ("," in whole[0] and not _WORD.search(whole[0]))
        inside = whole.start() <= number.start() and number.end() <= whole.end()
        if listed and inside and len(whole[0]) <= LONGEST_WHOLE:
            return whole[0]
    return _with_units(body, number)


def _with_units(body: str, number: re.Match[str]) -> str:
    """The number with its unit, if that is known, and with larger units before it: 3 hours 20 min."""
    begin, end = number.span()
    ahead = _UNIT_AHEAD.match(body, end)
    if ahead is None or not is_unit(ahead[1]) or (ahead[1] == "in" and body[ahead.end() :].strip(".)*")):
        return number[0]
    lowest = max(0, begin - LONGEST_WHOLE)
    while (behind := _UNIT_BEHIND.search(body, lowest, begin)) and is_unit(behind[1]):
        begin = behind.start()
    return body[begin : ahead.end()]


def _last_marked(body: str) -> str | None:
    """What follows the last marker; those inside answers, as in "5, since the answer is odd", are skipped."""
    answer, at = None, 0
    while match := _MARKER.search(body, at):
        begin = match.start("answer")
        again = _AGAIN.match(body, begin)
        if again is not None:  # "Final answer: The final answer is 42."
            at = again.end()
            continue
        answer = _first_sentence(match["answer"])
        at = begin + max(1, len(answer))
    return answer


def _right_side(text: str) -> str:
    """What an equation ends with; the whole text if there is no equation or there are several."""
    left, equals, right = text.rpartition("=")
    unequal = left[-1:] in ("<", ">", "!", ":", "")
    return text if not equals or unequal or "," in text or _WORD.search(left) else right


def _last_boxed(body: str) -> str | None:
    """What the last closed box holds; found in one pass, as a model may repeat itself endlessly."""
    boxes = {match.end() for match in _BOXED.finditer(body)}
    opened: list[int] = []
    last: tuple[int, int] | None = None
    for brace in _BRACE.finditer(body):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened and (begin := opened.pop()) in boxes and (last is None or begin > last[0]):
            last = begin, brace.start()
    return None if last is None else body[slice(*last)]


def _json_answer(body: str) -> str | None:
    if '"answer"' not in body:
        return None
    answer: str | None = None
    for value in json_objects(body, _OBJECT):
        if "answer" in value:
            found = value["answer"]
            answer = found if isinstance(found, str) else json.dumps(found, sort_keys=True)
    return answer


def _last_choice(body: str, choices: Sequence[str]) -> str | None:
    labels = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    bracketed = re.findall(rf"[(\[]({labels})[)\]]", body)
    alone = re.findall(rf"(?<![\w'’])({labels})(?=[).:,;!?\s]|$)(?!\s+[a-z])", body)
    found = bracketed or alone
    return found[-1] if found else None


def _as_choice(answer: str, choices: Sequence[str]) -> str | None:
    """The label that ``answer`` begins with, as in "(B) the second one"; None if it names several."""
    if not choices:
        return None
    labels = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    plain = re.sub(r"[$\\{}]", " ", LATEX_TEXT.sub(r" \1", answer)).strip()
    begin = re.match(
        rf"(?:(?:option|choice)\s+)?[(\[]?(?:({labels})(?=[)\].:,]|$)|(?-i:({labels}))(?=\s))",
        plain,
        re.IGNORECASE,
    )
    several = rf"[)\]]?\s*(?:[,&/]|and\b|or\b|nor\b)[\s(\[]*(?:{labels})\b"
    if begin is None or re.match(several, plain[begin.end() :]):
        return None
    found = (begin[1] or begin[2]).casefold()
    return next(choice for choice in choices if choice.casefold() == found)


def _as_yes_no(answer: str) -> str | None:
    """The yes or no that ``answer`` begins with and only explains, as in "No, it is not"."""
    begin = _YES_NO.match(answer)
    return None if begin is None or _PROVISO.search(answer, begin.end()) else begin[1]


def _first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    return text[: end.start()] if end else text


def _tidy(text: str) -> str:
    text = _MARKDOWN.sub("", text).strip()
    while len(text) > 1 and (text[0], text[-1]) in {("$", "$"), ('"', '"'), ("'", "'"), ("“", "”")}:
        text = text[1:-1].strip()
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.endswith(closing):
            text = text[2:-2].strip()
    if wrapped := LATEX_TEXT.fullmatch(text):
        return _tidy(wrapped[1])
    return text.rstrip(".,;:! \n，。；：！") if not text.endswith("...") else text
