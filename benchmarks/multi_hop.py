"""Questions of several hops whose facts stand in given paragraphs, generated with their exact answers.

Each question has a small world of its own: invented towns, companies, people and depots, from a seed. The
paragraphs tell more than the question needs, in wordings that differ. No name and no number occurs for two
things of a world, so there is one answer to each question; no name occurs in two worlds, so the paragraphs
of all questions can stand in one collection.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Fact = str | int

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "town": (
        "{name} is a town on the river {river}. It was founded in {founded}, and has {inhabitants} "
        "inhabitants.",
        "The town of {name} has {inhabitants} inhabitants. It lies on the river {river}, and was founded in "
        "{founded}.",
    ),
    "company": (
        "{name} is a company with its seat in {seat}. It has {employees} employees, and its manager is "
        "{manager}.",
        "The company {name} is managed by {manager}. It has its seat in {seat} and {employees} employees.",
    ),
    "person": (
        "{name} was born in {born} and has an office in {office}.",
        "The office of {name}, who was born in {born}, is in {office}.",
    ),
    "depot": (
        "The depot {name} holds {lamps} lamps, {ropes} ropes and {kettles} kettles.",
        "In the depot {name} there are {kettles} kettles, {lamps} lamps and {ropes} ropes.",
    ),
}
RANGES: Mapping[str, tuple[int, int]] = {
    "founded": (1105, 1895),
    "inhabitants": (2_100, 89_000),
    "employees": (31, 980),
    "born": (1942, 1999),
    "lamps": (110, 980),
    "ropes": (110, 980),
    "kettles": (110, 980),
}
YEARS = frozenset({"founded", "born"})  # written without a comma

ONSETS = (*"bcdfghjklmnprstv", "br", "dr", "gl", "st")
VOWELS = "aeiou"
ENDS: Mapping[str, tuple[str, ...]] = {
    "town": ("burg", "mora", "ness", "stead", "wick"),
    "company": ("tec", "lux", "dyne", "corp", "mark"),
    "person": ("ran", "sen", "ler", "nov", "ley"),
    "depot": ("hold", "vault", "gate", "yard", "bay"),
    "river": ("a", "o", "ne", "ster", "il"),
    "office": (" House", " Tower", " Hall", " Court"),
}
FIRST_NAMES = ("Ada", "Ben", "Cora", "Dov", "Elin", "Finn", "Gwen", "Hugo", "Ines", "Jon", "Kira", "Leo")


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing of a world and what is told about it."""

    table: str
    name: str
    facts: Mapping[str, Fact]

    def number(self, fact: str) -> int:
        """A fact that is a number."""
        value = self.facts[fact]
        assert isinstance(value, int)
        return value


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the paragraphs that it is to be answered from, in random order.

    ``hops`` counts the facts that have to be looked up.
    """

    number: int
    kind: str
    text: str
    answer: str
    hops: int
    paragraphs: tuple[str, ...]

    @property
    def material(self) -> str:
        """All paragraphs."""
        return "\n\n".join(self.paragraphs)


class Names:
    """Invented names, each given once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._given: set[str] = set()

    def new(self, table: str) -> str:
        """A name for something of that table."""
        rng = self._rng
        while True:
            stem = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(2))
            name = stem.capitalize() + rng.choice(ENDS[table])
            if name not in self._given:
                self._given.add(name)
                return f"{rng.choice(FIRST_NAMES)} {name}" if table == "person" else name


class World:
    """The entities of one question."""

    def __init__(self, rng: random.Random, names: Names) -> None:
        self.rng = rng
        self.entities: list[Entity] = []
        self._names = names
        self._numbers: set[int] = set()

    def town(self) -> Entity:
        return self._add("town", river=self._names.new("river"))

    def company(self, seat: Entity | None = None) -> Entity:
        """A company with a manager of its own; without ``seat`` with a town of its own, too."""
        manager = self._add("person", office=self._names.new("office"))
        return self._add("company", seat=(seat or self.town()).name, manager=manager.name)

    def depot(self) -> Entity:
        return self._add("depot")

    def of(self, company: Entity, fact: str) -> Entity:
        """The town that is a company's ``seat``, or the person who is its ``manager``."""
        return next(each for each in self.entities if each.name == company.facts[fact])

    def paragraphs(self) -> tuple[str, ...]:
        """What is told about each entity, in random order."""
        told = [paragraph for _, paragraph in self.told()]
        self.rng.shuffle(told)
        return tuple(told)

    def told(self) -> list[tuple[Entity, str]]:
        """Each entity with a paragraph that tells what is known of it."""
        return [(each, _told(each, self.rng.choice(WORDINGS[each.table]))) for each in self.entities]

    def _add(self, table: str, **texts: str) -> Entity:
        wording = WORDINGS[table][0]
        numbers = {fact: self._number(fact) for fact in RANGES if f"{{{fact}}}" in wording}
        entity = Entity(table, self._names.new(table), {**texts, **numbers})
        self.entities.append(entity)
        return entity

    def _number(self, fact: str) -> int:
        while (number := self.rng.randint(*RANGES[fact])) in self._numbers:
            pass
        self._numbers.add(number)
        return number


def _told(entity: Entity, wording: str) -> str:
    written = {
        fact: f"{value:,}" if isinstance(value, int) and fact not in YEARS else value
        for fact, value in entity.facts.items()
    }
    return wording.format(name=entity.name, **written)


Asked = tuple[str, str, int]
"""A question, its answer, and the facts that have to be looked up."""

AMOUNTS = (("town", "inhabitants"), ("company", "employees"), ("depot", "lamps"), ("depot", "kettles"))
PLURAL = {"town": "towns", "company": "companies", "depot": "depots"}
HAVE = {"town": "have", "company": "have", "depot": "hold"}
HAS = {"have": "has", "hold": "holds"}


def _some(world: World, count: int) -> tuple[list[Entity], str, str]:
    """Entities of one table and one of their amounts; one or two more of the table are not asked about."""
    table, fact = world.rng.choice(AMOUNTS)
    make = {"town": world.town, "company": world.company, "depot": world.depot}[table]
    made = [make() for _ in range(count + world.rng.choice((1, 2)))]
    return world.rng.sample(made, count), table, fact


def _listed(entities: Sequence[Entity], word: str = "and") -> str:
    *before, last = [each.name for each in entities]
    return f"{', '.join(before)} {word} {last}" if before else last


def _most(entities: Sequence[Entity], fact: str) -> Entity:
    return max(entities, key=lambda each: each.number(fact))


def compare(world: World) -> Asked:
    pair, table, fact = _some(world, 2)
    text = f"Which {table} {HAS[HAVE[table]]} more {fact}, {_listed(pair, 'or')}?"
    return text, _most(pair, fact).name, 2


def argmax(world: World) -> Asked:
    some, table, fact = _some(world, 4)
    text = f"Which of the {PLURAL[table]} {_listed(some)} {HAS[HAVE[table]]} the most {fact}?"
    return text, _most(some, fact).name, 4


def total(world: World) -> Asked:
    some, table, fact = _some(world, 3)
    text = f"How many {fact} do the {PLURAL[table]} {_listed(some)} {HAVE[table]} together?"
    return text, str(sum(each.number(fact) for each in some)), 3


def difference(world: World) -> Asked:
    pair, table, fact = _some(world, 2)
    less, more = sorted(pair, key=lambda each: each.number(fact))
    text = f"How many more {fact} does the {table} {more.name} {HAVE[table]} than the {table} {less.name}?"
    return text, str(more.number(fact) - less.number(fact)), 2


def count(world: World) -> Asked:
    some, table, fact = _some(world, 4)
    ranked = sorted(each.number(fact) for each in some)
    place = world.rng.randint(1, 3)
    bound = (ranked[place - 1] + ranked[place]) // 2
    text = f"How many of the {PLURAL[table]} {_listed(some)} {HAVE[table]} more than {bound:,} {fact}?"
    return text, str(4 - place), 4


def two_hop(world: World) -> Asked:
    company = world.rng.choice([world.company() for _ in range(3)])
    seat = world.of(company, "seat")
    if world.rng.random() < 0.5:
        text = f"How many inhabitants does the town have in which the company {company.name} has its seat?"
        return text, str(seat.number("inhabitants")), 2
    text = f"In which year was the town founded in which the company {company.name} has its seat?"
    return text, str(seat.number("founded")), 2


def chain(world: World) -> Asked:
    company = world.rng.choice([world.company() for _ in range(3)])
    manager = world.of(company, "manager")
    if world.rng.random() < 0.5:
        text = f"In which building is the office of the manager of {company.name}?"
        return text, str(manager.facts["office"]), 2
    return f"In which year was the manager of {company.name} born?", str(manager.number("born")), 2


def chain_compare(world: World) -> Asked:
    pair = world.rng.sample([world.company() for _ in range(3)], 2)
    older = min((world.of(each, "manager") for each in pair), key=lambda each: each.number("born"))
    text = f"Who was born earlier, the manager of {pair[0].name} or the manager of {pair[1].name}?"
    return text, older.name, 4


def chain_sum(world: World) -> Asked:
    pair = world.rng.sample([world.company() for _ in range(3)], 2)
    towns = [world.of(each, "seat") for each in pair]
    text = (
        f"How many inhabitants do the towns have together in which the companies {_listed(pair)} have "
        "their seats?"
    )
    return text, str(sum(each.number("inhabitants") for each in towns)), 4


def filter_sum(world: World) -> Asked:
    here, there = world.town(), world.town()
    inside = [world.company(here) for _ in range(world.rng.choice((2, 3)))]
    world.company(there)
    text = f"How many employees do the companies with their seat in {here.name} have together?"
    return text, str(sum(each.number("employees") for each in inside)), len(inside)


def filter_argmax(world: World) -> Asked:
    here, there = world.town(), world.town()
    inside = [world.company(here) for _ in range(3)]
    world.company(there)
    text = f"Which of the companies with their seat in {here.name} has the most employees?"
    return text, _most(inside, "employees").name, 3


KINDS: Mapping[str, Callable[[World], Asked]] = {
    "compare": compare,
    "argmax": argmax,
    "sum": total,
    "difference": difference,
    "count": count,
    "two_hop": two_hop,
    "chain": chain,
    "chain_compare": chain_compare,
    "chain_sum": chain_sum,
    "filter_sum": filter_sum,
    "filter_argmax": filter_argmax,
}
COUNT = 6 * len(KINDS)


def questions(count: int = COUNT, *, seed: int = 1, kinds: Sequence[str] = ()) -> list[Question]:
    """So many questions, the kinds in turn. The same seed gives the same questions, however many are asked.

    Raises:
        ValueError: a kind is unknown.
    """
    if unknown := set(kinds) - KINDS.keys():
        raise ValueError(f"there is no kind {', '.join(sorted(unknown))}; the kinds are {', '.join(KINDS)}")
    names = Names(random.Random(f"{seed}/names"))
    made: list[Question] = []
    number = 0
    while len(made) < count:
        kind = list(KINDS)[number % len(KINDS)]
        world = World(random.Random(f"{seed}/{number}"), names)
        text, answer, hops = KINDS[kind](world)
        if not kinds or kind in kinds:
            made.append(Question(number, kind, text, answer, hops, world.paragraphs()))
        number += 1
    return made
