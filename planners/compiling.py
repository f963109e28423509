"""Plan, fetch, join: the loop that the planners share which answer from the results of steps."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from planners.drafting import Drafter, Trouble
from planners.fetching import Fetcher
from planners.handing import Instead, instead
from planners.joining import Missing, Unanswered, from_results, join, join_prompt
from planners.offers import Offers
from planners.plan_examples import Example


@dataclass(frozen=True, slots=True)
class Method:
    """A method that plans: the name in which it decides, what it offers, its bounds, and its fall-backs.

    ``instead`` answers where the question has one part and its words show nothing that suits it better,
    ``broken`` where no valid plan can be had; both are named in the trace.
    """

    by: str
    offers: Offers
    instead: Instead
    broken: Instead
    examples: list[Example]
    max_replans: int
    max_tasks: int
    temperature: float
    max_tokens: int


async def compiled(run: Run, question: Question, method: Method) -> Answer:
    """Have a plan written, take its steps side by side, and answer from their results.

    If the results cannot be read, the answer is made from them as they stand. Without results, another
    method answers; the trace has the reason either way.

    Raises:
        NodeFailed: the engine failed even for that method.
        InvalidRequest: an example uses what is not offered.
    """
    fetcher = Fetcher(run, question, method.offers)
    drafter = Drafter(
        run,
        question,
        method.by,
        method.offers,
        fetcher,
        method.examples,
        method.max_tasks,
        method.temperature,
        method.max_tokens,
    )
    run.propose(lambda: from_results(question, fetcher.taken()) if fetcher.has_results() else None)
    missing = ""
    for replans_left in range(method.max_replans, -1, -1):
        trouble = await drafter.plan(missing)
        if trouble is not None and not fetcher.steps:
            return await _otherwise(run, question, method, trouble, fetcher)
        may_replan = replans_left > 0 and trouble is None
        run.expect(join_prompt(question, may_replan=may_replan), role="planner")
        results = await fetcher.observations()
        if may_replan and (unfit := fetcher.unfit()):
            missing = unfit
            run.decide(method.by, "replan", {"missing": missing, "lacking": fetcher.lacking()})
            continue
        verdict = await join(
            run,
            question,
            results,
            lacking=fetcher.lacking(),
            may_replan=may_replan,
            temperature=method.temperature,
            max_tokens=method.max_tokens,
            by=method.by,
        )
        match verdict:
            case Answer():
                return verdict
            case Missing(what):
                missing = what
            case Unanswered(reason) if fetcher.has_results():
                run.decide(method.by, "from results", {"reason": reason})
                return from_results(question, fetcher.taken())
            case Unanswered(reason):
                return await _otherwise(run, question, method, Trouble(reason), fetcher)
    raise AssertionError("the last joiner may not ask for more")


async def _otherwise(
    run: Run, question: Question, method: Method, trouble: Trouble, fetcher: Fetcher
) -> Answer:
    """Another method's answer, with the reason in the trace."""
    fetcher.abandon()
    name, ask = method.instead if trouble.one_part else method.broken
    if (name, ask) == method.instead:  # without tools, so what suits the question may do better
        name, ask = instead(run, question, method.instead)
    run.decide(method.by, name, {"reason": trouble.reason})
    return await ask(run, question)
