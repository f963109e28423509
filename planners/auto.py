"""Choosing a method: by what the question shows, or by asking a model where that is not enough.

Which methods there are, and what each is good for, the planners say themselves
(:class:`~orchestrator.planning.suits.Suits`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.errors import AnswerRefused, InvalidRequest, NodeFailed
from orchestrator.planning.candidates import Candidate, candidates, cannot_afford
from orchestrator.planning.finding import find_planner
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.splitting import split, unless_split
from planners.fitting import tools_at_hand
from planners.questions import SAMPLED, Temperature, Tokens, chosen, set_task, slot
from workers.showing import SHOWN, cut

ROUTER = "You decide how the question above is best answered. You do not answer it. It is best answered\n"
TOOLS = "The tools that can be used:\n"
REPLY = "Reply with one letter."
MOST_BRANCHES = 64
MOST_TOOLS = 32
"""How many tools the router is told of."""


def _names(given: object) -> object:
    """Names as a command line gives them, with commas in between."""
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given


@planner("auto")
async def auto(
    run: Run,
    question: Question,
    *,
    without: Annotated[
        tuple[str, ...], BeforeValidator(_names), Field(description="planners that are not to be chosen")
    ] = (),
    n: Annotated[int, Field(ge=1, le=MOST_BRANCHES)] | None = None,
    temperature: Temperature | None = None,
    max_tokens: Tokens | None = None,
) -> Answer:
    """Choose the method that suits the question, and write down why.

    A vote whose branches are split goes on to a method that may settle it, if there is one. ``n``,
    ``temperature`` and ``max_tokens`` are for the method that is chosen, where it has such an option; one
    that samples several gets no lower temperature than makes them differ.

    Raises:
        NodeFailed: the chosen method could not get an answer.
        InvalidRequest: a planner is left out that is not installed, or none is left.
    """
    found = await candidates(run, question, without)
    usable = [each for each in found if not each.lacks]
    left_out = {each.name: each.lacks for each in found if each.lacks}
    if not usable:
        why = "; ".join(f"{name}: {lacks}" for name, lacks in left_out.items())
        raise InvalidRequest(f"no planner is left to choose ({why or 'all are left out'})")
    choice = await choose(run, question, usable)
    method = choice.method
    run.decide("auto", method.name, {"reason": choice.reason, **({"left out": left_out} if left_out else {})})
    wishes = {"n": n, "temperature": temperature, "max_tokens": max_tokens}
    answer = await _answer(run, question, method, wishes)
    if not split(answer):
        return answer
    others = [each for each in usable if each.settles and each.name != method.name]
    return await _settled(run, question, unless_split(answer), others, wishes)


async def _answer(
    run: Run, question: Question, method: Candidate, wishes: Mapping[str, float | None]
) -> Answer:
    found = find_planner(method.name)
    options = {**_granted(found, wishes), **method.options}
    answer = await found(run, question, **found.arguments(options))
    return replace(answer, method=method.name)


def _granted(method: Planner, wishes: Mapping[str, float | None]) -> dict[str, Any]:
    """Those of the wishes that a method has options for."""
    known = method.options_model.model_fields
    granted = {name: value for name, value in wishes.items() if value is not None and name in known}
    if (wanted := granted.get("temperature")) is not None:
        granted["temperature"] = max(wanted, min(SAMPLED, known["temperature"].default))
    return granted


@dataclass(frozen=True, slots=True)
class Choice:
    """A method that was chosen, why, and by what: ``model`` also where its reply was no verdict."""

    method: Candidate
    reason: str
    by: Literal["sign", "only", "model"]


def signed(usable: Sequence[Candidate]) -> Choice | None:
    """What the question itself shows: the one method that finds a sign in it; None if none or several do."""
    found = [each for each in usable if each.sign]
    return Choice(found[0], found[0].sign, "sign") if len(found) == 1 else None


async def choose(run: Run, question: Question, usable: Sequence[Candidate]) -> Choice:
    """The method of choice: what the question shows decides, or a model where that is not clear."""
    if shown := signed(usable):
        return shown
    found = [each for each in usable if each.sign] or usable
    # The router's call is paid for, too.
    options = [each for each in found if not cannot_afford(run.budget, question, 1 + each.calls)][
        : len(ascii_uppercase)
    ]
    if len(options) < 2:
        only = next(iter(options or found))
        return Choice(
            only, only.sign or "nothing else can be used, or afforded after asking a model to choose", "only"
        )
    # Small models lean towards the first letter, so A is the cheapest method.
    offered = dict(zip(ascii_uppercase, options, strict=False))
    descriptions = {letter: each.description for letter, each in offered.items()}
    letter = await chosen(run, set_task(question, *routing(run, descriptions)), descriptions)
    if letter is None:
        return Choice(options[0], "the router gave no verdict", "model")
    reason = f"a model says that it is best answered {descriptions[letter]}"
    return Choice(offered[letter], reason, "model")


def routing(run: Run, descriptions: Mapping[str, str]) -> list[str]:
    """The task of the router, in parts: the methods by letter, and the tools, if there are some."""
    listed = "".join(f"{letter}: {text}.\n" for letter, text in descriptions.items())
    told = "".join(
        f"{tool.name}: {cut(' '.join(tool.description.split()), SHOWN)}\n"
        for tool in tools_at_hand(run)[:MOST_TOOLS]
    )
    return [ROUTER, listed, *([TOOLS, slot("tools", told.rstrip())] if told else []), REPLY]


async def _settled(
    run: Run,
    question: Question,
    answer: Answer,
    others: Sequence[Candidate],
    wishes: Mapping[str, float | None],
) -> Answer:
    """What the first affordable of the ``others`` makes of a question that a vote left open."""
    run.propose(lambda: answer)
    for other in others:
        if why := cannot_afford(run.budget, question, other.calls):
            run.decide("auto", f"not {other.name}", {"reason": why})
            continue
        run.decide("auto", other.name, {"reason": f"the vote is undecided: {answer.undecided}"})
        try:
            settled = unless_split(await _answer(run, question, other, wishes))
        except (NodeFailed, AnswerRefused) as error:
            run.decide("auto", f"{other.name} failed", {"reason": str(error)})
            break
        return answer if settled.undecided else settled
    return answer
