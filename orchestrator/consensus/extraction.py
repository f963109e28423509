"""What a branch claims: the short answer at the end of a long text."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.consensus.reading import forms
from orchestrator.consensus.reading.clauses import affirmed
from orchestrator.consensus.reading.conclusions import conclusion
from orchestrator.consensus.reading.languages import ENGLISH, LANGUAGES, Language, language_of
from orchestrator.consensus.reading.numerals import display, formula_spans, is_figure, right_side
from orchestrator.consensus.reading.phrases import trimmed, uncounted
from orchestrator.consensus.reading.predicates import (
    WORDS_OF_A_VALUE,
    code,
    expression,
    labelled,
    predicate,
)
from orchestrator.consensus.reading.sentences import masked, sentences, without_citations, without_notes
from orchestrator.consensus.reading.spelling import folded, plain
from orchestrator.consensus.reading.words import COPULAS, PREDICATING, YIELDING, either
from orchestrator.consensus.thinking import split_thinking

How = Literal["boxed", "json", "marker", "choice", "number", "whole", "code"]

LONGEST_WHOLE = 160
"""Length in characters up to which a text without any marker is itself taken as the answer."""

TAIL = 4_000
"""Length in characters of the end of a text in which a conclusion without any mark is looked for."""

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


_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TAGS = re.compile(r"</?(?:b|i|em|strong|p|span|u|code|sub|sup|div)>", re.IGNORECASE)
_ITALIC = re.compile(r"(?<![\w*\\])\*(?=[^\s*\d])([^*\n]{1,80}?)(?<=\S)\*(?![\w*])")
_MARKDOWN = re.compile(r"(?<![\w)\]])(?:\*\*|__)|(?:\*\*|__)(?![\w(])|`")
_STRUCK = re.compile(r"(?<!~)~~(?!~)[^~\n]{1,400}~~(?!~)")
_WHOLE_LINE = re.compile(
    r"\s*(?:\*\*|__)(?P<bold>[^*_\n]{1,160}?)[.:]?(?:\*\*|__)[.\s]*|\s*[(\[](?P<label>[A-H])[)\]][.\s]*"
)
_YES_NO = re.compile(r"\W*(yes\b|no\b(?!\.\s*\d))(?:\s*(?:$|[.,;:!—–])|\s+-\s)", re.IGNORECASE)
_YES_NO_WORDS = {word: "yes" for each in LANGUAGES for word in each.yes.split()} | {
    word: "no" for each in LANGUAGES for word in each.no.split()
}
_WORD_OF_YES_NO = re.compile(r"\W*([^\W\d_]+)(?!\.\s*\d)(?:\s*[.,;:!—–]|\s+-\s)")
_HENCE_YES_NO = re.compile(
    r"(?:^|[\s,;])(?:so|hence|thus|therefore|is),?\s+[*_]*(?P<what>yes|no)[*_]*\s*(?:[,.;:!—–]|$)",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\W*\(|\W*(?:that|this)\s+is\s+[^.!?]{1,30}\s(?:more|less|fewer|\w+er)\s+than\b", re.IGNORECASE
)
_DENIES = re.compile(
    r"\b(?:does|do|did|is|are|was|were|has|have|had|can|could|will)\s+(?:not|no|never)\b|\b(?:none|neither|no\s+\w+\s+\w+)\b"
    r"|\b(?:do|does|did|is|are|was|were)n['’]t\b|\b(?:is|are|was|were)\s+(?:\w+\s+)?\w+er\s+than\b",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(?:the\s+)?(?:option|choice|answer|statement)\s+(?:no\.\s*|number\s+)?(?=\(?\d{1,2}\)?$)", re.IGNORECASE
)
_LISTED_OPTION = re.compile(r"^[ \t>*_(-]*(?P<label>[A-H])[*_]*[).:](?=[*_\s])", re.MULTILINE)
_SAYING = re.compile(rf"\b(?:{either(COPULAS + YIELDING + PREDICATING)})\b", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"^\$?[A-Za-z](?:_\{?\w+\}?)?\s*=\s*(?=[^=,;<>]*$)(?=[-−]?[\d.,]+(?!\d)\s*\\?[^\d\s=]|[^=]*\\(?:text|mathrm))"
)
_PROVISO = re.compile(
    r"\b(?:but|if|only|unless|except|provided|although|though|however|not always|yes|no)\b", re.I
)
_WORD = re.compile(r"(?<![\\\w])[^\W\d_]{2,}")
_FIGURE = re.compile(r"\d")
_EXPLAINED = re.compile(
    r",?\s+i\.e\.,?\s|,\s+(?:since|because|as|so|where|which|given that)\s|\s+because\s|\s+—\s"
)
_CORRECTION = re.compile(
    r"(?:^|(?<=[.!?…\n。]))\W*(?:(?:oh|hmm|no|oops|but)\W+)*(?:wait|actually|correction|sorry|scratch that"
    r"|on second thought"
    r"|let me (?:re-?check|correct|reconsider|redo|fix)|i made (?:a|an) (?:mistake|error)|that(?:['’]s|"
    r" is| was)"
    r" (?:wrong|incorrect|not (?:right|correct)|a mistake))\b[^\S\n]*",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(r"\b(?:wrong|incorrect|mistaken?|error|not (?:right|correct))\b", re.IGNORECASE)
_RELATION = re.compile(r"[<>≤≥≠=]|!=|\\(?:leq?|geq?|neq?|in)(?![a-zA-Z])|,")
_ITEMS = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+([^\n]+)$", re.MULTILINE)
_STEP = re.compile(r"\b(?:so|thus|hence|therefore)\b", re.IGNORECASE)
_STARTS = re.compile(
    r"^\W*(?:so|thus|hence|therefore|in conclusion|consequently|as a result)\b,?\s*", re.IGNORECASE
)
_IT_IS = re.compile(r"(?:it|this|that)\s+(?:is|was|equals)\s+(?P<what>[^,;:\n]{1,120})$", re.IGNORECASE)
_LITERAL = re.compile(
    r"(?:\w+\s){0,8}?(?:is|are|was|were|equals|be|=)\s+(?:the\s+(?:number|variable|letter)\s+)?[*_`$]*"
    r"(?P<what>[b-hj-zB-HJ-Z]|i|[A-Za-z]+-?\d\w*|[A-Z][a-z]?_\w+|[A-Za-z]+_\{?\w+\}?[\w{}]*|[πe∞φ]"
    r"|[A-Za-zΘΩ]+\([^()]{1,40}\)|[A-Z]{2,8})[*_`$]*"
)
_EXCLAIMED = re.compile(r"factorial|permut|arrang|\d!\s*[=×*/)+-]", re.IGNORECASE)
_REFUSAL = re.compile(rf"\W*(?:{'|'.join(each.refusals for each in LANGUAGES)})", re.IGNORECASE)
_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}+|~{3,}+)[^`\n]*+\n(?P<code>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z(?P<open>))",
    re.MULTILINE | re.DOTALL,
)
_NULLS = frozenset({"None", "null"})
"""Values of programs, where a sentence says that one returns them."""

_NOTHING = frozenset(
    {"", "none", "null", "n/a", "na", "err", "error", "unknown", "?", "...", "…", r"\[", "$$", "undetermined"}
    | {
        "cannot be determined",
        "not enough information",
        "unbekannt",
        "inconnu",
        "desconocido",
        "未知",
        "不明",
        "无",
    }
)


def extract_claim(text: str, *, choices: Sequence[str] = (), truncated: bool = False) -> Claim | None:
    """The claim of ``text``, or None if it makes none: it is empty, cut off, or a refusal.

    Looked for in this order, the last occurrence of each: ``\\boxed{}``, ``<answer>``, JSON with ``answer``,
    ``#### x``, "the answer is x" or "Answer: x" in any of the larger languages, one of ``choices`` (labels
    such as "A"), the whole text if it is not a sentence, the figure that the last sentence comes to, with all
    that its value depends on, or that sentence, and finally the whole text if it is short. If a yes or no
    comes with reasons, the word is the claim. Figures and numbers come in English spelling where the text's
    language writes them otherwise. Thinking claims nothing. ``truncated`` says that the engine stopped for
    length: the last words of such a text are not its conclusion, so it claims nothing.
    """
    body = _conclusion(text, truncated)
    if body is None:
        return None
    body = _ITALIC.sub(r"\1", _STRUCK.sub("", folded(body)))
    language = language_of(body)
    body = plain(body, language)
    for how, found in _candidates(body, choices, language):
        answer = _tidy(found, how)
        if answer.casefold() not in _NOTHING or (how == "number" and answer in _NULLS):
            stated = how in ("boxed", "json", "marker")
            if stated and _REFUSAL.match(answer):
                return None
            if stated:
                answer = _read(answer, language)
            if how == "marker" and answer[1:3] == ". " and len(set(_LISTED_OPTION.findall(body))) > 1:
                answer = answer[0]
            chosen = (
                _as_choice(answer, choices)
                if choices
                else forms.label(_LATEX_TEXT.sub(r"\1", answer))
                if stated or how == "choice"
                else None
            )
            if language is not ENGLISH:
                answer = uncounted(answer)
            return Claim(chosen or _as_yes_no(answer) or answer, how)
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
    if truncated:
        return None
    thinking = split_thinking(text)
    return thinking.answer.strip() if thinking.closed else None


def _candidates(body: str, choices: Sequence[str], language: Language) -> Iterator[tuple[How, str]]:
    box = forms.boxed(body)
    if box is not None:
        yield "boxed", box
    elif forms.BOX.search(body):
        return  # a box that never closes means that the text was cut off
    if (inside := forms.tagged(body)) is not None:
        inner = forms.marked(inside)
        yield "marker", inner[0] if inner else inside
    if (value := forms.json_answer(body)) is not None:
        yield "json", value
    if (hashes := forms.hashed(body)) is not None:
        yield "marker", hashes
    if (marked := forms.marked(body)) is not None:
        answer, end = marked
        corrected = _corrected(body, end)
        if corrected is not None:
            yield ("number", corrected) if corrected else ("json", "")
        yield "marker", answer
    if _REFUSAL.match(body):
        return
    if (weakly := forms.last_marked(body)) is not None:
        yield "marker", weakly
    if choices:
        if (letter := _last_choice(body, choices)) is not None:
            yield "choice", letter
        return  # a number or a sentence does not answer a multiple-choice question
    yield from _unmarked(without_notes(_ended(body, language)))


def _unmarked(body: str) -> Iterator[tuple[How, str]]:
    """What a text without any mark comes to."""
    short = len(body) <= LONGEST_WHOLE
    if short and "\n" not in body:
        body = affirmed(body)
        if (rest := labelled(_MARKDOWN.sub("", body))) is not None and len(rest.split()) <= WORDS_OF_A_VALUE:
            yield "marker", rest
            return
    if short and (_YES_NO.match(body) or _begins_with_yes_no(body)):
        yield "whole", body
    elif (line := _WHOLE_LINE.fullmatch(body.rpartition("\n")[2])) and ("\n" in body or line["label"]):
        yield "choice" if line["label"] else "marker", line["label"] or line["bold"]
    elif _terse(body):
        spans = formula_spans(body)
        if len(spans) == 1 and spans[0][:2] == (0, len(body)):
            body = display(spans[0][2])[1]
        side = right_side(body.removeprefix("="))
        yield "whole", side if _RELATION.search(body) else conclusion(side) or side
    elif short and _lists(body):
        yield "whole", body
    elif (found := _of_last_sentence(body)) is not None:
        yield found
    elif short:
        yield "whole", body


def _begins_with_yes_no(body: str) -> bool:
    """Whether a text in any of the languages begins with that word: "Nein, …"."""
    word = _WORD_OF_YES_NO.match(body)
    return word is not None and word[1].casefold() in _YES_NO_WORDS


def _lists(body: str) -> bool:
    """Whether the text ends with a list of values, not of steps of a computation."""
    items = _ITEMS.findall(body)
    return (
        len(items) > 1
        and body.endswith(items[-1])
        and not any("=" in item or item.endswith(".") for item in items)
    )


def _terse(body: str) -> bool:
    """Whether the text is an answer, not a sentence, like "10:30 am", "x > 5" or "5 km"; no bare numbers."""
    return (
        len(body) <= LONGEST_WHOLE
        and "\n" not in body
        and not _WORD.match(body)
        and len(_WORD.findall(body)) < WORDS_OF_A_SENTENCE
        and not _STEP.search(body)
        and not is_figure(body.rstrip("."))
    )


def _of_last_sentence(body: str) -> tuple[How, str] | None:
    """What the last sentence with a figure comes to, or the last one that draws a conclusion without any."""
    cut = len(body) - TAIL
    tail = body if cut <= 0 else body[body.find("\n", cut) + 1 or cut :]
    text = masked(tail)
    shown = text
    for begin, end, _ in formula_spans(text):
        shown = f"{shown[:begin]}{'x' * (end - begin)}{shown[end:]}"
    spans = [line for begin, end in sentences(shown) for line in _lines(shown, begin, end)]
    for place, (begin, end) in enumerate(reversed(spans)):
        raw = text[begin:end]
        sentence = without_citations(_MARKDOWN.sub("", raw))
        if place == 0 and len(spans) > 1 and _ASIDE.match(sentence):
            continue
        if place == 0 and (yes_no := _HENCE_YES_NO.search(sentence)):
            return "whole", yes_no["what"]
        if place == 0 and (found := code(raw)) is not None:
            return "number", found
        if place == 0 and (rest := labelled(sentence)) is not None:
            found = conclusion(rest) or predicate(rest)
            if (label := forms.label(rest)) is not None:
                return "choice", label
            if found is None and len(rest.split()) <= WORDS_OF_A_VALUE:
                found = rest
            if found is not None:
                return "number", found
        if place == 0 and (found := expression(sentence)) is not None:
            return "number", found
        if (last := place == 0) or _FIGURE.search(sentence) or "\\" in sentence:
            if text[end : end + 1] == "!" and _EXCLAIMED.search(body):
                sentence += "!"
            if last and not _FIGURE.search(sentence) and (found := predicate(sentence)) is not None:
                return "number", found
            found = conclusion(sentence)
            if found is not None:
                return "number", found
            if last and (found := predicate(sentence)) is not None:
                return "number", found
            if len(sentence) <= LONGEST_WHOLE and (found := _literal(sentence, last and len(spans) == 1)):
                return "whole", found
            if last and len(spans) > 1 and _DENIES.search(sentence) and len(sentence) <= LONGEST_WHOLE:
                return "whole", _STARTS.sub("", sentence)
            if last and len(spans) > 1 and (so := _STARTS.match(sentence)) and len(sentence) <= LONGEST_WHOLE:
                return "whole", sentence[so.end() :]
    return None


def _lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    at = begin
    for line in text[begin:end].split("\n"):
        if line.strip():
            yield at, at + len(line)
        at += len(line) + 1


def _literal(sentence: str, alone: bool) -> str | None:
    """The symbol that a sentence without figures ends with, as "The root is i"; of one alone, what it is."""
    bare = _STARTS.sub("", sentence).strip().rstrip(".")
    if literal := _LITERAL.fullmatch(bare):
        return literal["what"]
    if alone and not _FIGURE.search(bare) and (it := _IT_IS.fullmatch(bare)):
        return it["what"]
    return None


def _corrected(body: str, end: int) -> str | None:
    """What replaces an answer that is corrected after it; empty if it is withdrawn, None if it stands."""
    corrections = list(_CORRECTION.finditer(body, end))
    if not corrections:
        return None
    last = corrections[-1]
    found = _of_last_sentence(body[last.end() :])
    if found is not None and _FIGURE.search(found[1]):
        return found[1]
    return "" if _WITHDRAWN.search(body, last.start()) else None


def _read(answer: str, language: Language) -> str:
    """A stated answer without the end of its sentence, its reasons, and what its value does not depend on."""
    answer = _ended(answer, language)
    if reason := _EXPLAINED.search(answer):
        answer = answer[: reason.start()]
    for begin, end, content in formula_spans(answer)[:1]:
        if begin == 0 and end == len(answer):
            answer = display(content)[1]
    answer = _OPTION.sub("", affirmed(answer))
    answer = labelled(answer) or _ASSIGNED.sub("", answer)
    if language.code in ("zh", "ja", "ko"):
        answer = conclusion(answer) or answer
    elif len(answer.split()) >= WORDS_OF_A_SENTENCE and (verb := _SAYING.search(answer)):
        at = _FIGURE.search(answer)
        said = conclusion(answer) if at is None or at.start() > verb.start() else None
        answer = said or predicate(answer) or answer
    return _tidy(trimmed(answer))


def _ended(text: str, language: Language) -> str:
    """The text without the word that closes a sentence in some languages, such as です."""
    return (re.sub(rf"\s*(?:{language.ends})\W*$", "", text) or text) if language.ends else text


def _last_choice(body: str, choices: Sequence[str]) -> str | None:
    labels = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    bracketed = re.findall(rf"[(\[]({labels})[)\]]", body)
    alone = re.findall(rf"(?<![\w'’])({labels})(?=[).:,;!?*_\s]|$)(?!\s+[a-z])", body)
    found = bracketed or alone
    return found[-1] if found else None


def _as_choice(answer: str, choices: Sequence[str]) -> str | None:
    """The label that ``answer`` begins with, as in "(B) the second one"; None if it names several."""
    labels = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    bare = re.sub(r"[$\\{}]", " ", _LATEX_TEXT.sub(r" \1", answer)).strip()
    begin = re.match(
        rf"(?:(?:option|choice)\s+)?[(\[]?(?:({labels})(?=[)\].:,]|$)|(?-i:({labels}))(?=\s))",
        bare,
        re.IGNORECASE,
    )
    several = rf"[)\]]?\s*(?:[,&/]|and\b|or\b|nor\b)[\s(\[]*(?:{labels})\b"
    if begin is None:
        found = forms.label(bare)
        return found if found is not None and found in choices else None
    if re.match(several, bare[begin.end() :]):
        return None
    found = (begin[1] or begin[2]).casefold()
    return next(choice for choice in choices if choice.casefold() == found)


def _as_yes_no(answer: str) -> str | None:
    """The yes or no that ``answer`` begins with and only explains, as in "No, it is not"."""
    begin = _YES_NO.match(answer)
    if begin is not None:
        return None if _PROVISO.search(answer, begin.end()) else begin[1]
    foreign = _WORD_OF_YES_NO.match(answer)
    if foreign is not None and (word := _YES_NO_WORDS.get(foreign[1].casefold())):
        return word
    return _YES_NO_WORDS.get(answer.casefold())


def _tidy(text: str, how: How | None = None) -> str:
    text = _MARKDOWN.sub("", _TAGS.sub("", text)).strip()
    bare = len(text)
    while len(text) > 1 and (text[0], text[-1]) in {
        ("$", "$"),
        ('"', '"'),
        ("'", "'"),
        ("“", "”"),
        ("「", "」"),
        ("«", "»"),
    }:
        text = text[1:-1].strip()
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.endswith(closing) and text.count(opening) == 1:
            text = text[2:-2].strip()
    if wrapped := _LATEX_TEXT.fullmatch(text):
        return _tidy(wrapped[1])
    if text.endswith(("...", "!")) and (how in ("boxed", "json", None) or len(text) < bare):
        return text
    if text.rstrip(".")[-3:].lower() in ("a.m", "p.m"):
        return text.rstrip(".") + "."
    factorial = re.search(r"\w!+[.,;:]\s*$|(?:^|\s)(?:1?\d|20|[a-z])!$", text)
    return (
        text.rstrip(".,;: \n，。；：" if factorial else ".,;:! \n，。；：！")
        if not text.endswith("...")
        else text
    )
