"""Decomposition: a plan of questions to the model, put side by side while it is still being written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.values import Answer, Question
from planners.asking import MOST, Asked, asking
from planners.compiling import Method, compiled
from planners.offers import computing, merged
from planners.parts import compared
from planners.plan_examples import Examples, read_examples
from planners.questions import Temperature, Tokens
from planners.vote import vote


def compares(run: Run, question: Question) -> str:
    """Why the question has several parts: it compares things that it names, over what is given."""
    names = compared(question.text) if question.context and not question.choices else []
    return f"it asks about several things: {', '.join(names)}" if names else ""


def lacks_material(run: Run, question: Question) -> str:
    """Why a plan of questions gains nothing: without material, its parts are as hard as the whole."""
    return "" if question.context else "there is no material to look the parts up in"


SUITS = Suits(
    "with answers to several smaller questions, from which it is then put together",
    cost=60,
    sign=compares,
    lacks=lacks_material,
    calls=4,
    yields_to=("llm_compiler",),
)


@planner("decompose", suits=SUITS)
async def decompose(
    run: Run,
    question: Question,
    *,
    max_replans: Annotated[int, Field(ge=0, le=16)] = 1,
    max_tasks: Annotated[int, Field(ge=1, le=256)] = 12,
    n: Annotated[int, Field(ge=1, le=MOST)] = 1,
    examples: Examples = [],  # noqa: B006 (never changed)
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Split a question into parts, ask them side by side, compute on what they give, and answer from it.

    Each part is a call of the model with only what it needs; ``n`` is how many branches one has unless the
    plan says so. A question of one part, or whose plan stays invalid, is put to a vote, with the reason in
    the trace. ``max_replans`` is how often the joiner may ask for more; ``max_tasks`` bounds one plan.
    ``examples`` are questions with their plans.

    Raises:
        NodeFailed: the engine failed even for the vote.
        InvalidRequest: an example uses what is not offered.
    """
    offers = merged([asking(Asked(n, temperature, max_tokens))], computing(question).values())
    instead = ("vote", vote)
    method = Method(
        "decompose",
        offers,
        instead,
        instead,
        read_examples(examples),
        max_replans,
        max_tasks,
        temperature,
        max_tokens,
    )
    return await compiled(run, question, method)
