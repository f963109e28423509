"""Skeleton-of-Thought (arXiv 2307.15337): first the points of an answer, then all of them at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, assistant, system, user
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import most_abstained
from planners.direct import direct
from planners.fitting import tools_at_hand
from planners.lists import read_outline
from planners.markers import marker
from planners.questions import Temperature, Tokens, asked, chosen, computation_in, said, writing_in
from workers.calls import Completion

ROUTER = (
    "You decide how the answer to a question is best written. You do not answer the question.\n"
    "A: as a list of independent points, each of which can be written without the others, as in tips, "
    "reasons, aspects, advantages, an overview of a topic.\n"
    "B: as a list of points that build on each other, as in the steps of a calculation or of a proof.\n"
    "C: not as a list, as in a story, a poem, code, a translation, a short fact.\n"
    "Reply with one letter: A, B or C."
)
OUTLINE = (
    "You are an organiser who gives the skeleton of the answer, not the answer itself. "
    "Give the skeleton as a numbered list of 3 to 10 points. Write each point in 3 to 5 words, "
    "not in full sentences.\n\n"
    "Question: What kinds of food do the Chinese like?\n"
    "Skeleton:\n1. Dumplings.\n2. Noodles.\n3. Dim sum.\n4. Hot pot.\n5. Fried rice.\n\n"
    "Question: How can a person sleep better?\n"
    "Skeleton:\n1. Keep regular hours.\n2. Avoid late coffee.\n3. Dim the lights.\n4. Move by day."
)
EXPAND = (
    "You write one point of an answer whose skeleton is given, and only this one. "
    "Write one or two short sentences. Do not go on to the next point."
)


_LIST = re.compile(
    r"\b(?:tips|ways to|pros and cons|(?:dis)?advantages|benefits|reasons (?:for|why)|ideas for|suggestions"
    r"|strategies|factors|what are (?:the|some))\b",
    re.IGNORECASE,
)


def asks_for_a_list(run: Run, question: Question) -> str:
    """Why the answer is a list of independent points; with tools at hand, words do not show whether it is."""
    if tools_at_hand(run) or question.choices or computation_in(question) or writing_in(question):
        return ""
    match = _LIST.search(question.text)
    return f"it asks for a list: {match.group()!r}" if match else ""


SUITS = Suits(
    "with a list of independent points, as in tips, reasons, aspects, an overview of a topic",
    cost=30,
    sign=asks_for_a_list,
    calls=3,
    options={"route": "always"},
)


@planner("skeleton", suits=SUITS)
async def skeleton(
    run: Run,
    question: Question,
    *,
    route: Literal["ask", "always"] = "ask",
    points: Annotated[int, Field(ge=2, le=64)] = 10,
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 256,
) -> Answer:
    """Outline the answer, then write all points of the outline at the same time.

    ``route`` "ask" lets a router say that the question does not suit this method; it is then asked plainly,
    as it is when the outline has fewer than two points. At most ``points`` points are written, with at most
    ``max_tokens`` tokens each. A point that fails, is refused or only thought about stays in the answer as it
    is in the outline; if most are refused or only thought about, the answer is undecided.

    Raises:
        NodeFailed: no point could be written.
    """
    if route == "ask" and (why := await unsuitable(run, question)):
        return await _fall_back(run, question, why)
    prefill = run.capabilities.assistant_prefill
    try:
        outline = await run.generate(
            outline_prompt(question, prefill=prefill),
            label="outline",
            role="planner",
            temperature=temperature,
            max_tokens=16 * points,
        )
    except NodeFailed as error:
        return await _fall_back(run, question, f"the outline failed: {error.failure.message}")
    text = continued(outline.text) if prefill else outline.text
    found = points_of(text, cut_off=outline.finish_reason != "stop")
    if len(found) < 2:
        return await _fall_back(run, question, f"the outline has {len(found)} points")
    listed = dict(list(found.items())[:points])
    shared = (*asked(question), "\n\nSkeleton:\n", *(f"{i}. {text}\n" for i, text in listed.items()))
    written = {
        index: run.generate(
            expansion(shared, index, text, prefill=prefill),
            label=f"point {index}",
            temperature=temperature,
            max_tokens=max_tokens,
            stop=(f"\n{index + 1}.",),
        )
        for index, text in listed.items()
    }
    return await _collected(run, listed, written, max_tokens)


async def unsuitable(run: Run, question: Question) -> str:
    """Why the answer should not be written in parallel; empty if it should.

    The words of the question are searched for a reason first; the model is asked only if they give none.
    """
    if question.choices:
        return "it offers choices"
    if sign := computation_in(question) or writing_in(question):
        return f"it asks for something whole: {sign!r}"
    letter = await chosen(run, [system(ROUTER), user(*asked(question))], "ABC")
    reason = {"A": "", "B": "its points depend on each other", "C": "its answer is no list"}.get(
        letter or "", "the router gave no verdict"
    )
    run.decide("router", letter or "unclear", {"reason": reason or "its points are independent"})
    return reason


def points_of(outline: str, *, cut_off: bool = False) -> dict[int, str]:
    """The points of a list by number, in the order given, as :mod:`planners.lists` reads them.

    ``cut_off`` says that the last point may be unfinished; it is left out.
    """
    points = dict(read_outline(outline).points)
    if cut_off and points:
        points.popitem()
    return points


def continued(text: str) -> str:
    """The outline that goes on after ``1.``, or begins its list anew: whichever has more points."""
    answer = split_thinking(text).answer.lstrip()
    return max((f"1. {answer}", answer), key=lambda text: len(read_outline(text).points))


def outline_prompt(question: Question, *, prefill: bool) -> list[Message]:
    """The prompt for the skeleton; with ``prefill``, its completion goes on after ``1.``"""
    prompt = [system(OUTLINE), user(*asked(question), "\n\nSkeleton:")]
    return [*prompt, assistant("1.")] if prefill else prompt


def expansion(shared: Sequence[str], index: int, text: str, *, prefill: bool) -> list[Message]:
    """The prompt for one point: only its last line differs from those of the other points."""
    task = f"\nWrite point {index} only: {text}"
    prompt = [system(EXPAND), user(*shared, task)]
    return [*prompt, assistant(f"{index}. {text.rstrip('.:')}:")] if prefill else prompt


def assembled(listed: Mapping[int, str], written: Mapping[int, Completion]) -> Answer:
    """The points in the order of the outline; those not written stay as they are in the outline."""

    def point(index: int, text: str) -> str:
        if index not in written:
            return f"{index}. {text}"
        title = text.rstrip(".:")
        body = said(written[index])
        if (again := marker(body)) and again.ordinal == index:
            body = body[again.end :]
        return f"{index}. {title}: {body.removeprefix(title).lstrip('.: ')}"

    return Answer("\n".join(point(index, text) for index, text in listed.items()))


async def _collected(
    run: Run, listed: Mapping[int, str], written: Mapping[int, Node[Completion]], max_tokens: int
) -> Answer:
    """All points; if the run ends early, its answer has those that are finished."""

    def ended() -> dict[int, Completion]:
        return {index: node.value for index, node in written.items() if isinstance(node.outcome, Succeeded)}

    def finished() -> dict[int, Node[Completion]]:
        return {index: written[index] for index, each in ended().items() if not _unsaid(each)}

    run.propose(lambda: assembled(listed, {index: node.value for index, node in finished().items()}))
    await run.outcomes(written.values())
    if not ended():
        await run.join(written.values())  # raises the failure of the first
    silent = [each.finish_reason for each in ended().values() if _unsaid(each)]
    undecided = most_abstained(silent, len(ended()), max_tokens, what="points")
    return replace(await run.merge(assembled, listed, finished()), undecided=undecided)


def _unsaid(completion: Completion) -> bool:
    """Whether a point came to nothing. One that ends at once does not: its title may say it all."""
    is_empty = completion.finish_reason == "stop" and not completion.text.strip()
    return not is_empty and not said(completion)


async def _fall_back(run: Run, question: Question, why: str) -> Answer:
    run.decide("skeleton", "direct", {"reason": why})
    return await direct(run, question)
