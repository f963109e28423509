"""A tournament of branches (after Gambit, arXiv 2608.08020): the worst give way to copies of the best."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.consensus.stopping import Tournament
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.forking import affordable
from planners.questions import Tokens
from planners.vote import solving

Score = Literal["auto", "both", "confidence", "agreement"]

AGREEMENT = {"both": 0.5, "confidence": 0.0, "agreement": 1.0}
"""The weight of agreement in each score."""

WIDEST = 256


@planner("tournament")
async def tournament(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=2, le=WIDEST)] = 8,
    swap: Annotated[int, Field(ge=1, le=WIDEST // 2)] = 1,
    copies: Annotated[int, Field(ge=1, le=1024)] | None = None,
    segment: Tokens = 256,
    warmup: Annotated[int, Field(ge=1, le=1024)] = 1,
    floor: Annotated[float, Field(ge=0, le=1)] = 0.1,
    score: Score = "auto",
    judge: Judge = "none",
    temperature: Annotated[float, Field(gt=0, le=2)] = 0.6,
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95,
    max_tokens: Tokens = 2048,
) -> Answer:
    """Sample branches in segments; after each, put copies of the best branches in the places of the worst.

    ``n`` branches run until so many have finished. From the end of segment ``warmup`` on, each of ``segment``
    tokens, branches whose score is below ``floor`` are cancelled, and the ``swap`` worst give their places to
    copies of the best, which go on from there with another seed; at most ``copies`` in all, by default ``n``.
    ``score`` is the mean confidence of the tokens of the segment, the agreement of the answer that a branch
    is made to give with those of the others, or both; "auto" is both, or agreement where the engine gives no
    log-probabilities. Then the finished branches vote, each with the weight of its score. ``judge`` is that
    of :meth:`Run.vote`.

    Raises:
        NodeFailed: no branch gave a completion.
        InvalidRequest: the engine cannot continue an answer, or does not give what the score needs.
    """
    if score == "auto":
        score = "both" if run.capabilities.logprobs else "agreement"
        why = "there are log-probabilities" if score == "both" else "there are no log-probabilities"
        run.decide("tournament", score, {"reason": why})
    more = n if copies is None else copies
    n = max(1, affordable(run, n, reserve=0))
    rule = Tournament(
        capacity=n, swap=swap, warmup=warmup, floor=floor, agreement=AGREEMENT[score], width=n + more
    )
    answer = await run.vote(
        solving(question),
        rule=rule,
        choices=labels(question.choices),
        question=question,
        judge=judge,
        segment=segment,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
    )
    if answer.claim is None and not answer.undecided:  # all failed on their way
        answer = replace(answer, undecided="no branch came to its end")
    return unless_split(answer)
