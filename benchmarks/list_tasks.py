"""Tasks over a list of things: templates, whose items need nothing of each other, and operations, whose do.

``templates`` have the shape of ParallelPrompt (arXiv 2506.18728): one instruction for several items. Whoever
writes the items side by side is right. ``operations`` have that of ParallelBench: they look alike, but each
item of the answer depends on the whole list, so whoever writes items side by side breaks them, and should
refuse to. All are generated, and judged exactly.

An answer is read line by line, without numbers and marks at the beginning of a line; one line may have all
items, with commas. *Adherence* is whether it has as many items as it should, *fidelity* the share of items
that are right in their place. It is right if all are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|\(?[a-h][.)])\s+")
_WORDS = (
    "river", "candle", "basket", "mirror", "ladder", "button", "carpet", "window", "hammer", "pillow",
    "rocket", "saddle", "tunnel", "velvet", "walnut", "anchor", "beacon", "copper", "dagger", "engine",
)  # fmt: skip
_FIRST = ("Mara", "Tilo", "Runa", "Edda", "Joris", "Petra", "Anselm", "Ivo", "Lotte", "Bruno")
_LAST = ("Vester", "Kolb", "Tarn", "Hollis", "Brandt", "Oster", "Quill", "Renner", "Sand", "Weir")


@dataclass(frozen=True, slots=True)
class Task:
    """A task, and the items of its right answer in their order."""

    kind: str
    text: str
    items: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        """Whether all items are there, in their order, and nothing else."""
        return self.adheres(answer) and self.fidelity(answer) == 1.0

    def adheres(self, answer: str) -> bool:
        """Whether the answer has as many items as it should."""
        return len(items_of(answer)) == len(self.items)

    def fidelity(self, answer: str) -> float:
        """The share of items that are right in their place."""
        given = items_of(answer)
        right = sum(says(one, item) for one, item in zip(given, self.items, strict=False))
        return right / len(self.items)


def items_of(answer: str) -> list[str]:
    """The items of an answer, without the marks of a list."""
    lines = [each.strip() for each in answer.strip().splitlines() if each.strip()]
    if len(lines) == 1:
        lines = [each.strip() for each in re.split(r",|;|\s+(?=\d{1,2}[.)]\s)", lines[0]) if each.strip()]
    return [_MARK.sub("", each).strip(" .*`\"'") for each in lines]


def says(given: str, item: str) -> bool:
    """Whether an item of an answer is this one; what it was made of may stand before it, after a sign."""
    last = re.split(r"\s*(?:=|:|->|→|\bis\b)\s*", given)[-1].strip(" .*`\"'$€")
    return item in (given, last)


def _plus(rng: random.Random) -> Task:
    add = rng.randint(11, 49)
    numbers = rng.sample(range(12, 90), 5)
    listed = "\n".join(f"- {each}" for each in numbers)
    text = f"Add {add} to each of these numbers, and write only the results, one on each line:\n{listed}"
    return Task("add", text, tuple(str(each + add) for each in numbers))


def _capitals(rng: random.Random) -> Task:
    words = rng.sample(_WORDS, 6)
    text = f"Write each of these words in capital letters, one on each line: {', '.join(words)}."
    return Task("capitals", text, tuple(each.upper() for each in words))


def _names(rng: random.Random) -> Task:
    people = list(zip(rng.sample(_FIRST, 5), rng.sample(_LAST, 5), strict=True))
    listed = "\n".join(f"{at}. {first} {last}" for at, (first, last) in enumerate(people, 1))
    text = f"For each person, write only the last name, one on each line, in the order given:\n{listed}"
    return Task("names", text, tuple(last for _, last in people))


def _cents(rng: random.Random) -> Task:
    prices = [(rng.randint(1, 19), rng.randint(1, 19) * 5) for _ in range(5)]
    listed = "\n".join(f"- {whole}.{part:02} euros" for whole, part in prices)
    text = f"Convert each price to cents, and write only the numbers, one on each line:\n{listed}"
    return Task("cents", text, tuple(str(100 * whole + part) for whole, part in prices))


def _sorted(rng: random.Random) -> Task:
    numbers = rng.sample(range(10, 99), 6)
    text = f"Sort these numbers from the smallest to the largest, one on each line: {_said(numbers)}."
    return Task("sort", text, tuple(map(str, sorted(numbers))))


def _alphabetical(rng: random.Random) -> Task:
    words = rng.sample(_WORDS, 6)
    text = f"Put these words in alphabetical order, one on each line: {', '.join(words)}."
    return Task("alphabet", text, tuple(sorted(words)))


def _reversed(rng: random.Random) -> Task:
    words = rng.sample(_WORDS, 6)
    text = f"Write this list in reverse order, one word on each line: {', '.join(words)}."
    return Task("reverse", text, tuple(reversed(words)))


def _distinct(rng: random.Random) -> Task:
    some = rng.sample(_WORDS, 4)
    words = some + rng.sample(some, 3)
    rng.shuffle(words)
    text = (
        "Remove the words that have been there before from this list, keep the order of the others, and "
        f"write one on each line: {', '.join(words)}."
    )
    return Task("distinct", text, tuple(dict.fromkeys(words)))


def _totals(rng: random.Random) -> Task:
    numbers = [rng.randint(2, 30) for _ in range(5)]
    totals = [sum(numbers[: at + 1]) for at in range(5)]
    text = f"Write the running totals of these numbers, one on each line: {_said(numbers)}."
    return Task("totals", text, tuple(map(str, totals)))


TEMPLATES: Mapping[str, Callable[[random.Random], Task]] = {
    "add": _plus,
    "capitals": _capitals,
    "names": _names,
    "cents": _cents,
}
OPERATIONS: Mapping[str, Callable[[random.Random], Task]] = {
    "sort": _sorted,
    "alphabet": _alphabetical,
    "reverse": _reversed,
    "distinct": _distinct,
    "totals": _totals,
}


def templates(count: int, seed: int = 1) -> list[Task]:
    """So many tasks whose items are independent, the kinds in turn; more begin with the same."""
    return _made(TEMPLATES, count, seed)


def operations(count: int, seed: int = 1) -> list[Task]:
    """So many tasks whose items depend on the whole list, the kinds in turn; more begin with the same."""
    return _made(OPERATIONS, count, seed)


def _made(kinds: Mapping[str, Callable[[random.Random], Task]], count: int, seed: int) -> list[Task]:
    makers = list(kinds.values())
    return [makers[at % len(makers)](random.Random(f"lists/{seed}/{at}")) for at in range(count)]


def _said(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
