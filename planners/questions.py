"""How planners put a question to a model, by :mod:`orchestrator.planning.prompts`, and read what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from orchestrator.consensus.asked import claim_for
from orchestrator.consensus.echoes import HEAD as HEAD
from orchestrator.consensus.echoes import unechoed as unechoed
from orchestrator.consensus.extraction import LONGEST_WHOLE
from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import AnswerRefused
from orchestrator.planning.prompts import BEGUN as BEGUN
from orchestrator.planning.prompts import INSTRUCTED as INSTRUCTED
from orchestrator.planning.prompts import SLOTS as SLOTS
from orchestrator.planning.prompts import SYSTEM as SYSTEM
from orchestrator.planning.prompts import TALKED as TALKED
from orchestrator.planning.prompts import asked as asked
from orchestrator.planning.prompts import conversation as conversation
from orchestrator.planning.prompts import guarded as guarded
from orchestrator.planning.prompts import material_of as material_of
from orchestrator.planning.prompts import set_task as set_task
from orchestrator.planning.prompts import slot as slot
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, Part, text_of
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question, Turn
from orchestrator.voting.ballot import labels
from planners.signs import computation_in as computation_in
from workers.calls import Completion
from workers.showing import SAID

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
Tokens = Annotated[int, Field(ge=1)]

LARGE: Final = "large"
"""The role of the model that is asked where others do not agree."""

SAMPLED: Final = 0.7
"""The lowest temperature of what is asked several times, or once more: at 0 it would be said again."""

REPEATED: Final = 300
"""Characters of a question that is repeated after examples."""

_LETTER = re.compile(r"[\s\"'`*_(\[{]*(?P<letter>[A-Z])(?:[\s\"'`*_)\]}.:,;!-]+(?P<rest>.*))?", re.DOTALL)
_WORD = re.compile(r"\w+")


def guarded_question(question: Question, *names: str) -> Question:
    """A question that cannot have a model write the tags of ``names`` by repeating what it is given."""
    return Question(
        guarded(question.text, *names),
        guarded(question.context, *names),
        tuple(guarded(choice, *names) for choice in question.choices),
        tuple(Turn(turn.role, guarded(turn.content, *names)) for turn in question.history),
        question.format,
    )


def again(question: Question) -> str:
    """A short question once more, in the form of examples, with which small models would otherwise go on."""
    text = " ".join(question.text.split())
    return f"Question: {guarded(text)}\n" if len(text) <= REPEATED else ""


def guarded_part(run: Run, part: Part) -> Part:
    """A result for a prompt, which cannot be taken for the tags of a usual slot; itself where it has none.

    If it is a node, it must have succeeded.
    """
    text = text_of(part.value if isinstance(part, Node) else part)
    if guarded(text) == text:
        return part
    return run.merge(_guarded, part, label="result") if isinstance(part, Node) else guarded(text)


def _guarded(value: object) -> str:
    return guarded(text_of(value))


def said(completion: Completion) -> str:
    """What a completion says: nothing if it was refused, and nothing of what the model thought."""
    return "" if completion.finish_reason == "refused" else unechoed(split_thinking(completion.text).answer)


def answer_of(completion: Completion, question: Question) -> Answer:
    """The completion as an answer, without its thinking and with the claim that it makes on the question.

    The last number of a long text is not taken as its claim: in an essay, it may be just a year.

    Raises:
        AnswerRefused: the model, or a filter, refused to answer.
    """
    text = unechoed(split_thinking(completion.text).answer)
    if completion.finish_reason == "refused":
        raise AnswerRefused(f"the model or its filter refused to answer: {text[:SAID] or 'it says no more'}")
    truncated = completion.finish_reason != "stop"
    claim = claim_for(
        question.text,
        completion.text,
        choices=labels(question.choices),
        truncated=truncated,
        alone=True,
    )
    stated = claim is not None and (claim.how != "number" or len(text) <= LONGEST_WHOLE)
    return Answer(text, claim.text if claim is not None and stated else None)


async def chosen(run: Run, prompt: Sequence[Message], letters: str | Mapping[str, str]) -> str | None:
    """Which of ``letters`` the model chooses, as :func:`letter_in` reads it; None also if the call fails.

    As a mapping, the letters come with what each stands for in the prompt.
    """
    outcome = await run.generate(
        prompt, label="router", role="judge", temperature=0.0, max_tokens=4
    ).settled()
    return letter_in(said(outcome.value), letters) if isinstance(outcome, Succeeded) else None


def letter_in(reply: str, letters: str | Mapping[str, str]) -> str | None:
    """The letter that a reply chooses; None if it says anything beside it.

    Brackets, quotes and punctuation may stand around it, and the beginning of what it stands for after it.
    """
    match = _LETTER.fullmatch(reply.strip())
    if match is None or match["letter"] not in letters:
        return None
    letter, rest = match["letter"], _words(match["rest"] or "")
    means = _words(letters[letter]) if isinstance(letters, Mapping) else ""
    return letter if not rest or means.startswith(rest) else None


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
