"""Whether an answer is a list of independent points, by the question's words, a model or a classifier."""

from __future__ import annotations

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Question
from planners.questions import chosen, set_task
from planners.signs import Kind, leans, shown
from workers.tools.toolbox import ROUTER as TRAINED

ROUTER = (
    "Decide how the answer to the question is best written. Do not answer the question.\n"
    "A: as a list of independent points, each of which can be written without the others, as in tips, "
    "reasons, aspects, advantages, an overview of a topic.\n"
    "B: as a list of points that build on each other, as in the steps of a calculation or of a proof.\n"
    "C: not as a list, as in a story, a poem, code, a translation, a short fact.\n"
    "Reply with one letter: A, B or C."
)


async def unsuitable(run: Run, question: Question, *, trained: bool = False) -> str:
    """Why the answer should not be written in parallel; empty if it should.

    The words of the question are searched for a reason first; only if they give none, the model is asked, or
    the trained router. That one reads the question alone, so a question that leans on a conversation is the
    model's.
    """
    if sign := shown(question):
        if sign.kind is not Kind.LIST:
            return sign.why
        run.decide("router", "A", {"reason": sign.why})
        return ""
    if trained and not leans(question):
        return await _unlikely(run, question)
    letter = await chosen(run, set_task(question, ROUTER), "ABC")
    reason = {"A": "", "B": "its points depend on each other", "C": "its answer is no list"}.get(
        letter or "", "the router gave no verdict"
    )
    run.decide("router", letter or "unclear", {"reason": reason or "its points are independent"})
    return reason


async def _unlikely(run: Run, question: Question) -> str:
    """Why the trained router says no; empty if it says yes. One that fails counts as a no."""
    outcome = await run.tool(TRAINED, {"question": question.text}).settled()
    told = outcome.value if isinstance(outcome, Succeeded) else {}
    probability, threshold = told.get("probability"), told.get("threshold")
    if probability is None or threshold is None:
        reason = "the router gave no verdict"
    else:
        reason = "" if probability >= threshold else "the trained router sees no list of independent points"
    run.decide("router", "no" if reason else "A", {"reason": reason or "a trained router", **told})
    return reason
