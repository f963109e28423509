"""Choosing a method: by what the question shows, or by asking a model where that is not enough."""

from __future__ import annotations

import re

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import system, user
from orchestrator.runtime.values import Answer, Question
from planners.direct import direct
from planners.llm_compiler import llm_compiler
from planners.questions import asked, chosen, computation_in, writing_in
from planners.skeleton import skeleton
from planners.vote import vote

ROUTER = (
    "You decide how a question is best answered. You do not answer it.\n"
    "A: with a text or code that is written from beginning to end.\n"
    "B: with one short answer that is right or wrong: a number, a name, a date, yes or no.\n"
    "C: with a list of independent points, as in tips, reasons, aspects, an overview of a topic.\n"
)
WITH_TOOLS = "D: by first using these tools: {names}.\n"
REPLY = "Reply with one letter."
# Small models lean towards the first letter, so A is the cheapest method.
MEANING = {
    "A": ("direct", "its answer is written as a whole"),
    "B": ("vote", "its answer is short and right or wrong"),
    "C": ("skeleton", "its answer is a list of independent points"),
    "D": ("llm_compiler", "it needs tools"),
}

ARITHMETIC = frozenset({"calculator"})
"""Tools that are no reason to plan: voting chains of thought compute well enough."""

_LIST = re.compile(
    r"\b(?:tips|ways to|pros and cons|(?:dis)?advantages|benefits|reasons (?:for|why)|ideas for|suggestions"
    r"|strategies|factors|what are (?:the|some))\b",
    re.IGNORECASE,
)


@planner("auto")
async def auto(run: Run, question: Question) -> Answer:
    """Choose the method that suits the question, and write down why.

    Raises:
        NodeFailed: the chosen method could not get an answer.
    """
    method, reason = seen(run, question) or await said(run, question)
    run.decide("auto", method, {"reason": reason})
    match method:
        case "vote":
            return await vote(run, question)
        case "skeleton":
            return await skeleton(run, question, route="always")
        case "llm_compiler":
            return await llm_compiler(run, question)
        case _:
            return await direct(run, question)


def seen(run: Run, question: Question) -> tuple[str, str] | None:
    """The method that the question itself calls for, and why; None if it does not show."""
    if question.choices:
        return "vote", "it offers choices"
    named = [name for name in run.tools if re.search(rf"\b{re.escape(name)}\b", question.text)]
    if named:
        return "llm_compiler", f"it names the tool {named[0]}"
    if run.tools.keys() - ARITHMETIC:
        return None  # words do not show whether the tools are needed
    if sign := computation_in(question):
        return "vote", f"it asks for a computation: {sign!r}"
    if sign := writing_in(question):
        return "direct", f"it asks for something whole: {sign!r}"
    if match := _LIST.search(question.text):
        return "skeleton", f"it asks for a list: {match.group()!r}"
    return None


async def said(run: Run, question: Question) -> tuple[str, str]:
    """The method that a model chooses, and why; plain asking if its reply is unclear."""
    tools = ", ".join(name for name in run.tools if name not in ARITHMETIC)
    options = f"{ROUTER}{WITH_TOOLS.format(names=tools)}{REPLY}" if tools else f"{ROUTER}{REPLY}"
    letter = await chosen(run, [system(options), user(*asked(question))], "ABCD" if tools else "ABC")
    return MEANING[letter] if letter else ("direct", "the router gave no verdict")
