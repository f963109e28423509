"""Evidence: the quotes, with what explains them, as the material of a prompt; fewer where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Outcome, Succeeded
from orchestrator.runtime.values import Question
from planners.documents.choosing import words_of
from planners.documents.citing import Span, cited, joined
from planners.documents.lengths import Room
from planners.documents.matter import Matter
from planners.documents.prompts import QUOTE, over
from planners.forking import waves
from planners.questions import said
from workers.calls import Completion

LEVELS: Final = 4
"""How many times quotes are quoted from, to have fewer."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer is made from: quotes, the ``passages`` that show them, and how many were left out."""

    quotes: Sequence[Span]
    passages: Sequence[Span]
    left_out: int = 0


def gathered(matter: Matter, quotes: Sequence[Span], tokens: int) -> Evidence:
    """Quotes with what explains them, or alone where that has more tokens."""
    wide = joined((matter.around(each) for each in quotes), gap=2)
    return Evidence(quotes, wide if matter.tokens(wide) <= tokens else quotes)


async def condensed(
    run: Run, question: Question, matter: Matter, quotes: Sequence[Span], room: Room, *, keep: int
) -> Evidence:
    """Evidence that fits into one prompt.

    Quotes that do not are put together in groups that do, and each group is quoted from in its turn, level
    by level. Where that does not help, those that share most words with the question are kept. ``keep`` calls
    are left for the answer.
    """
    given = list(quotes)
    for level in range(1, LEVELS + 1):
        if matter.tokens(given) <= room.material:
            break
        groups = _groups(matter, given, room.material)
        calls = run.budget.calls
        if calls is not None and len(groups) > calls - keep:
            run.decide("merging", "no calls are left", {"level": level, "groups": len(groups)})
            break
        fewer = await _level(run, question, matter, groups, room, level)
        if matter.tokens(fewer) >= matter.tokens(given) or not fewer:
            break
        given = list(fewer)
    fitting = _fitting(matter, given, words_of(question), room.material)
    if len(fitting) < len(given):
        run.decide("merging", "cut", {"quotes": len(given), "kept": len(fitting)})
    evidence = gathered(matter, fitting, room.material)
    return Evidence(evidence.quotes, evidence.passages, len(given) - len(fitting))


async def _level(
    run: Run, question: Question, matter: Matter, groups: Sequence[Sequence[Span]], room: Room, level: int
) -> tuple[Span, ...]:
    """What is quoted from each group. One whose call fails, or quotes nothing that stands in it, is kept."""
    outcomes: list[Outcome[Completion]] = []
    for wave in waves(list(enumerate(groups, 1)), run.budget.width):
        asked = [
            run.generate(
                over(matter.listed(group), QUOTE, question),
                label=f"merge {level}.{number}",
                temperature=0.0,
                max_tokens=room.quotes,
            )
            for number, group in wave
        ]
        outcomes += await run.outcomes(asked)
    kept: list[Span] = []
    whole = 0
    for group, outcome in zip(groups, outcomes, strict=True):
        reply = outcome.value if isinstance(outcome, Succeeded) else None
        found = None if reply is None else cited(said(reply), matter.material, group)
        if (
            reply is None
            or found is None
            or reply.finish_reason != "stop"
            or (found.dropped and not found.quotes)
        ):
            kept += group
            whole += 1
        else:
            kept += found.quotes
    fewer = joined(kept)
    saw = {"groups": len(groups), "quotes": sum(map(len, groups)), "kept": len(fewer), "kept whole": whole}
    run.decide("merging", f"level {level}", saw)
    return fewer


def _groups(matter: Matter, quotes: Sequence[Span], tokens: int) -> list[list[Span]]:
    """Quotes in their order, in groups that fit; one that does not is a group of its own."""
    groups: list[list[Span]] = []
    for each in quotes:
        if groups and matter.tokens([*groups[-1], each]) <= tokens:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _fitting(matter: Matter, quotes: Sequence[Span], wanted: frozenset[str], tokens: int) -> list[Span]:
    """The quotes that share most words with the question, as many as fit; at least the beginning of one."""
    if matter.tokens(quotes) <= tokens:
        return list(quotes)
    scored = [(matter.rarity.shared(wanted, matter.material[a:b]), (a, b)) for a, b in quotes]
    kept: list[Span] = []
    for _, each in sorted(scored, key=lambda pair: (-pair[0], pair[1])):
        if matter.tokens(sorted([*kept, each])) <= tokens:
            kept.append(each)
    if kept:
        return sorted(kept)
    start, end = max(scored)[1]
    while end - start > 1 and matter.tokens([(start, end)]) > tokens:
        end = start + (end - start) // 2
    return [(start, end)]
