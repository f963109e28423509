"""How many tokens texts have, estimated before any engine has seen them, and what a prompt holds."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Final

from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Question
from planners.questions import asked, conversation

FEWEST: Final = 48
"""Tokens of material below which a prompt says too little to be worth a call."""

TEMPLATE: Final = 32
"""Tokens that chat templates put around the messages of a prompt, at most."""

QUESTION: Final = 128
"""Tokens that are kept free for a question, at most, so that chunks are the same for all but long ones."""

FACTS: Final = 256
"""Tokens of facts from other chunks that a prompt may have."""


def _weight(character: str) -> float:
    """Tokens of a character, on the safe side of what tokenizers make of texts in its script."""
    if character.isascii():
        if character.isalpha():
            return 0.28
        return 0.3 if character.isspace() else 1.0
    if unicodedata.category(character)[0] != "L":
        return 1.5
    if character < "\u0600":  # Latin, Greek, Cyrillic, Hebrew
        return 0.6
    return 1.2 if character >= "\u3040" else 1.6  # Chinese, Japanese, Korean; other scripts are rarer


_known = lru_cache(maxsize=4096)(_weight)


class Lengths:
    """The estimated tokens of any piece of a text, each in constant time."""

    def __init__(self, text: str) -> None:
        self._until = array("d", accumulate(map(_known, text), initial=0.0))

    def of(self, start: int, end: int) -> int:
        """Tokens of ``text[start:end]``."""
        return int(self._until[end] - self._until[start]) + 1


def tokens_in(*texts: str) -> int:
    """Tokens of texts, estimated as :class:`Lengths` does."""
    return sum(int(sum(map(_known, text))) + 1 for text in texts)


@dataclass(frozen=True, slots=True)
class Room:
    """What prompts hold, in tokens: the ``material`` of one, and how long quotes and answers may become."""

    material: int
    quotes: int
    answer: int
    facts: int


def room_for(
    run: Run, question: Question, instructions: Iterable[str], *, chunk: int, quotes: int, answer: int
) -> Room:
    """What the prompts of a run hold: ``chunk`` tokens of material, or what the engine's context leaves.

    ``instructions`` are those that stand in prompts with material; ``quotes`` and ``answer`` are the tokens
    that completions of both kinds are allowed, which get at most a quarter of the context.

    Raises:
        InvalidRequest: the engine's context is too small for any material beside the question.
    """
    context = run.capabilities.max_model_len
    if context is None:
        return Room(chunk, quotes, answer, FACTS)
    quotes, answer, facts = min(quotes, context // 4), min(answer, context // 4), min(FACTS, context // 8)
    told = max(map(tokens_in, instructions)) + TEMPLATE + facts
    own = tokens_in(*asked(replace(question, context="")))
    before = _tokens_before(question)
    needed = before + told + max(min(QUESTION, context // 8), own) + max(quotes, answer)
    if context - needed < FEWEST:
        raise InvalidRequest(
            f"the context of {run.capabilities.model} has {context:,} tokens, of which {needed:,} go to the "
            f"question, the conversation before it, the instructions and the completion: no {FEWEST} are "
            "left for a chunk of the material; ask a shorter question, or use a model with a larger context"
        )
    return Room(min(chunk, context - needed), quotes, answer, facts)


def _tokens_before(question: Question) -> int:
    """Tokens of the system text and of the conversation, whose messages have a template each."""
    messages = conversation(question)
    told = tokens_in(*(str(part) for message in messages for part in message.parts))
    return told + TEMPLATE * (len(messages) - 1)
