"""What a joiner says, read: an answer, what is missing, or why there is neither.

It is asked for two lines, ``Thought: …`` and ``Answer: …``. Models also write ``Finish(…)`` and
``Replan(…)``, as in the paper, JSON objects, or prose.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.thinking import split_thinking
from orchestrator.runtime.messages import text_of
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from planners.questions import answer_of
from workers.calls import Completion

INSUFFICIENT = "the results do not suffice"

_KEYS = frozenset({"answer", "replan"})
_OBJECT = re.compile(r"\{\s*[\"'“}]")
_CALL = re.compile(
    r"(?:\b(?P<name>Finish|Replan)\s?|^\s*(?P<small>finish|replan))\("
    r"|(?:^|Action:)[ \t]*(?P<bare>Replan)[ \t.]*$",
    re.MULTILINE,
)
_LINE = re.compile(
    r"^(?P<name>Answer|Replan):(?P<rest>.*?)(?=^(?:Thought|Answer|Replan):|\Z)",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_NAMED = re.compile(r"\s*(?:answer|response|text|feedback|reason)\s*=\s*", re.IGNORECASE)
_ENDS = ("", "}", '"}')
_LONGEST_LITERAL = 4_000


@dataclass(frozen=True, slots=True)
class Missing:
    """The joiner says that the results do not suffice, and what is missing."""

    what: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The joiner has failed, or has said nothing that can be used.

    ``broken`` is what it said if that cannot be read, so that it may be asked again.
    """

    reason: str
    broken: str | None = None


Verdict = Answer | Missing | Unanswered


def verdict_grammar(*, may_replan: bool) -> str:
    """The grammar (GBNF) of what the joiner says: a thought first, then one of the two verdicts."""
    replan = ' | "Replan: " line' if may_replan else ""
    return "\n".join(
        [
            rf'root ::= "Thought: " line "\n" ("Answer: " answer{replan})',
            r"line ::= [^\x00-\x20\x7F] [^\x00-\x1F\x7F]{0,400}",
            r"answer ::= [^\x00-\x20\x7F] [^\x00-\x08\x0B-\x1F\x7F]*",
        ]
    )


def read_verdict(said: Completion, question: Question, *, may_replan: bool) -> Verdict:
    """What the joiner has decided, without what it thought. Plain prose is taken as the answer."""
    if said.finish_reason == "refused":
        return Unanswered("the model refused to read the results")
    text, whole = split_thinking(said.text).answer.strip(), said.finish_reason == "stop"
    found = _object_in(text, whole=whole) or _call_in(text, whole=whole) or _lines_in(text, whole=whole)
    if found is None:
        if whole and text and not _OBJECT.search(text):
            return _of_choice(answer_of(said, question), question)
        why = "is empty" if not text else "has no answer in it" if whole else "was cut off"
        return Unanswered(f"what was made of the results {why}", text)
    answer = _flat(found.get("answer"))
    if answer and (stated := _stated(answer, question)) is not None:
        return stated
    missing = _flat(found.get("replan")) or ("" if not answer else "what the question asks for")
    return Missing(missing) if may_replan and missing else Unanswered(INSUFFICIENT)


def as_answer(text: str, question: Question) -> Answer:
    """An answer that is its own claim; where there are choices, the claim is the label that it gives."""
    if not question.choices:
        return Answer(text, text)
    claim = extract_claim(text, choices=labels(question.choices))
    label = claim.text if claim is not None and claim.text in labels(question.choices) else None
    return _of_choice(Answer(text, label), question)


def _stated(answer: str, question: Question) -> Answer | None:
    """The answer, unless it only says that there is none."""
    nothing = extract_claim(json.dumps({"answer": answer}, ensure_ascii=False)) is None
    return None if nothing else as_answer(answer, question)


def _of_choice(answer: Answer, question: Question) -> Answer:
    """The answer, with its label as the claim if it is the text of a choice."""
    if answer.claim is not None and answer.claim in labels(question.choices):
        return answer
    said = {(answer.claim or "").casefold(), answer.text.strip(" .").casefold()}
    same = [
        label
        for label, choice in zip(labels(question.choices), question.choices, strict=True)
        if choice.strip(" .").casefold() in said
    ]
    return Answer(answer.text, same[0] if len(same) == 1 else answer.claim)


def _flat(value: Any) -> str:
    """A value as the text of an answer: a list with commas, an object with its names."""
    named = list(value.items()) if isinstance(value, dict) else []
    items = [item for _, item in named] or value
    if value is None or items in ([], {}):
        return ""
    if isinstance(items, list) and not any(isinstance(item, list | dict) for item in items):
        return ", ".join([f"{name}: {text_of(item)}" for name, item in named] or map(text_of, items))
    return text_of(value).strip()  # 0 and false are answers


def _object_in(text: str, *, whole: bool) -> Mapping[str, Any] | None:
    """The first object in a text that is a verdict, also in Python's spelling or without its last brace."""
    for end in _ENDS if whole else ("",):
        for each in json_objects(text + end, nested=True):
            if each.keys() & _KEYS:
                return each
    return next((each for each in _literals(text) if each.keys() & _KEYS), None)


def _literals(text: str) -> Iterator[dict[str, Any]]:
    start, end = text.find("{"), text.rfind("}") + 1
    if 0 <= start < end <= start + _LONGEST_LITERAL:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                value = ast.literal_eval(text[start:end])
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return
        if isinstance(value, dict):
            yield value


def _call_in(text: str, *, whole: bool) -> Mapping[str, str] | None:
    """The first ``Finish(…)`` or ``Replan(…)``, up to the parenthesis that closes it."""
    call = _CALL.search(text)
    if call is None:
        return None
    inside = "" if call["bare"] else _inside(text[call.end() :], whole=whole)
    if inside is None:
        return None
    inside = _NAMED.sub("", inside, count=1).strip() if _NAMED.match(inside) else inside.strip()
    if len(inside) > 1 and inside[0] == inside[-1] and inside[0] in "\"'`":
        inside = inside[1:-1]
    if "finish" in (call["name"] or call["small"] or "").casefold():
        return {"answer": inside}
    return {"replan": inside or text[: call.start()].strip() or "more"}


def _lines_in(text: str, *, whole: bool) -> Mapping[str, str] | None:
    """What follows "Answer:" or "Replan:" at the beginning of a line; None if it was cut off or is empty.

    A text that was cut off may have said it before another line began.
    """
    found = _LINE.search(text)
    if found is None or not found["rest"].strip() or not (whole or found.end() < len(text)):
        return None
    return {found["name"].casefold(): found["rest"].strip()}


def _inside(text: str, *, whole: bool) -> str | None:
    """What stands before the parenthesis that closes; None if it was cut off before that."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            return text[:at]
    return text.rpartition(")")[0] or text if whole else None
