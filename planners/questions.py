"""How planners put a question to a model, and how they read what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from orchestrator.consensus.extraction import LONGEST_WHOLE, extract_claim
from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import AnswerRefused
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from workers.calls import Completion
from workers.showing import SAID

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
Tokens = Annotated[int, Field(ge=1)]

_COMPUTATION = re.compile(
    r"\d\s*[-+*/^=]\s*\d|\w\s*=\s*\w|\bhow (?:many|much)\b"
    r"|\b(?:calculate|compute|solve|prove|equation|integral|derivative|probability)\b",
    re.IGNORECASE,
)
_WRITING = re.compile(
    r"```|\b(?:poem|story|essay|letter|e-?mail|song|lyrics|script|dialogue|speech|joke|haiku"
    r"|code|program|function|algorithm|regex|sql|html|translate|rewrite|paraphrase|summari[sz]e|convert)\b",
    re.IGNORECASE,
)


def asked(question: Question) -> tuple[str, ...]:
    """The question as parts of a user message: the material, which many questions may share, comes first."""
    text = question.text
    if question.choices:
        offered = (
            f"{label}. {choice}"
            for label, choice in zip(labels(question.choices), question.choices, strict=True)
        )
        text = "\n".join([text, "", *offered])
    return (f"{question.context}\n\n", text) if question.context else (text,)


def said(completion: Completion) -> str:
    """What a completion says: nothing if it was refused, and nothing of what the model thought."""
    return "" if completion.finish_reason == "refused" else split_thinking(completion.text).answer.strip()


def answer_of(completion: Completion, question: Question) -> Answer:
    """The completion as an answer, without its thinking and with the claim that it makes.

    The last number of a long text is not taken as its claim: in an essay, it may be just a year.

    Raises:
        AnswerRefused: the model, or a filter, refused to answer.
    """
    text = split_thinking(completion.text).answer.strip()
    if completion.finish_reason == "refused":
        raise AnswerRefused(f"the model or its filter refused to answer: {text[:SAID] or 'it says no more'}")
    truncated = completion.finish_reason != "stop"
    claim = extract_claim(completion.text, choices=labels(question.choices), truncated=truncated)
    stated = claim is not None and (claim.how != "number" or len(text) <= LONGEST_WHOLE)
    return Answer(text, claim.text if claim is not None and stated else None)


def computation_in(question: Question) -> str:
    """The words or symbols by which the question asks for a computation; empty if there are none."""
    match = _COMPUTATION.search(question.text)
    return match.group() if match else ""


def writing_in(question: Question) -> str:
    """The word by which the question asks for a piece of text or code; empty if there is none."""
    match = _WRITING.search(question.text)
    return match.group() if match else ""


async def chosen(run: Run, prompt: Sequence[Message], letters: str) -> str | None:
    """Which of ``letters`` the model chooses; None if it says something else or the call fails."""
    outcome = await run.generate(
        prompt, label="router", role="judge", temperature=0.0, max_tokens=4
    ).settled()
    said = outcome.value.text.strip(" \n\t\"'*([") if isinstance(outcome, Succeeded) else ""
    return said[0] if said and said[0] in letters and not said[1:2].isalnum() else None
