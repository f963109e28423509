"""As much reasoning as a question needs: a cheap look first, and a vote of several kinds if it is unsure."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from orchestrator.consensus.stopping import AcrossKinds
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.direct import direct
from planners.forking import affordable
from planners.kinds import ENOUGH, LOOKS, turns_of
from planners.puzzles import puzzle_in
from planners.questions import SAMPLED, Temperature, Tokens
from planners.shapes import form_of, shows
from planners.signs import leans
from planners.vote import SHORT_ANSWER, has_one_answer

MOST: Final = 64
"""The most branches that may be asked for."""

NEVER, YES_OR_NO = 1.0, "yes or no"

SEVERAL_FACTS = 400
"""Characters of material from which a question is a look-up among several facts. There, looks and votes of
kinds were right no more often than one call (see docs/methods.md)."""

PUZZLE: Final = "it is a puzzle of numbers, whose answer is computed"


def may_be_checked(run: Run, question: Question) -> str:
    """Why the question has one right answer, or one that can be computed whether it is right."""
    return PUZZLE if puzzle_in(question) else has_one_answer(run, question)


SUITS = Suits(SHORT_ANSWER, cost=15, sign=may_be_checked, calls=2, yields_to=("cascade",))


@planner("adaptive", suits=SUITS)
async def adaptive(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=1, le=MOST)] = 6,
    sure: Annotated[float, Field(ge=0, le=1)] = 0.6,
    material: Annotated[int, Field(ge=0)] = SEVERAL_FACTS,
    judge: Judge = "none",
    temperature: Temperature = SAMPLED,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Look first; where the look is not sure, let branches of different kinds vote, until two kinds agree.

    At most ``n`` branches are started. ``sure`` is the least probability of the tokens of a short answer from
    which it stands alone, 1 for never; a question that shows a computation, or asks for yes or no, never ends
    on one look, but for letters and words, where a program that is computed needs no other kind. Each kind
    has a length of its own, and ``max_tokens`` is the most that a branch gets after others of its kind were
    cut off. ``judge`` is that of :meth:`Run.vote`. With ``material`` characters of material or more, one call
    answers, as of :func:`direct`; 0 is never. What was said before a short question counts as material. One
    call answers a puzzle of numbers, too (:mod:`planners.puzzles`); an expression that misses its target is
    undecided.

    Raises:
        NodeFailed: no branch gave a completion.
        AnswerRefused: the model, or a filter, refused to answer from the material.
    """
    if material and _given(question) >= material and run.edition >= 2:
        run.decide("adaptive", "direct", {"reason": "it is a look-up in much material"})
        return await direct(run, question, max_tokens=max_tokens)
    if (puzzle := puzzle_in(question)) is not None and run.edition >= 3:
        run.decide("adaptive", "direct", {"reason": PUZZLE})
        answer = await direct(run, question, max_tokens=max_tokens)
        return replace(
            answer, undecided=answer.undecided or puzzle.fault(answer.claim or answer.text) or None
        )
    n = max(1, affordable(run, n, reserve=0))
    first, *others = turns_of(run, question, n)
    what = shows(question)
    # What needs no other opinion is known by what it computes, not by how sure its tokens are.
    never = form_of(question) == YES_OR_NO or ENOUGH[what] == 1
    answer = await run.vote(
        first,
        turns=others,
        rule=AcrossKinds(ENOUGH[what], looks=len(LOOKS[what]), sure=NEVER if never else sure, width=n),
        choices=labels(question.choices),
        question=question,
        judge=judge,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return unless_split(answer)


def _given(question: Question) -> int:
    """Characters of what an answer is looked up in: also of the conversation, if the question leans on it."""
    said = [turn.content for turn in question.history if turn.role != "system"] if leans(question) else []
    return sum(map(len, (question.context, *said)))
