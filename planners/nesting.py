"""Nested skeletons: points of an outline are split into points of their own before anything is written."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Question
from planners.forking import affordable
from planners.outlining import TOKENS_OF_LINE, Point, lines, points_of
from planners.questions import guarded, said, set_task, slot
from workers.calls import Completion

SPLIT = (
    "One point of the skeleton may be split into 2 to 4 points of its own, if it takes more than a few "
    "sentences to say what it is to say. Then write these as a numbered list. Each line has a heading of 2 "
    "to 5 words and, after a colon, a note of at most 10 words. They say nothing that other points of the "
    "skeleton say. If a few sentences are enough, write no list, only: enough\n"
)
MOST = 4
"""Points into which one is split."""


async def nested(
    run: Run, question: Question, listed: Mapping[int, Point], *, depth: int, most: int, temperature: float
) -> dict[int, Point]:
    """The outline with its points split, and those again, ``depth`` levels in all; numbered anew.

    At each level the model is asked of all points at the same time, which need not be split. A point that
    cannot be split stays as it is, as do the last ones where there would be more than ``most`` in all, or
    more than the calls that are left can write. If asking would not leave a call for each, none is split.
    """
    points = dict(listed)
    fresh = set(points)
    for _ in range(depth - 1):
        left = affordable(run, most + len(fresh), reserve=len(fresh))
        if left < len(points):
            run.decide("skeleton", "not split", {"reason": "the calls that are left are for the points"})
            break
        asked = {index: _ask(run, question, points, index, temperature) for index in points if index in fresh}
        await run.outcomes(asked.values())
        split = {index: _read(question, points[index], node) for index, node in asked.items()}
        room = min(most, left) - len(points)
        flat: list[tuple[Point, bool]] = []
        for index, point in points.items():
            parts = split.get(index, [])
            if len(parts) < 2 or len(parts) - 1 > room:
                flat.append((point, False))
            else:
                room -= len(parts) - 1
                flat += [(part, True) for part in parts]
        parted = sum(is_new for _, is_new in flat)
        run.decide("skeleton", "split" if parted else "not split", {"points": len(points), "parts": parted})
        points = {at: point for at, (point, _) in enumerate(flat, 1)}
        fresh = {at for at, (_, is_new) in enumerate(flat, 1) if is_new}
        if not fresh:
            break
    return points


def _ask(
    run: Run, question: Question, points: Mapping[int, Point], index: int, temperature: float
) -> Node[Completion]:
    shared = set_task(question, SPLIT, slot("skeleton", lines(points)))
    heading = guarded(points[index].heading, "skeleton", "answer")
    return run.generate(
        [*shared, user(f"Split point {index}, if it needs that: {heading}")],
        label=f"split of point {index}",
        role="planner",
        temperature=temperature,
        max_tokens=TOKENS_OF_LINE * (MOST + 1),
    )


def _read(question: Question, point: Point, node: Node[Completion]) -> list[Point]:
    """The points into which one is split; none if it is not, or cannot be."""
    if not isinstance(node.outcome, Succeeded):
        return []
    completion = node.outcome.value
    found = points_of(said(completion), cut_off=completion.finish_reason != "stop")
    parts = {
        Point(text).heading.casefold(): Point(text, (*point.under, point.heading)) for text in found.values()
    }
    own = {point.heading.casefold(), question.text.strip().casefold()}
    return [part for heading, part in parts.items() if heading not in own][:MOST]
