"""What the validator of ``template`` lets pass, without any model: published extractions, and spoiled ones.

    python -m benchmarks.templates FILE

``FILE`` is ``reading_comprehension.json`` of ParallelPrompt (arXiv 2506.18728; repository
stevenkolawole/ParallelPrompt): prompts (``original``), each with the template, the context and the items that
a model and its authors took from it. Each is validated as it is, which should pass, and spoiled in the ways
in which models spoil them: what must be refused then is a list that is not the user's. Reversed items must
come back in the user's order.

The second table is of our own (``benchmarks/data/list_tasks.jsonl``): tasks on a list, of which some need all
of its items at once, as in ParallelBench (arXiv 2510.04767), and others do not. Each is put with lists of
several forms and a perfect extraction, so that only the words of the task can show what it is. The signs were
developed on the half "dev"; the half "held" was written afterwards, and showed a mistake in reading
counts, which was mended, and a word too wide, which was narrowed.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from benchmarks.intervals import wilson
from orchestrator.runtime.values import Question
from planners.dependence import dependent_at_sight
from planners.template.extracting import Extraction
from planners.template.validating import Fault, Task, checked

STORED: Final = Path(__file__).parent / "data" / "list_tasks.jsonl"
MOST: Final = 64
LISTS: Final = (
    ("apple", "violin", "harbour", "cloud"),
    ("blue whale", "lighthouse", "red panda"),
    ("Ankara", "Lima", "Oslo", "Quito", "Rabat"),
)

Items = list[str]


def left_out(at: int) -> Callable[[Items, random.Random], Items]:
    return lambda items, _: [item for number, item in enumerate(items) if number != at % len(items)]


def invented(items: Items, _: random.Random) -> Items:
    return [*items, "How does this compare with what was known a century ago?"]


def reworded(items: Items, rng: random.Random) -> Items:
    at = rng.randrange(len(items))
    words = items[at].split()
    words[rng.randrange(1, len(words))] = "roughly"
    return [" ".join(words) if number == at else item for number, item in enumerate(items)]


def merged(items: Items, rng: random.Random) -> Items:
    at = rng.randrange(len(items) - 1)
    return [*items[:at], f"{items[at]}\n{at + 2}. {items[at + 1]}", *items[at + 2 :]]


def cut_in_two(items: Items, rng: random.Random) -> Items:
    at = rng.randrange(len(items))
    words = items[at].split()
    middle = len(words) // 2
    return [*items[:at], " ".join(words[:middle]), " ".join(words[middle:]), *items[at + 1 :]]


SPOILED: Final[dict[str, Callable[[Items, random.Random], Items]]] = {
    "the first is left out": left_out(0),
    "one in the middle is left out": lambda items, rng: left_out(len(items) // 2)(items, rng),
    "the last is left out": left_out(-1),
    "one is invented": invented,
    "one is reworded": reworded,
    "two are merged": merged,
    "one is cut in two": cut_in_two,
}


def published(path: Path) -> Iterator[tuple[Question, Extraction]]:
    """The prompts with what was taken from them; line breaks are escaped in the file."""
    for each in json.loads(path.read_text("utf-8")):
        template, context = each["template"].replace("\\n", "\n"), each["context"] or ""
        found = Extraction(template, context, tuple(each["data"]), None, "reading comprehension")
        yield Question(each["original"].replace("\\n", "\n")), found


def with_items(found: Extraction, items: Sequence[str]) -> Extraction:
    return Extraction(found.template, found.context, tuple(items), found.n, found.category)


def share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count} of {of} ({100 * count / of:.0f} % [{100 * low:.0f}, {100 * high:.0f}])"


def on_published(path: Path) -> None:
    rng, tiers, faults = random.Random(0), Counter[str](), Counter[str]()
    good: list[tuple[Question, Extraction, Task]] = []
    every = list(published(path))
    for question, found in every:
        task = checked(found, question, MOST)
        if isinstance(task, Fault):
            faults[task.reason.split(":")[0]] += 1
        else:
            tiers[task.tier] += 1
            good.append((question, found, task))
    print(f"as published: {share(len(good), len(every))} pass, tiers {dict(tiers)}; refused: {dict(faults)}")
    for way, spoil in SPOILED.items():
        cases = [(question, found) for question, found, task in good if len(task.items) > 2]
        tasks = [checked(with_items(found, spoil(list(found.data), rng)), q, MOST) for q, found in cases]
        print(f"{way}: {share(sum(isinstance(task, Fault) for task in tasks), len(cases))} refused")
    back = [checked(with_items(found, found.data[::-1]), question, MOST) for question, found, _ in good]
    same = [
        isinstance(each, Task) and each.items == task.items
        for each, (*_, task) in zip(back, good, strict=True)
    ]
    print(f"in reverse: {share(sum(same), len(good))} come back in the user's order")


def listed(items: Sequence[str]) -> Iterator[str]:
    """A list in several forms."""
    yield f"{', '.join(items[:-1])} and {items[-1]}"
    yield ", ".join(items)
    yield "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))
    yield "\n".join(f"- {item}" for item in items)


def refused(task: str, form: str, items: Sequence[str]) -> str:
    """Why a task on a list is refused; empty if it passes."""
    text = task.replace("{list}", form)
    if words := dependent_at_sight(text):
        return words
    found = checked(Extraction(task.replace("{list}", "{data}"), "", tuple(items)), Question(text), MOST)
    return found.reason if isinstance(found, Fault) else found.tier if found.tier == "low" else ""


def on_list_tasks() -> None:
    tasks: list[dict[str, Any]] = [json.loads(line) for line in STORED.read_text("utf-8").splitlines()]
    for half, depends in product(("dev", "held"), (True, False)):
        these = [each["task"] for each in tasks if each["half"] == half and each["depends"] is depends]
        wrong = {}
        for task in these:
            # Numbers and bullets stand on lines of their own.
            forms = [(form, items) for items in LISTS for form in listed(items)]
            whys = [
                refused(task, *each) for each in forms if "\n" not in each[0] or task.endswith("\n{list}")
            ]
            if any(bool(why) is not depends for why in whys):
                wrong[task] = next((why for why in whys if why), "")
        kind, verdict = ("dependent", "refused") if depends else ("independent", "let pass")
        told = share(len(these) - len(wrong), len(these))
        print(f"{half}: {told} of the {kind} list tasks are {verdict} in all forms")
        for task, why in wrong.items():
            print(f"  not {verdict}: {task!r} {why}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="reading_comprehension.json of ParallelPrompt")
    on_published(parser.parse_args().file)
    on_list_tasks()


if __name__ == "__main__":
    main()
