"""Paths by different strategies, or in different languages, whose answers vote.

Selection, step-level speculative decoding and the fast modes follow SSR (arXiv 2505.15340); to put a question
in several languages side by side is known as PiM.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from orchestrator.consensus.stopping import FirstAgreement, FixedN
from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import Turn, labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.forking import affordable
from planners.questions import LARGE, Temperature, Tokens, slot
from planners.strategies.pool import POOL, name_of, selected
from planners.strategies.scores import HIGHEST
from planners.strategies.stepwise import DRAFT, Stepwise
from planners.vote import solving

MOST: Final = 64
"""The most paths, strategies or languages that may be asked for."""

USUAL: Final = 5
"""Paths, unless so many are asked for, or there is one for each language."""

BY_STRATEGY = "\nSolve it by the strategy below; if that does not work here, in the way nearest to it.\n"
IN_LANGUAGE = (
    "\nThink and write in the language below, but give the final answer in the language of the question.\n"
)
IN_STEPS = "\nLeave a blank line after each step."

FEWEST: Final = 4
"""The calls that a path by two models takes at least: a step, its score, the same step anew, and the rest."""

DEPTH: Final = 2
"""How deep its scopes are nested: the vote, and in it the path."""

Strategy = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
Language = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


@planner("strategies")
async def strategies(
    run: Run,
    question: Question,
    *,
    n: Annotated[
        int | None, Field(ge=1, le=MOST, description=f"by default {USUAL}, or one for each language")
    ] = None,
    pool: Annotated[
        list[Strategy] | None, Field(max_length=MOST, description="by default the twelve of the method")
    ] = None,
    languages: Annotated[list[Language] | None, Field(max_length=MOST)] = None,
    agree: Annotated[int, Field(ge=0, le=MOST)] = 0,
    target: Literal["branch", "large"] = "branch",
    threshold: Annotated[float, Field(ge=0, le=HIGHEST)] = 7.0,
    steps: Annotated[int, Field(ge=1, le=MOST)] = 24,
    step_tokens: Tokens = 256,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Solve by the strategies that suit the question best, a path for each; their answers vote.

    The model scores each strategy of the ``pool`` for the question, and the ``n`` best are used; an empty
    pool is none. With ``languages``, the paths take them in turns. Where a model has the role ``draft``, it
    writes the paths a step at a time: the model with the role ``target`` scores each step from 0 to 9, and
    writes it anew if the score is below ``threshold``. Otherwise the target writes each path alone. ``agree``
    ends the run as soon as so many paths have the same answer (1: the first that has one), 0 never. ``judge``
    is that of :meth:`Run.vote`.

    Raises:
        NodeFailed: no path could be written.
        InvalidRequest: the pool is empty and there are no languages, or no model has the role of the target.
    """
    known = POOL if pool is None else pool
    if not known and not languages:
        raise InvalidRequest("an empty pool leaves no way to solve it: give strategies, or languages")
    if target == LARGE and LARGE not in run.capabilities.roles:
        raise InvalidRequest(f"no model has the role {LARGE}: name one in the engine, or use target=branch")
    width = n or len(languages or ()) or USUAL
    width = max(1, affordable(run, width, reserve=0))
    chosen = await selected(run, question, known, width, target) if known else [""]
    lacking = lacks_a_draft(run, width)
    run.decide(
        "strategies",
        "written by one model" if lacking else "drafted by one model, judged by another",
        {"reason": lacking or f"a model has the role {DRAFT}", "target": target, "paths": width},
    )

    def turn(strategy: str, language: str) -> Turn:
        prompt = solving(question, *told(strategy, language, in_steps=not lacking))
        kind = ", ".join(filter(None, (name_of(strategy), language)))
        written = Stepwise(prompt, kind, target, threshold, steps, step_tokens, max_tokens, temperature)
        return Turn(prompt, kind, concludes=True, writing=None if lacking else written)

    first, *others = itertools.starmap(
        turn, itertools.islice(zip(itertools.cycle(chosen), itertools.cycle(languages or [""])), width)
    )
    answer = await run.vote(
        first,
        turns=others,
        rule=FirstAgreement(agree, width) if agree else FixedN(width),
        choices=labels(question.choices),
        question=question,
        judge=judge,
        role=target,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    # Different ways that agree are worth more than a lead by chance; which they were, the trace tells.
    return replace(unless_split(answer), kinds=())


def told(strategy: str, language: str, *, in_steps: bool) -> list[str]:
    """What a path is told besides the question: what all have in common first, its strategy last."""
    parts = [IN_STEPS] if in_steps else []
    if language:
        parts += [IN_LANGUAGE, slot("language", language)]
    if strategy:
        parts += [BY_STRATEGY, slot("strategy", strategy)]
    return parts


def lacks_a_draft(run: Run, paths: int) -> str:
    """Why so many paths cannot be written by two models; empty if they can."""
    can, calls = run.capabilities, run.budget.calls
    if DRAFT not in can.roles:
        return f"no model has the role {DRAFT}"
    if not can.assistant_prefill:
        return f"the engine of {can.model} cannot continue an answer that it has begun"
    if run.budget.depth is not None and run.budget.depth < DEPTH:
        return f"scopes may be nested {run.budget.depth} deep, and paths by two models take {DEPTH}"
    if calls is not None and calls < FEWEST * paths:
        return f"{calls} calls are left, too few for {paths} paths by two models"
    return ""
