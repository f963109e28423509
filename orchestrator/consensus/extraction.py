"""What a branch claims: the short answer at the end of a long text."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["boxed", "json", "marker", "choice", "number", "whole", "code"]

LONGEST_WHOLE = 160
"""Characters up to which a text without any marker is itself taken for the answer."""


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
_HASHES = re.compile(r"^\s*####\s*(?P<answer>\S.*)$", re.MULTILINE)
_MARKER = re.compile(
    r"(?:\b(?:final\s+)?answer(?:\s+(?:is|would\s+be|equals|=)|\s*[:=])"
    r"|\b(?:correct|right|best)\s+(?:option|choice|answer)\s*(?:is|:))"
    r"(?:\s+(?:therefore|thus|that))?\s*[:=]?[ \t*_]*\n?[ \t*_]*(?P<answer>[^\n]+)",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(r"\*\*|__|`")
_SENTENCE_END = re.compile(r"(?<=[^\s.])\.(?=\s+[A-Z(]|\s*$)|[!?](?=\s|$)")
_NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:[$€£¥]\s?)?(?:\d{1,3}(?:[,\u202f]\d{3})+|\d+)(?:\.\d+)?(?:\s?/\s?\d+)?(?:e[-+]?\d+)?\s?%?",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^\W*(?:i['’]?m\s+sorry|sorry|i\s+apologi[sz]e|as\s+an?\s+(?:ai|language)"
    r"|(?:unfortunately,?\s+)?i\s*(?:['’]m|\s+am)?\s*(?:cannot|can['’]?t|can\s+not|won['’]?t|unable|not\s+able)\b)",
    re.IGNORECASE,
)
_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^`\n]*\n(?P<code>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z(?P<open>))",
    re.MULTILINE | re.DOTALL,
)
_THOUGHT_END = "</think>"
_NOTHING = frozenset({"", "none", "null", "n/a", "na", "err", "error", "unknown", "?", "...", "…"})


def extract_claim(text: str, *, choices: Sequence[str] = (), truncated: bool = False) -> Claim | None:
    """The claim of ``text``, or None where it makes none: empty, cut off, or a refusal.

    Looked for in this order, the last occurrence of each: ``\\boxed{}``, a JSON object with ``answer``,
    ``#### x``, "the answer is x" or "Answer: x", one of ``choices`` (labels such as "A"), a number, and
    last the whole text where it is short. ``truncated`` says that the engine stopped for length: the last
    words of such a text are not its conclusion, so it claims nothing.
    """
    body = _conclusion(text, truncated)
    if body is None:
        return None
    for how, found in _candidates(body, choices):
        answer = _tidy(found)
        if answer.casefold() not in _NOTHING:
            return Claim(_as_choice(answer, choices) or answer, how)
        if how in ("boxed", "json"):
            return None  # an explicit "no answer" is an answer that abstains
    return None


def extract_code(text: str, *, truncated: bool = False) -> Claim | None:
    """The program that ``text`` ends with: its last fenced block.

    None where there is none, or where that block is empty or not closed; ``truncated`` as above.
    """
    body = _conclusion(text, truncated)
    blocks = list(_FENCE.finditer(body)) if body is not None else []
    if not blocks or blocks[-1]["open"] is not None:
        return None
    code = textwrap.dedent(blocks[-1]["code"]).strip("\n")
    return Claim(code, "code") if code.strip() else None


def _conclusion(text: str, truncated: bool) -> str | None:
    """What was said after thinking; None where that was not reached."""
    if truncated or ("<think>" in text and _THOUGHT_END not in text):
        return None
    return text.rpartition(_THOUGHT_END)[2].strip()


def _candidates(body: str, choices: Sequence[str]) -> Iterator[tuple[How, str]]:
    boxed = _last_boxed(body)
    if boxed is not None:
        yield "boxed", boxed
    elif _BOXED.search(body):
        return  # a box that never closes is a text that was cut off
    if (value := _json_answer(body)) is not None:
        yield "json", value
    if hashes := _HASHES.findall(body):
        yield "marker", hashes[-1]
    if markers := [match["answer"] for match in _MARKER.finditer(body)]:
        yield "marker", _first_sentence(markers[-1])
    if _REFUSAL.match(body):
        return
    if choices:
        if (letter := _last_choice(body, choices)) is not None:
            yield "choice", letter
        return  # a number or a sentence is no answer to a multiple-choice question
    if numbers := _NUMBER.findall(body):
        yield "number", numbers[-1]
    elif len(body) <= LONGEST_WHOLE:
        yield "whole", body


def _last_boxed(body: str) -> str | None:
    for match in reversed(list(_BOXED.finditer(body))):
        depth = 1
        for at in range(match.end(), len(body)):
            char = body[at]
            if char in "{}" and body[at - 1] != "\\":
                depth += 1 if char == "{" else -1
                if depth == 0:
                    return body[match.end() : at]
    return None


def _json_answer(body: str) -> str | None:
    if '"answer"' not in body:
        return None
    decoder = json.JSONDecoder()
    answer: str | None = None
    at = body.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(body, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict) and "answer" in value:
                found = value["answer"]
                answer = found if isinstance(found, str) else json.dumps(found, sort_keys=True)
        at = body.find("{", end)
    return answer


def _last_choice(body: str, choices: Sequence[str]) -> str | None:
    labels = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    bracketed = re.findall(rf"[(\[]({labels})[)\]]", body)
    alone = re.findall(rf"(?<![\w'’])({labels})(?=[).:,;!?\s]|$)(?!\s+[a-z])", body)
    found = bracketed or alone
    return found[-1] if found else None


def _as_choice(answer: str, choices: Sequence[str]) -> str | None:
    """The label that ``answer`` begins with, as in "(B) the second one"."""
    for choice in sorted(choices, key=len, reverse=True):
        if re.match(rf"[(\[]?{re.escape(choice)}(?:[)\].:,\s]|$)", answer, re.IGNORECASE):
            return choice
    return None


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
    return text.rstrip(".,;:! \n") if not text.endswith("...") else text
