"""Long documents with planted facts, and questions about them with their exact answers.

Each case is a few named documents of invented prose, between whose paragraphs the facts of a small world of
:mod:`benchmarks.multi_hop` are planted: those that the question needs, in places far from each other, and
those of other things of the same kind, which are no answer. The prose has no name and no number of the world.
What is planted is known by its characters, so it can be seen which quotes found it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.multi_hop import Asked, Entity, Names, World, chain, compare, difference, two_hop
from benchmarks.statements import same
from orchestrator.consensus.asked import claim_for
from orchestrator.consensus.extraction import extract_claim

SUBJECTS: Final = (
    "The committee", "The old survey", "A later report", "The harbour office", "Nobody in the valley",
    "The winter council", "The printer", "A visitor", "The keeper of the archive", "The northern line",
)  # fmt: skip
DEEDS: Final = (
    "described the weather at length", "found little to add", "kept the minutes in two bindings",
    "measured the bridge again", "asked for more paper", "left the matter open", "moved the feast to spring",
    "praised the new lanterns", "counted the carts before noon", "read the letters aloud",
)  # fmt: skip
CLOSES: Final = (
    "although the road was closed", "as the custom was", "before anybody could object", "and went home early",
    "while the mills stood still", "in a hand that few could read", "without much of a debate",
    "for reasons that were not written down", "and the rest was put off", "since the river was high",
)  # fmt: skip
TITLES: Final = ("minutes", "survey", "letters", "almanac", "ledger", "report", "memoir", "gazette")


@dataclass(frozen=True, slots=True)
class Case:
    """A question about documents.

    ``planted`` are the paragraphs in ``material`` that the answer needs, as characters (start, end) of it, in
    the order of the hops; ``hops`` counts those that have to be found one after the other.
    """

    number: int
    kind: str
    text: str
    answer: str
    material: str
    planted: tuple[tuple[int, int], ...]
    hops: int

    def is_right(self, said: str) -> bool:
        """Whether an answer, which may be a sentence with the claim at its end, is the exact one."""
        claims = [extract_claim(said), claim_for(self.text, said)]
        return any(claim is not None and same(claim.text, self.answer) for claim in claims)


Made = tuple[Asked, Sequence[str]]
"""A question with its answer, and the names of the things whose paragraphs it needs."""


def _planted(world: World) -> Made:
    """One fact of one thing among others like it."""
    table = world.rng.choice(("town", "company", "depot"))
    make: Callable[[], Entity] = {"town": world.town, "company": world.company, "depot": world.depot}[table]
    thing = world.rng.choice([make() for _ in range(3)])
    fact, text = world.rng.choice(FACTS[table])
    return (text.format(name=thing.name), str(thing.facts[fact]), 1), [thing.name]


FACTS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "town": (
        ("inhabitants", "How many inhabitants does the town of {name} have?"),
        ("founded", "In which year was the town of {name} founded?"),
        ("river", "On which river does the town of {name} lie?"),
    ),
    "company": (
        ("employees", "How many employees does the company {name} have?"),
        ("manager", "Who manages the company {name}?"),
    ),
    "depot": (
        ("lamps", "How many lamps are in the depot {name}?"),
        ("ropes", "How many ropes are in the depot {name}?"),
    ),
}


def _of(ask: Callable[[World], Asked], fact: str = "") -> Callable[[World], Made]:
    """A question of :mod:`benchmarks.multi_hop`; ``fact`` is what leads on from the thing that it names."""

    def made(world: World) -> Made:
        asked = ask(world)
        named = [each for each in world.entities if each.name in asked[0]]
        return asked, [each.name for each in named] + ([str(named[0].facts[fact])] if fact else [])

    return made


KINDS: Final[Mapping[str, Callable[[World], Made]]] = {
    "planted": _planted,
    "two_hop": _of(two_hop, "seat"),
    "chain": _of(chain, "manager"),
    "compare": _of(compare),
    "difference": _of(difference),
}
ONE_AFTER_THE_OTHER: Final = frozenset({"two_hop", "chain"})


def cases(
    count: int, *, characters: int = 20_000, documents: int = 3, seed: int = 1, kinds: Sequence[str] = ()
) -> list[Case]:
    """So many cases, the kinds in turn, each with documents of about so many characters in all.

    The same seed gives the same cases, however many are asked for.

    Raises:
        ValueError: a kind is unknown, or there is no document.
    """
    if unknown := set(kinds) - KINDS.keys():
        raise ValueError(f"there is no kind {', '.join(sorted(unknown))}; the kinds are {', '.join(KINDS)}")
    if documents < 1:
        raise ValueError(f"a case has at least one document, not {documents}")
    order = [kind for kind in KINDS if not kinds or kind in kinds]
    return [_case(number, order[number % len(order)], characters, documents, seed) for number in range(count)]


def _case(number: int, kind: str, characters: int, documents: int, seed: int) -> Case:
    rng = random.Random(f"{seed}/{kind}/{number}")
    world = World(rng, Names(rng))
    (text, answer, _), needed = KINDS[kind](world)
    told = {entity.name: paragraph for entity, paragraph in world.told()}
    # The facts that are needed lie in equal parts of the text, in random order; the others anywhere.
    places = rng.sample(
        [(at + 0.2 + 0.6 * rng.random()) / len(needed) for at in range(len(needed))], len(needed)
    )
    planted = dict(zip(needed, places, strict=True))
    facts = [(planted.get(name, rng.random()), paragraph) for name, paragraph in told.items()]
    prose = _prose(rng, max(0, characters - sum(len(paragraph) for _, paragraph in facts)))
    pieces = [((at + 0.5) / len(prose), paragraph) for at, paragraph in enumerate(prose)]
    paragraphs = [paragraph for _, paragraph in sorted([*pieces, *facts])]
    each = -(-len(paragraphs) // documents)
    names = rng.sample(TITLES, min(documents, len(TITLES)))
    material = "\n\n".join(
        f"==> {names[at % len(names)]}-{at + 1}.txt <==\n"
        + "\n\n".join(paragraphs[at * each : (at + 1) * each])
        for at in range(documents)
    )
    spans = tuple((start := material.index(told[name]), start + len(told[name])) for name in needed)
    return Case(number, kind, text, answer, material, spans, 2 if kind in ONE_AFTER_THE_OTHER else 1)


def _prose(rng: random.Random, characters: int) -> list[str]:
    """Paragraphs that say nothing of any world; at least one."""
    paragraphs: list[str] = []
    length = 0
    while length < characters or not paragraphs:
        sentences = [
            f"{rng.choice(SUBJECTS)} {rng.choice(DEEDS)}, {rng.choice(CLOSES)}."
            for _ in range(rng.randint(3, 6))
        ]
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + 2
    return paragraphs
