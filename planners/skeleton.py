"""Skeleton-of-Thought (arXiv 2307.15337): first the points of an answer, then all of them at once."""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.errors import InvalidRequest, NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, assistant, user
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import most_abstained
from planners.drift import Drift, drift_between
from planners.fitting import sign_of
from planners.handing import PLAIN, instead
from planners.independence import unsuitable
from planners.listing import MOST_ASKED
from planners.markers import marker
from planners.nesting import nested
from planners.outlining import Outlining, Point, lines
from planners.questions import (
    Temperature,
    Tokens,
    guarded,
    said,
    set_task,
    slot,
)
from planners.signs import Kind
from workers.calls import Completion

EXPAND = (
    "Write one point of the answer to the question, and only this one, in one or two short sentences, in the "
    "language of the question. The skeleton shows what each of the points says. Say what yours is to say, "
    "agree with the others, and leave to them what is theirs.\n"
)
AGAIN = "Write that point anew, so that it does not.\n"


MOST_WRITTEN = 24
"""Points that are written where they are split."""

_AFTER_HEADING = (":", "：", ".", "–", "—", "\n")


def asks_for_a_list(run: Run, question: Question) -> str:
    """Why the answer is a list of independent points; with tools at hand, words do not show whether it is."""
    return sign_of(run, question, Kind.LIST)


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
    route: Literal["ask", "trained", "always"] = "ask",
    depth: Annotated[int, Field(ge=1, le=3)] = 1,
    points: Annotated[int | None, Field(ge=2, le=MOST_ASKED)] = None,
    repair: bool = True,
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 256,
) -> Answer:
    """Outline the answer, then write all points of the outline at the same time.

    ``route`` "ask" lets a router say that the question does not suit this method; it is then answered by what
    suits it (:func:`~planners.handing.instead`), as it is when the outline has fewer than two points. With
    "trained" that is a small classifier from a file. ``depth`` 2 or 3 lets points be split into points of
    their own, which are all written at the same time, too. At most
    ``points`` points are written, with at most ``max_tokens`` tokens each; by default as many as the question
    asks for, or else at most 10. A point that fails, is refused or only thought about stays in the answer as
    it is in the outline; if most are refused or only thought about, the answer is undecided. With ``repair``,
    points that are seen to repeat or to contradict another one are written once more.

    Raises:
        NodeFailed: no point could be written.
        InvalidRequest: there is no trained router.
    """
    if route == "trained" and not run.routes:
        raise InvalidRequest("route=trained needs a trained router: name its file in ANABRANCH_ROUTER")
    if route != "always" and (why := await unsuitable(run, question, trained=route == "trained")):
        return await _hand_on(run, question, why)
    try:
        listed = await Outlining(run, question, points, temperature).points()
    except NodeFailed as error:
        return await _hand_on(run, question, f"the outline failed: {error.failure.message}")
    if len(listed) < 2:
        return await _hand_on(run, question, f"the outline has {len(listed)} points")
    if depth > 1:
        listed = await nested(
            run, question, listed, depth=depth, most=max(len(listed), MOST_WRITTEN), temperature=temperature
        )
    prefill = run.capabilities.assistant_prefill
    shared = set_task(question, EXPAND, slot("skeleton", lines(listed)))

    def write(index: int, before: Sequence[Message], label: str) -> Node[Completion]:
        return run.generate(
            expansion(before, index, listed[index], prefill=prefill),
            label=label,
            temperature=temperature,
            max_tokens=max_tokens,
            stop=(f"\n{index + 1}.",),
        )

    written = {index: write(index, shared, f"point {index}") for index in listed}
    return await Writing(run, question, listed, written, write).collected(max_tokens, repair=repair)


def expansion(shared: Sequence[Message], index: int, point: Point, *, prefill: bool) -> list[Message]:
    """The prompt for one point: only its last line differs from those of the other points."""
    prompt = [*shared, user(f"Write point {index} only: {guarded(point.heading, 'skeleton', 'answer')}")]
    return [*prompt, assistant(f"{index}. {point.heading}:")] if prefill else prompt


def own_text(index: int, point: Point, said: str) -> str:
    """What a model says in a point, without the number and the heading that it may repeat, even twice."""
    body, before = said.strip(), ""
    while body != before:
        before = body
        again = marker(body)
        if again and (again.ordinal == index or _headed(body[again.end :], point.heading)):
            body = body[again.end :]
        body = _headed(body, point.heading) or body.lstrip(".: \n")
    return body


def _headed(text: str, heading: str) -> str:
    """What comes after a heading at the beginning of a text; empty if the text does not begin with it."""
    bare = text.lstrip("*_# ")
    rest = bare[len(heading) :].lstrip("*_ ")
    begins = bool(heading) and bare[: len(heading)].casefold() == heading.casefold()
    return rest.lstrip("*_.:：–— \n") if begins and rest.startswith(_AFTER_HEADING) else ""


def assembled(listed: Mapping[int, Point], written: Mapping[int, Completion]) -> Answer:
    """The points in the order of the outline, beneath the headings of those of which they are parts.

    Those not written stay as they are in the outline.
    """

    def shown(index: int, point: Point) -> str:
        body = own_text(index, point, said(written[index])) if index in written else ""
        return f"{index}. {point.heading}: {body}" if body else f"{index}. {point.text}"

    texts: list[str] = []
    above: tuple[str, ...] = ()
    for index, point in listed.items():
        same = next(
            (at for at, (a, b) in enumerate(zip(above, point.under, strict=False)) if a != b),
            min(len(above), len(point.under)),
        )
        texts += [f"{'#' * (at + 2)} {heading}" for at, heading in enumerate(point.under) if at >= same]
        above = point.under
        texts.append(shown(index, point))
    return Answer("\n".join(texts))


Write = Callable[[int, Sequence[Message], str], Node[Completion]]
"""Has the point of a number written, after what comes before its last line, in a call of that label."""


class Writing:
    """The points of an answer, from the calls that write them to the answer that they make."""

    def __init__(
        self,
        run: Run,
        question: Question,
        listed: Mapping[int, Point],
        written: Mapping[int, Node[Completion]],
        write: Write,
    ) -> None:
        self._run = run
        self._question = question
        self._listed = listed
        self._written = written
        self._nodes = dict(written)
        """Of each point, the call whose text counts."""
        self._write = write

    async def collected(self, max_tokens: int, *, repair: bool) -> Answer:
        """All points; if the run ends early, its answer has those that are finished."""
        run = self._run
        run.propose(
            lambda: assembled(self._listed, {index: node.value for index, node in self._finished().items()})
        )
        await run.outcomes(self._written.values())
        ended = [node.value for node in self._written.values() if isinstance(node.outcome, Succeeded)]
        if not ended:
            await run.join(self._written.values())  # raises the failure of the first
        silent = [each.finish_reason for each in ended if _unsaid(each)]
        undecided = most_abstained(silent, len(ended), max_tokens, what="points")
        await self._looked_over(repair=repair)
        written = self._finished()
        points = f"{len(written)} of {len(self._listed)} points"
        basis = f"written in {points} side by side, not compared with others"
        answer = await run.merge(assembled, self._listed, written)
        return replace(answer, undecided=undecided, basis=basis)

    def _finished(self) -> dict[int, Node[Completion]]:
        return {
            index: node
            for index, node in self._nodes.items()
            if isinstance(node.outcome, Succeeded) and not _unsaid(node.value)
        }

    def _drift(self, nodes: Mapping[int, Node[Completion]]) -> Drift:
        texts = {
            index: (self._listed[index].heading, own_text(index, self._listed[index], said(node.value)))
            for index, node in nodes.items()
        }
        return drift_between(texts, self._question.text)

    async def _looked_over(self, *, repair: bool) -> None:
        """See whether points repeat or contradict each other, and write those anew that do."""
        finished = self._finished()
        if len(finished) < 2:
            return
        drift = self._drift(finished)
        wrong = drift.later
        self._run.decide("points", ("repair" if repair else "drift") if wrong else "agree", _shown(drift))
        if not wrong or not repair:
            return
        answer = assembled(self._listed, {index: node.value for index, node in finished.items()})
        shared = set_task(self._question, EXPAND, slot("answer", answer.text))
        anew = {
            index: self._write(
                index, [*shared, user(f"Point {index} {does} point {other}. {AGAIN}")], f"point {index}, anew"
            )
            for index, (other, does) in wrong.items()
        }
        await self._run.outcomes(anew.values())
        for index, node in anew.items():
            if isinstance(node.outcome, Succeeded) and said(node.value):
                self._nodes[index] = node
        left = self._drift(self._finished())
        for index in left.later.keys() & anew.keys():
            self._nodes[index] = self._written[index]  # it is no better
        self._run.decide("points", "kept" if left.later else "repaired", _shown(left))


def _shown(drift: Drift) -> dict[str, object]:
    pairs = {"repeated": drift.repeated, "contradicting": drift.contradicting}
    told = {what: [f"{one}, {two}" for one, two in found] for what, found in pairs.items() if found}
    return {**told, "overlap": drift.overlap}


def _unsaid(completion: Completion) -> bool:
    """Whether a point came to nothing. One that ends at once does not: its title may say it all."""
    is_empty = completion.finish_reason == "stop" and not completion.text.strip()
    return not is_empty and not said(completion)


async def _hand_on(run: Run, question: Question, why: str) -> Answer:
    name, ask = instead(run, question, PLAIN)
    run.decide("skeleton", name, {"reason": why})
    return await ask(run, question)
