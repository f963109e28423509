"""NoThinking (arXiv 2504.09858): many short solutions without thinking, in place of a long one after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.consensus.thinking import opening, split_thinking
from orchestrator.errors import InvalidRequest, NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, assistant
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import Turn, labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.questions import Temperature, Tokens, set_task
from planners.vote import ANSWER, LETTER, WIDEST, KnownRule

WRITE = "Write the solution down in a few short lines. "
AT_ONCE = "\nDo not think before you write: begin with the solution, and do not go back on it."

THOUGHT = "How to solve this is clear, so the solution can be written down now."
"""What stands in place of the model's thinking."""

READY = "Do not answer the question yet. Reply with the word ready, and nothing else."
LONGEST_LOOK: Final = 256
"""Tokens after which a model that has not replied by one word is taken for one that thinks."""

USUAL: Final = ("<think>", "</think>")
"""The marks of a model that thinks, where its own are not seen: the server or its chat template has them."""

_ENDS_OF_MARKS: Final = ">]▷"

REFUSALS: Final = frozenset({"call_rejected", "capability_missing"})
"""How engines refuse to continue a text, such as one whose marks their chat template does not let through."""

How = Literal["majority", "confidence", "borda", "inverse_entropy", "verifier"]
USUAL_RULES: Mapping[How, str | None] = {
    "majority": None,
    "verifier": "first_verified",
    "confidence": "fixed",
    "borda": "fixed",
    "inverse_entropy": "fixed",
}
"""The stop rule by the merge: one that weighs branches has to see all of them."""


@planner("no_thinking")
async def no_thinking(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=1, le=WIDEST)] = 8,
    thinks: Literal["ask", "yes", "no"] = "ask",
    rule: Annotated[
        KnownRule | None,
        Field(description="by default that of the run; fixed or first_verified by the merge"),
    ] = None,
    merge: How = "majority",
    verifier: str | None = None,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 512,
) -> Answer:
    """Have a model that thinks write ``n`` short solutions at once instead, and let their answers vote.

    Where the engine continues a text, each branch begins with a block of thinking that is already closed. A
    branch that is cut off after ``max_tokens`` is then made to give its answer. Elsewhere, and for a model
    that does not think in tags, the prompt asks for the same. ``thinks`` says whether it does; "ask" finds
    out by a call. ``merge``, ``verifier``, ``rule`` and ``judge`` are those of :meth:`Run.vote`. Where the
    majority decides, a vote whose leader owes the lead to chance is undecided.

    Raises:
        NodeFailed: no branch gave a completion.
        InvalidRequest: something that the vote needs is not given, or is more than the engine can do.
    """
    if verifier is not None and verifier not in run.tools:
        known = ", ".join(run.tools) or "none at all"
        raise InvalidRequest(
            f"answers are to be verified by the tool {verifier!r}, but there is only {known}"
        )

    async def vote(prompt: list[Message]) -> Answer:
        calls = run.budget.calls
        answer = await run.vote(
            Turn(prompt, concludes=True),
            rule=rule or USUAL_RULES[merge],
            width=n if calls is None else max(1, min(n, calls)),
            choices=labels(question.choices),
            question=question,
            judge=judge,
            merge=merge,
            verifier=verifier,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        return unless_split(answer) if merge == "majority" else answer

    marks, why = await _marks(run, question, thinks)
    if marks is not None:
        run.decide("no_thinking", "closed block", {"reason": why, "marks": list(marks)})
        try:
            return await vote([*writing(question), assistant(closed_block(*marks))])
        except NodeFailed as error:
            if error.failure.code not in REFUSALS:
                raise
            why = f"the engine refused the block: {error.failure.message}"
    run.decide("no_thinking", "instruction", {"reason": why})
    return await vote(writing(question, AT_ONCE))


def writing(question: Question, *more: str) -> list[Message]:
    """The prompt of a branch: the solution, and the answer in a box."""
    return set_task(question, WRITE + (LETTER if question.choices else ANSWER), *more)


def closed_block(opens: str, closes: str) -> str:
    """Thinking that has come to its end, as a beginning of what the assistant says."""
    return f"{opens}\n{THOUGHT}\n{closes}\n\n"


async def _marks(run: Run, question: Question, thinks: str) -> tuple[tuple[str, str] | None, str]:
    """The marks to put around thinking, and why; None where there are none to put, or no way to do it."""
    can, calls = run.capabilities, run.budget.calls
    if thinks == "no":
        return None, "the model is said not to think in tags"
    if not can.assistant_prefill:
        return None, f"the engine of {can.model} cannot continue an answer that it has begun"
    if thinks == "yes":
        return USUAL, "the model is said to think in tags"
    if calls is not None and calls < 2:
        return None, "no call is left to find out whether the model thinks in tags"
    return await _seen(run, question)


async def _seen(run: Run, question: Question) -> tuple[tuple[str, str] | None, str]:
    """What a short call shows of how the model thinks; it is cut short once it shows that."""
    look = run.stream(
        set_task(question, READY),
        label="look",
        breaks=_ENDS_OF_MARKS,
        temperature=0.0,
        max_tokens=LONGEST_LOOK,
    )
    text = ""
    try:
        async for piece in look:
            text += piece
            if marks := opening(text):
                look.cancel("it has shown that the model thinks")
                return marks, "the model thinks in tags"
        reply = await look
    except NodeFailed as error:
        return None, f"whether the model thinks could not be found out: {error.failure.message}"
    thinking = split_thinking(reply.text)
    if reply.reasoning or thinking.reasoning or not thinking.closed:
        return USUAL, "the model thinks, and its own marks are not in its text"
    if reply.finish_reason == "length":
        return USUAL, f"the model did not come to a reply of one word in {LONGEST_LOOK} tokens"
    return None, "the model does not think in tags"
