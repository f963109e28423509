"""Rounds of parallel answers, each with the answers before it in view, until one is certain enough.

SEAT (arXiv 2507.06829), whose text was not at hand: prompts and constants are ours, and so is the guard
against rounds that agree because they have read each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from orchestrator.consensus.stopping import End, most_certain, parse_round_rule
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from planners.attempts import Attempts, known_round_rule
from planners.questions import Tokens
from planners.vote import WIDEST, solving

MOST_ROUNDS = 32
"""The most rounds that may be asked for."""

Warm = Annotated[float, Field(gt=0.0, le=2.0)]
"""A temperature above 0, at which all branches of a round would say the same."""


def _bounded(spec: str) -> str:
    limit = parse_round_rule(known_round_rule(spec)).limit
    if limit > MOST_ROUNDS:
        raise ValueError(f"rule {spec!r} holds up to {limit} rounds, more than {MOST_ROUNDS}")
    return spec


@planner("rounds")
async def rounds(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=2, le=WIDEST)] = 4,
    between: Annotated[str, AfterValidator(_bounded)] = "seat:0.3",
    see: Literal["half", "all"] = "half",
    judge: Judge = "none",
    temperature: Warm = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Vote in rounds of ``n`` branches that see the answers before them, until a round is certain enough.

    ``between`` decides after each round, by its entropy, whether another one is held, and which one answers.
    From the second round on, ``see`` "half" shows every other branch the distinct answers so far, "all" each.
    An earlier round answers if the last one collapsed: if it turned unanimous against what most of an earlier
    one stood for, or if most branches that were shown answers merely repeat them. A later round that fails,
    or for which too few calls are left, ends the search with the most certain one.

    Raises:
        NodeFailed: no branch of the first round gave a completion.
    """
    attempts, rule = Attempts(question), parse_round_rule(between)

    def finish(why: str, at: int, saw: Mapping[str, Any]) -> Answer:
        run.decide("rounds", f"finish: {why}", {**saw, "answered by round": at})
        return attempts.answer(at)

    while not isinstance(decision := rule.decide(attempts.seen), End):
        calls, saw = run.budget.calls, {**decision.seen, **_told(attempts)}
        if attempts.answers and calls is not None and calls < n:
            return finish("too few calls are left for another round", most_certain(attempts.seen), saw)
        if attempts.answers:
            run.decide("rounds", "another round", saw)
        plain, shown = solving(question), attempts.contested(run)
        turns = [plain, *shown] if see == "half" or not shown else shown
        vote = run.vote(
            turns[0],
            turns=turns[1:],
            rule="fixed",
            width=n if calls is None else max(1, min(n, calls)),
            choices=labels(question.choices),
            question=question,
            judge=judge,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        outcome = await vote.settled()
        if attempts.answers and not isinstance(outcome, Succeeded):
            return finish("the round failed", most_certain(attempts.seen), saw)
        answer = await vote
        attempts.add(answer, [turn is not plain for turn in turns])
        run.propose(lambda: attempts.answer(most_certain(attempts.seen)))
    return finish(decision.reason, decision.best, {**decision.seen, **_told(attempts)})


def _told(attempts: Attempts) -> dict[str, Any]:
    """What the trace is told of the last round beside its entropy: who said nothing, or only repeated."""
    if not attempts.answers:
        return {}
    votes = attempts.answers[-1].votes
    silent = sum(vote.claim is None for vote in votes)
    return {
        "silent": f"{silent} of {len(votes)}",
        "copied": round(attempts.seen[-1].copied, 6),
    }
