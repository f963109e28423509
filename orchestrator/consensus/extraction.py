"""What a branch claims: the short answer at the end of a long text."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.consensus.quantities.patterns import any_of, lazily
from orchestrator.consensus.reading import forms
from orchestrator.consensus.reading.clauses import affirmed
from orchestrator.consensus.reading.conclusions import conclusion
from orchestrator.consensus.reading.endings import (
    FIGURE,
    MARKDOWN,
    TAIL,
    WORD_OF_YES_NO,
    YES_NO,
    YES_NO_WORDS,
    How,
    of_last_sentence,
    unmarked,
)
from orchestrator.consensus.reading.endings import LONGEST_WHOLE as LONGEST_WHOLE
from orchestrator.consensus.reading.endings import WORDS_OF_A_SENTENCE as WORDS_OF_A_SENTENCE
from orchestrator.consensus.reading.languages import ENGLISH, LANGUAGES, Language, language_of
from orchestrator.consensus.reading.numerals import display, formula_spans
from orchestrator.consensus.reading.phrases import trimmed, uncounted
from orchestrator.consensus.reading.predicates import (
    CODE_WORDS,
    QUOTED,
    labelled,
    predicate,
)
from orchestrator.consensus.reading.sentences import without_notes
from orchestrator.consensus.reading.spelling import folded, plain
from orchestrator.consensus.reading.words import COPULAS, PREDICATING, YIELDING, either
from orchestrator.consensus.thinking import split_thinking


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


_LATEX_TEXT = lazily(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TAGS = lazily(r"</?(?:b|i|em|strong|p|span|u|code|sub|sup|div)>", re.IGNORECASE)
_ITALIC = lazily(r"(?<![\w*\\])\*(?=[^\s*\d])([^*\n]{1,80}?)(?<=\S)\*(?![\w*])")
_STRUCK = lazily(r"(?<!~)~~(?!~)[^~\n]{1,400}~~(?!~)")
_OPTION = lazily(
    r"(?:the\s+)?(?:option|choice|answer|statement)\s+(?:no\.\s*|number\s+)?(?=\(?\d{1,2}\)?$)", re.IGNORECASE
)
_LISTED_OPTION = lazily(r"^[ \t>*_(-]*(?P<label>[A-H])[*_]*[).:](?=[*_\s])", re.MULTILINE)
_SAYING = lazily(rf"\b(?:{either(COPULAS + YIELDING + PREDICATING)})\b", re.IGNORECASE)
_ASSIGNED = lazily(
    r"^\$?[A-Za-z](?:_\{?\w+\}?)?\s*=\s*(?=[^=,;<>]*$)(?=[-−]?[\d.,]+(?!\d)\s*\\?[^\d\s=]|[^=]*\\(?:text|mathrm))"
)
_PROVISO = lazily(
    r"\b(?:but|if|only|unless|except|provided|although|though|however|not always|yes|no)\b", re.I
)
_EXPLAINED = lazily(
    r",?\s+i\.e\.,?\s|,\s+(?:since|because|as|so|where|which|given that)\s|\s+because\s|\s+—\s"
)
_CORRECTION = lazily(
    r"(?:^|(?<=[.!?…\n。]))\W*(?:(?:oh|hmm|no|oops|but)\W+)*(?:wait|actually|correction|sorry|scratch that"
    r"|on second thought"
    r"|let me (?:re-?check|correct|reconsider|redo|fix)|i made (?:a|an) (?:mistake|error)|that(?:['’]s|"
    r" is| was)"
    r" (?:wrong|incorrect|not (?:right|correct)|a mistake))\b[^\S\n]*",
    re.IGNORECASE,
)
_RELABELLED = lazily(
    r"[\s,:*—–-]*(?:(?:it(?:['’]s|\s+is)|(?:the\s+)?answer\s+is)\s+)?(?P<label>\(?[A-H]\)?)[\s.!*]*",
    re.IGNORECASE,
)
_WITHDRAWN = lazily(r"\b(?:wrong|incorrect|mistaken?|error|not (?:right|correct))\b", re.IGNORECASE)
_REFUSAL = lazily(rf"\W*(?:{'|'.join(each.refusals for each in LANGUAGES)})", re.IGNORECASE)
_FENCE = lazily(
    r"^[ \t]*(?P<fence>`{3,}+|~{3,}+)(?P<named>[^`\n]*+)\n(?P<code>.*?)"
    r"(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z(?P<open>))",
    re.MULTILINE | re.DOTALL,
)
_PLAIN_BLOCK = frozenset(
    [
        "text",
        "txt",
        "plaintext",
        "plain",
        "output",
        "console",
        "latex",
        "tex",
        "math",
        "markdown",
        "md",
        "json",
    ]
)
"""What stands behind the fence of a block that holds no program."""
_PROGRAM = lazily(
    r"^[ \t]*(?:(?:def|class|function|fn|func|public|private|static|struct|impl)\s+\w"
    r"|(?:from|import|#include|using)\s+\S|(?:return|print|console\.log)\b\W|(?:const|let|var)\s+\w+\s*=|(?:for|while|if|with|try|elif|else)\b[^\n]*"
    r"[:{]\s*$|SELECT\s|@\w|#!|[^\n]*[;{}]\s*$)",
    re.MULTILINE,
)
_POINTED = lazily(r"\d{1,3}\.\d{1,3}")
_VERSION_IS = lazily(r"^(?:version|release)\s+is\s+(?=\d)", re.IGNORECASE)
_VERSIONS = lazily(
    r"\b(?:version|release)\b|\b(?:Python|Java|Node(?:\.js)?|Ubuntu|Ruby|PHP)\s\d", re.IGNORECASE
)
_STRAY = lazily(r"(?<=[^\W\d_])\"[\])}]*\.?$")
"""The end of a quotation that begins before the claim; behind a figure, it may be inches."""

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
    comes with reasons, the word is the claim. Of a text that ends in a fenced block of a program, that is the
    claim if nothing before it is marked as the answer: its figures claim nothing. Figures and numbers come in
    English spelling where the text's language writes them otherwise. Thinking claims nothing. ``truncated``
    says that the engine stopped for length: the last words of such a text are not its conclusion, so it
    claims nothing.
    """
    body = _conclusion(text, truncated)
    if body is None:
        return None
    prose, program = _before_program(body)
    body = _ITALIC.sub(r"\1", _STRUCK.sub("", folded(prose)))
    language = language_of(body)
    body = plain(body, language)
    for how, found in _candidates(body, choices, language, ends=program is None):
        answer = _tidy(found, how)
        if answer.casefold() not in _NOTHING or (how == "number" and answer in _NULLS):
            stated = how in ("boxed", "json", "marker")
            if stated and _REFUSAL.match(answer):
                return None
            if stated and not (QUOTED.fullmatch(answer) or CODE_WORDS.fullmatch(answer)):
                answer = _read(answer, language)
            answer = _VERSION_IS.sub("version ", answer)
            if _POINTED.fullmatch(answer) and _VERSIONS.search(body[-TAIL:]):
                answer = f"version {answer}"
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
    return None if program is None or choices else extract_code(text)


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


def _before_program(body: str) -> tuple[str, str | None]:
    """What stands before the program in a fenced block that a text ends with, and the program, if any."""
    last = next(reversed(list(_FENCE.finditer(body))), None)
    if last is None or body[last.end() :].strip():
        return body, None
    named, code = last["named"].strip().casefold(), last["code"]
    if named in _PLAIN_BLOCK or not (named or _PROGRAM.search(code)):
        return body, None
    return body[: last.start()].strip(), code


def _conclusion(text: str, truncated: bool) -> str | None:
    """What was said after thinking; None if the text did not get that far."""
    if truncated:
        return None
    thinking = split_thinking(text)
    return thinking.answer.strip() if thinking.closed else None


def _candidates(
    body: str, choices: Sequence[str], language: Language, *, ends: bool
) -> Iterator[tuple[How, str]]:
    """What may be the claim, the most explicit first; without a mark only if ``body`` ``ends`` the text."""
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
        again = _CORRECTION.search(answer)  # after a label with a full stop
        relabelled = _RELABELLED.fullmatch(answer, again.end()) if again else None
        if relabelled is not None:
            yield "marker", relabelled["label"]
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
    if ends:
        yield from unmarked(without_notes(_ended(body, language)))


def _corrected(body: str, end: int) -> str | None:
    """What replaces an answer that is corrected after it; empty if it is withdrawn, None if it stands."""
    corrections = list(_CORRECTION.finditer(body, end))
    if not corrections:
        return None
    last = corrections[-1]
    if (label := _RELABELLED.fullmatch(body, last.end())) is not None:
        return label["label"]
    found = of_last_sentence(body[last.end() :])
    if found is not None and FIGURE.search(found[1]):
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
        at = FIGURE.search(answer)
        said = conclusion(answer) if at is None or at.start() > verb.start() else None
        answer = said or predicate(answer) or answer
    return _tidy(trimmed(answer))


def _ended(text: str, language: Language) -> str:
    """The text without the word that closes a sentence in some languages, such as です."""
    return (re.sub(rf"\s*(?:{language.ends})\W*$", "", text) or text) if language.ends else text


def _last_choice(body: str, choices: Sequence[str]) -> str | None:
    labels = any_of(choices)
    bracketed = re.findall(rf"[(\[]({labels})[)\]]", body)
    alone = re.findall(rf"(?<![\w'’])({labels})(?=[).:,;!?*_\s]|$)(?!\s+[a-z])", body)
    found = bracketed or alone
    return found[-1] if found else None


def _as_choice(answer: str, choices: Sequence[str]) -> str | None:
    """The label that ``answer`` begins with, as in "(B) the second one"; None if it names several."""
    labels = any_of(choices)
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
    begin = YES_NO.match(answer)
    if begin is not None:
        return None if _PROVISO.search(answer, begin.end()) else begin[1]
    foreign = WORD_OF_YES_NO.match(answer)
    if foreign is not None and (word := YES_NO_WORDS.get(foreign[1].casefold())):
        return word
    return YES_NO_WORDS.get(answer.casefold())


def _tidy(text: str, how: How | None = None) -> str:
    text = _TAGS.sub("", text).strip()
    ticked = text.startswith("`") and text.rstrip(".").endswith("`")
    text = MARKDOWN.sub("", text).strip()
    if ticked and QUOTED.fullmatch(text.rstrip(".")):
        return text.rstrip(".")
    if ticked and text[:1] in "\"'" and text[:1] == text[-1:]:
        text = text[1:-1]
    if ticked and CODE_WORDS.fullmatch(f"`{text}`"):
        return f"`{text}`"
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
    if _STRAY.search(text) and text.count('"') % 2:
        text = _STRAY.sub("", text)
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.endswith(closing) and text.count(opening) == 1:
            text = text[2:-2].strip()
    if wrapped := _LATEX_TEXT.fullmatch(text):
        return _tidy(wrapped[1])
    if text.endswith(("...", "!")) and (how in ("boxed", "json", None) or len(text) < bare):
        return text
    if text.rstrip(".")[-3:].lower() in ("a.m", "p.m"):
        return text.rstrip(".") + "."
    factorial = re.search(r"\w!+[.,;:]\s*$|(?:^|\s)(?:1?\d|20|[a-z])!!?$|\d!\s*[-+*/×·][^!]*\d!$", text)
    return (
        text.rstrip(".,;: \n，。；：" if factorial else ".,;:! \n，。；：！")
        if not text.endswith("...")
        else text
    )
