"""The outline of an answer: asked for, read, and gone on with where it has too few points."""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import NodeFailed
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.values import Question
from planners.invented import given_back
from planners.listing import number_asked
from planners.lists import read_outline
from planners.questions import again, set_task

OUTLINE = (
    "You are an organiser who gives the skeleton of the answer, not the answer itself: a numbered list. "
    "Each line has a heading of 2 to 5 words and, after a colon, a note of at most 10 words on what the "
    "point will say and judge. Points neither overlap nor contradict each other. "
    "Use the language of the question.\n\n"
    "Question: How is a Vurm kept well?\n"
    "Skeleton:\n1. Dry Vurm shed: it falls ill on wet ground.\n2. Fresh Ollo grass: old bundles lose their "
    "taste.\n3. Daily Vurm walk: a short one, not in rain.\n4. Quiet Vurm nights: never wake it early.\n\n"
)
COUNTED = "Now the question at the beginning: write {number} points.\n"

FEWEST, MOST = 3, 10
"""How many points there may be where neither the question nor an option says a number."""

TOKENS_OF_LINE = 32
"""Room for a line of the outline."""

_NOTED = re.compile(
    r"(?P<heading>[^:：–—?!。？！]{2,80}?)(?:[:：](?!\d)| [-–—] ).*\w"
    r"|(?P<sentence>[^.?!。？！]{10,80})[.?!。？！]\s*\w",
    re.DOTALL,
)


def points_of(outline: str, *, cut_off: bool = False) -> dict[int, str]:
    """The points of a list by number, in the order given, as :mod:`planners.lists` reads them.

    ``cut_off`` says that the last point may be unfinished; it is left out.
    """
    points = dict(read_outline(outline).points)
    if cut_off and points:
        points.popitem()
    return points


def continued(text: str, after: str = "1.") -> str:
    """The outline that goes on after a prefilled beginning, or begins anew: whichever has more points."""
    answer = split_thinking(text).answer.lstrip()
    return max((f"{after} {answer}", answer), key=lambda text: len(read_outline(text).points))


@dataclass(frozen=True, slots=True)
class Point:
    """A point as the outline has it: a heading, and mostly a note of what the point will say.

    ``under`` are the headings of the points of which it is a part, from above.
    """

    text: str
    under: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """What comes before the note, or is the first of several sentences."""
        match = _NOTED.match(self.text)
        return (match["heading"] or match["sentence"] if match else self.text).rstrip(".:： ")


class Outlining:
    """Has the outline written, with as many points as are wanted, as far as the model does it."""

    def __init__(self, run: Run, question: Question, points: int | None, temperature: float) -> None:
        self._run = run
        self._question = question
        self._asked = number_asked(question)
        self._most = points or self._asked or MOST
        self._exact = self._most == self._asked or self._most <= FEWEST
        self._temperature = temperature

    async def points(self) -> dict[int, Point]:
        """The points by number. Fewer than the question asks for are gone on with once.

        Raises:
            NodeFailed: the outline could not be written.
        """
        outline = await self._written("outline")
        found = _distinct(outline.items())
        if self._asked and self._exact and 2 <= len(found) < self._asked:
            last = max(outline)
            try:
                rest = await self._written("rest of the outline", lines(outline), last)
                found += [(index, point) for index, point in rest.items() if index > last]
                found = _distinct(found)
            except NodeFailed:
                pass  # what there is will do
        if self._asked and min(len(found), self._most) != self._asked:
            self._run.decide("skeleton", "another number", {"asked": self._asked, "points": len(found)})
        return dict(found[: self._most])

    async def _written(self, label: str, so_far: str = "", last: int = 0) -> dict[int, Point]:
        number = f"exactly {self._most}" if self._exact else f"{FEWEST} to {self._most}"
        counted = COUNTED.format(number=number)
        prompt = set_task(self._question, OUTLINE, counted, f"{again(self._question)}Skeleton:")
        begun = f"{so_far}\n{last + 1}." if so_far else "1."
        prefill = self._run.capabilities.assistant_prefill
        if prefill:
            prompt.append(assistant(begun))
        elif so_far:
            prompt += [assistant(so_far), user(f"Go on with point {last + 1}.")]
        outline = await self._run.generate(
            prompt,
            label=label,
            role="planner",
            temperature=self._temperature,
            max_tokens=TOKENS_OF_LINE * (self._most + 1),
        )
        text = continued(outline.text, begun) if prefill else outline.text
        cut_off = outline.finish_reason != "stop"
        found = points_of(text, cut_off=cut_off)
        back = [index for index, text in found.items() if given_back(self._question, text)]
        if back:  # such a point of the example says nothing of the question
            self._run.decide("skeleton", "example given back", {"points": [found[index] for index in back]})
        return {index: Point(text) for index, text in found.items() if index not in back}


def _distinct(points: Iterable[tuple[int, Point]]) -> list[tuple[int, Point]]:
    """The points without those whose heading came before: small models may go round in circles."""
    found: dict[str, tuple[int, Point]] = {}
    for index, point in points:
        found.setdefault(point.heading.casefold(), (index, point))
    return list(found.values())


def lines(listed: Mapping[int, Point]) -> str:
    """The outline as text, a point a line."""
    return "\n".join(f"{index}. {' / '.join((*point.under, point.text))}" for index, point in listed.items())
