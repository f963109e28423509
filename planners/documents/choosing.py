"""Which chunks are read: all of them, or those that seem to have to do with the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Question
from planners.documents.chunks import Chunk
from planners.documents.matter import Matter
from planners.documents.prompts import RELEVANT, over
from planners.documents.terms import terms_of
from planners.forking import waves
from planners.questions import chosen

Select = Literal["all", "words", "ask"]
"""``all``; those that share words with the question; or those of which the model says that they help."""

FALLBACK: Final = 3
"""Chunks that are read, by their words, where the model says of none that it helps."""

LETTERS: Final = {"A": "it does", "B": "it does not"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The chunks that are read, in their order, and those that are left out, with the reason."""

    read: Sequence[Chunk]
    left_out: Sequence[Chunk]
    why: str = ""


def words_of(question: Question) -> frozenset[str]:
    """The terms of a question and its choices."""
    return terms_of("\n".join([question.text, *question.choices]))


async def selection(
    run: Run, question: Question, matter: Matter, select: Select, most: int, calls: int | None
) -> Selection:
    """Choose at most ``most`` chunks, and no more than the budget has ``calls`` for; None is no bound.

    A verdict that fails, or is no letter, leaves its chunk in.
    """
    chunks = matter.chunks
    fewer = most if calls is None else min(most, calls)
    why = f"at most {fewer} may be read" if fewer < len(chunks) else ""
    saw: dict[str, Any] = {"chunks": len(chunks), "may be read": fewer}
    kept = list(chunks)
    if select == "ask" and (calls is None or calls > len(chunks)):
        kept, saw["verdicts"] = await _judged(run, question, matter)
        fewer = fewer if calls is None else min(fewer, calls - len(chunks))
        why = why if len(kept) == len(chunks) else "the model saw nothing in them that helps"
        if not kept:
            ranked = matter.ranked(chunks, words_of(question))
            kept, why = [chunk for _, chunk in ranked[:FALLBACK]], "their words have less to do with it"
    elif select != "all":
        select = "words"
        scored = matter.ranked(chunks, matter.rarity.rare(words_of(question)))
        if (best := [chunk for score, chunk in scored if score > 0]) and len(best) < len(chunks):
            kept, why = best, "they have none of the rare words of the question"
    if len(kept) > fewer:
        kept = [chunk for _, chunk in matter.ranked(kept, words_of(question))[:fewer]]
        why = f"at most {fewer} may be read"
    read = sorted(kept, key=lambda chunk: chunk.start)
    numbers = {chunk: number for number, chunk in enumerate(chunks, 1)}
    left_out = [chunk for chunk in chunks if chunk not in set(read)]
    if left_out:
        saw |= {"left out": [numbers[chunk] for chunk in left_out], "why": why}
    run.decide("selection", f"{len(read)} of {len(chunks)} by {select}", saw)
    return Selection(read, left_out, why)


async def _judged(run: Run, question: Question, matter: Matter) -> tuple[list[Chunk], str]:
    """The chunks that the model keeps, and its verdicts, a letter for each chunk, ``?`` for none."""
    letters: list[str | None] = []
    for wave in waves(matter.chunks, run.budget.width):
        prompts = [over(matter.shown(chunk), RELEVANT, question) for chunk in wave]
        outcomes = await run.outcomes([run.spawn(chosen, prompt, LETTERS) for prompt in prompts])
        letters += [each.value if isinstance(each, Succeeded) else None for each in outcomes]
    kept = [chunk for chunk, letter in zip(matter.chunks, letters, strict=True) if letter != "B"]
    return kept, "".join(letter or "?" for letter in letters)
