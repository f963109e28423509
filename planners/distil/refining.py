"""Parallel-distil-refine, PDR (arXiv 2510.01123): rounds of drafts, with nothing but notes between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from orchestrator.errors import NodeFailed
from orchestrator.planning.candidates import cannot_afford
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.judging import Judge
from planners.distil.workspace import By, Workspace
from planners.population import Chain, Population
from planners.questions import Temperature, Tokens
from planners.vote import solving

REFINE = (
    "\nOf earlier drafts there are only the notes below: which answers they came to, in brackets how many "
    "did, and what they say. Any of it may be wrong. Solve the problem anew, step by step: use what "
    "holds, settle what they disagree on, correct what is wrong. End in the same form.\n"
)

MOST_ROUNDS: Final = 16
WIDEST: Final = 64


def _widths(written: str) -> str:
    widths = written.split(",")
    fit = all(each.strip().isdecimal() and 1 <= int(each) <= WIDEST for each in widths)
    if not fit or len(widths) > MOST_ROUNDS:
        raise ValueError(
            f"{written!r} is no schedule: give the drafts of each round, 1 to {WIDEST}, with commas in "
            f"between and for at most {MOST_ROUNDS} rounds, as in 4,2,1"
        )
    return written


@planner("distil")
async def distil(
    run: Run,
    question: Question,
    *,
    widths: Annotated[str, AfterValidator(_widths)] = "4,2,1",
    by: By = "summary",
    k: Annotated[int, Field(ge=1, le=16)] = 2,
    workspace: Annotated[int, Field(ge=32, le=32_768)] = 512,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Write drafts, distil them into a bounded workspace, and begin the next round from that alone.

    ``widths`` has the drafts of each round; the last round gives the answer. ``"1,1,1"`` is sequential
    refinement (SR). The workspace has the answers of the drafts with their counts, and what they say in at
    most ``workspace`` tokens, distilled ``by`` a summary, or as the ``k`` drafts that most agree with, that
    the model itself thinks best of, or that are drawn at random. Rounds end when the drafts of one agree, or
    two single ones in a row do; where they agree no more than those before, the last round is next.
    ``judge`` is that of :meth:`Run.vote`.

    Raises:
        NodeFailed: no draft of the first round gave a completion.
        InvalidRequest: the judge lacks something.
    """
    population = Population(
        run, question, judge=judge, temperature=temperature, max_tokens=max_tokens, what="draft"
    )
    space = Workspace(run, question, population, by=by, k=k, tokens=workspace)
    schedule = [int(width) for width in widths.split(",")]
    rounds: list[list[Chain]] = []

    def best() -> int:
        """The last round whose drafts came to an answer."""
        return next((at for at in reversed(range(len(rounds))) if population.counts(rounds[at])), -1)

    def answer() -> Answer:
        return population.answer(rounds[best()], f"of {len(rounds)} rounds" if len(rounds) > 1 else "")

    def saw() -> dict[str, Any]:
        return {"round": len(rounds), **population.saw(rounds[-1])}

    at, prompt = 0, solving(question)
    while True:
        try:
            drafts = await population.asked([prompt] * schedule[at], f"round {at + 1}")
        except NodeFailed as error:
            if not rounds:
                raise
            why = f"no draft came: {error.failure.message}"
            break
        rounds.append(drafts)
        run.propose(answer)
        if why := _over(population, rounds, is_last=at + 1 == len(schedule)):
            break
        following = at + 1 if _more_agree(population, rounds) else len(schedule) - 1
        if why := cannot_afford(run.budget, question, schedule[following] + space.calls(drafts)):
            break
        skips = following > at + 1
        run.decide(
            "distil", "last round: the drafts agree no more than before" if skips else "another round", saw()
        )
        at, prompt = following, solving(question, REFINE, await space.distilled(drafts))
    run.decide("distil", f"finish: {why}", {**saw(), "answered by round": best() % len(rounds) + 1})
    return answer()


def _over(population: Population, rounds: Sequence[Sequence[Chain]], *, is_last: bool) -> str:
    """Why there is no further round; empty if there is one."""
    if _agreed(population, rounds):
        return "agreed"
    if is_last:
        return "exhausted"
    return "" if any(draft.said for draft in rounds[-1]) else "no draft says anything"


def _more_agree(population: Population, rounds: Sequence[Sequence[Chain]]) -> bool:
    """Whether the drafts of the last round agree more than those before, as far as can be told."""
    now, before = (population.entropy(drafts).normalised for drafts in (rounds[-1], rounds[-2:][0]))
    return len(rounds) < 2 or now is None or before is None or now < before


def _agreed(population: Population, rounds: Sequence[Sequence[Chain]]) -> bool:
    """Whether the drafts of the last round agree, or the last two rounds have a draft each, and they do."""
    if population.entropy(rounds[-1]).nats == 0:
        return True
    alone = [drafts[0].cluster for drafts in rounds[-2:] if len(drafts) == 1]
    return len(alone) == 2 and alone[0] == alone[1] is not None
