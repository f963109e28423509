"""From the facts of one chunk to those of another: what a quote names may be told elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Question
from planners.documents.choosing import words_of
from planners.documents.chunks import Chunk
from planners.documents.citing import Span
from planners.documents.lengths import Room
from planners.documents.matter import Matter
from planners.documents.prompts import COMPLETE, following, over
from planners.documents.reading import Reader
from planners.documents.terms import terms_of
from planners.parts import tells_by_another
from planners.questions import chosen

BRIDGED: Final = 8
"""Chunks that are read again for what was found, in one round."""

LETTERS: Final = {"A": "it says all that is needed", "B": "something that it names has to be looked up first"}


async def follow(
    run: Run, question: Question, matter: Matter, reader: Reader, room: Room, *, hops: int, keep: int
) -> None:
    """Read chunks again for what the quotes name, in at most ``hops`` rounds, until nothing new is found.

    A question that tells a thing by another always leads to a second round; of others the model is asked
    whether the quotes are enough. ``keep`` calls are left for the answer.
    """
    followed = words_of(question)
    for hop in range(2, hops + 1):
        quotes = reader.quotes
        leads = _leads(matter, quotes, followed)
        if not quotes or not leads:
            return
        calls = run.budget.calls
        most = BRIDGED if calls is None else min(BRIDGED, calls - keep - 1)
        if most < 1:
            run.decide("following", "no calls are left", {"hop": hop, "chunks": len(leads)})
            return
        if await _is_enough(run, question, matter, quotes, room):
            run.decide("following", "enough", {"hop": hop, "quotes": len(quotes)})
            return
        ranked = matter.ranked(leads, frozenset().union(*leads.values()))
        read = sorted((chunk for _, chunk in ranked[:most]), key=lambda chunk: chunk.start)
        named = sorted(frozenset().union(*(leads[chunk] for chunk in read)))
        saw = {"hop": hop, "names": named[:20], "chunks": len(read), "left out": len(leads) - len(read)}
        run.decide("following", "another round", saw)
        await reader.read(
            [(chunk, following(_facts(matter, quotes, leads[chunk], room))) for chunk in read], hop
        )
        followed |= frozenset(named)
        if reader.quotes == quotes:
            return


def _leads(matter: Matter, quotes: Sequence[Span], known: frozenset[str]) -> dict[Chunk, frozenset[str]]:
    """The chunks that tell, outside of the quotes, of what the quotes name, each with the terms for it."""
    named = frozenset[str]()
    for start, end in quotes:
        named |= terms_of(matter.material[start:end])
    rare = matter.rarity.rare(named - known)
    found = {chunk: rare & matter.outside(chunk, quotes) for chunk in matter.chunks}
    return {chunk: terms for chunk, terms in found.items() if terms}


async def _is_enough(
    run: Run, question: Question, matter: Matter, quotes: Sequence[Span], room: Room
) -> bool:
    if tells_by_another(question.text) or matter.tokens(quotes) > room.material:
        return False
    return await chosen(run, over(matter.listed(quotes), COMPLETE, question), LETTERS) == "A"


def _facts(matter: Matter, quotes: Sequence[Span], terms: frozenset[str], room: Room) -> str:
    """The quotes that name what a chunk tells of, as many as there is room for."""
    naming = [each for each in quotes if terms & terms_of(matter.material[each[0] : each[1]])]
    while len(naming) > 1 and matter.tokens(naming) > room.facts:
        naming.pop()
    return matter.listed(naming)[: 4 * room.facts]
