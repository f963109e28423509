"""Micro-calls that take out of a long result what a step, or whoever answers, needs of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Question
from planners.questions import guarded, said, set_task, slot
from workers.showing import cut

READ: Final = 12_000
"""Characters of a result that are read at most: the passages that share most words with what is wanted."""

SHOWN: Final = 4_000
"""Characters of one result that a model is shown; of longer ones, what is needed is extracted."""

PASSAGE: Final = 600
"""Characters of a passage, about."""

EXTRACT_TOKENS: Final = 192
WORDS_TOKENS: Final = 48

FOR_ANSWER = (
    "The result comes from the step in the plan above. Copy from it, in at most five short sentences, all "
    "that helps to answer the question, with names and numbers as they stand there. If nothing in it helps, "
    "reply: nothing."
)
FOR_STEP = (
    "The plan above is the next step, and the result stands in it for {wanted}. Reply with only the few "
    "words of the result that belong there, such as a name or a number, without a sentence."
)

_WORD = re.compile(r"\w{2,}")
_BLANK_LINE = re.compile(r"\n\s*\n")
_END = re.compile(r"(?<=[.!?\n])\s+")


async def for_answer(run: Run, question: Question, text: str, call: str) -> str:
    """What a long result says for the question; its beginning if the call fails."""
    prompt = _reading(run, question, text, call, FOR_ANSWER)
    outcome = await run.generate(
        prompt, label="extract", temperature=0.0, max_tokens=EXTRACT_TOKENS
    ).settled()
    return (said(outcome.value) if isinstance(outcome, Succeeded) else "") or cut(text, shown_of(run))


async def for_step(run: Run, question: Question, text: str, wanted: str, call: str) -> str:
    """The few words of a result that a step needs in place of a reference; empty if there are none.

    Raises:
        NodeFailed: the call failed.
    """
    prompt = _reading(run, question, text, call, FOR_STEP.format(wanted=guarded(wanted)))
    return said(await run.generate(prompt, label="extract", temperature=0.0, max_tokens=WORDS_TOKENS))


def shown_of(run: Run) -> int:
    """Characters of one result that the model of a run is shown; fewer if its context is small."""
    context = run.capabilities.max_model_len
    return SHOWN if context is None else min(SHOWN, context)


def _reading(run: Run, question: Question, text: str, call: str, task: str) -> list[Message]:
    context = run.capabilities.max_model_len  # about a quarter to a half of it
    most = READ if context is None else min(READ, 2 * context)
    read = passages(text, f"{call} {question.text}", most)
    return set_task(question, slot("result", read), slot("plan", call), task)


def passages(text: str, wanted: str, most: int = READ) -> str:
    """The passages of a text that share the most words with what is wanted, in the order of the text."""
    if len(text) <= most:
        return text
    words = set(_WORD.findall(wanted.casefold()))
    pieces = list(_pieces(text))
    scores = [len(words & set(_WORD.findall(piece.casefold()))) for piece in pieces]
    best = sorted(range(len(pieces)), key=lambda index: (-scores[index], index))
    chosen: list[int] = []
    room = most
    for index in best:
        if len(pieces[index]) <= room:
            chosen.append(index)
            room -= len(pieces[index]) + 1
    return "\n".join(pieces[index] for index in sorted(chosen))


def paragraphs(text: str) -> list[str]:
    """A text in its paragraphs, long ones in passages."""
    parts = filter(None, map(str.strip, _BLANK_LINE.split(text)))
    return [piece for part in parts for piece in (_pieces(part) if len(part) > PASSAGE else (part,))]


def _pieces(text: str) -> Iterable[str]:
    """A text in passages that end with a sentence where they can."""
    piece = ""
    for sentence in _END.split(text):
        for at in range(0, len(sentence), PASSAGE):
            part = sentence[at : at + PASSAGE]
            if piece and len(piece) + len(part) > PASSAGE:
                yield piece
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece
