"""Recursive self-aggregation, RSA (arXiv 2509.26626): chains are written anew from some of the others."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from orchestrator.errors import InvalidRequest
from orchestrator.planning.candidates import cannot_afford
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.judging import Judge
from planners.population import Population
from planners.questions import Temperature, Tokens
from planners.vote import solving

AGGREGATE = (
    "\nSome attempts at this problem are below. Each may be wrong in part or as a whole, and so may what "
    "they say alike. Compare them step by step, keep what holds, correct what does not, join what is useful, "
    "and write one better solution with all its steps. End in the same form.\n"
)

LEAST: Final = 200
"""Characters of a chain that must fit the context for it to be worth showing."""


@planner("aggregate")
async def aggregate(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=2, le=64)] = 4,
    k: Annotated[int, Field(ge=2, le=16)] = 3,
    t: Annotated[int, Field(ge=1, le=32)] = 3,
    enough: Annotated[int, Field(ge=2, le=64)] = 3,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Write chains, then write as many again, each from some of them; the last ones vote.

    ``t`` populations of ``n`` chains are written. From the second on, each chain is shown ``k`` of the
    population before, drawn without replacement. It ends earlier once a population of at least ``enough``
    chains agrees. A chain that fails or is cut off leaves its place to the one that it was to replace.
    ``judge`` is that of :meth:`Run.vote`.

    Raises:
        NodeFailed: no chain of the first population gave a completion.
        InvalidRequest: more chains are to be shown than there are, or the judge lacks something.
    """
    if k > n:
        raise InvalidRequest(f"k={k} chains cannot be drawn of n={n}; k must be at most n")
    population = Population(
        run, question, judge=judge, temperature=temperature, max_tokens=max_tokens, what="chain"
    )
    number, chains = 1, await population.asked([solving(question)] * n, "population 1")

    def answer() -> Answer:
        return population.answer(chains, f"of {number} populations" if number > 1 else "")

    def end() -> str:
        entropy = population.entropy(chains)
        if entropy.nats == 0 and len(chains) >= enough:
            return "agreed"
        if number >= t:
            return "exhausted"
        if sum(bool(chain.said) for chain in chains) < 2:
            return "fewer than two chains say anything"
        if population.room(k) < LEAST:
            return f"{k} chains do not fit the context"
        return cannot_afford(run.budget, question, n)

    while not (why := end()):
        run.decide("aggregate", "another population", {"population": number, **population.saw(chains)})
        number += 1
        telling = [chain for chain in chains if chain.said]
        shown = population.shown("attempt", telling, population.room(k))
        drawn = [run.random.sample(shown, min(k, len(shown))) for _ in range(n)]
        prompts = [solving(question, AGGREGATE, *each) for each in drawn]
        chains = await population.asked(prompts, f"population {number}", before=chains)
        run.propose(answer)
    run.decide("aggregate", f"finish: {why}", {"population": number, **population.saw(chains)})
    return answer()
