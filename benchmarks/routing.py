"""How well ``auto`` chooses among methods, on labelled questions: what it chose, and what decided it.

    python -m benchmarks.routing [--labels FILE …] [--model NAME|none|simulator] [--runs FILE] [--minutes M]

The labels are our own (``benchmarks/data/routing.jsonl``): a line has a question, perhaps with material,
choices or tools, the kinds of methods that suit it, and its half: signs are improved on "dev". The other
labels that can be read are those on which the router of Skeleton-of-Thought was trained (arXiv 2307.15337;
repository imagination-research/sot, ``label;request``, 1 where the method suits): a question that it does not
suit is "no list". With ``--model none`` no model is asked, and "asks" counts the questions that are left to
one; a model is asked once about each of these. With ``--runs``, what was chosen is kept line by line, and a
measurement that was interrupted goes on where it was.

Kinds are methods that stand for each other: *short* for a vote, *whole* for a single call, *list* for a
skeleton, *tools* for plans and agents, *parts* for smaller questions. A cell of the table of confusion is how
many were chosen by a sign, and after a plus how many by the model.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import create_model

from benchmarks.intervals import wilson
from orchestrator.planning.candidates import candidates
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Answer, Question
from planners.auto import choose, signed
from storage.events import Event
from workers.engine import Engine
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.simulator.engine import Simulator
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

STORED: Final = Path(__file__).parent / "data" / "routing.jsonl"
KINDS: Final = ("short", "whole", "list", "tools", "parts")
METHODS: Final[Mapping[str, str]] = {
    "vote": "short",
    "adaptive": "short",
    "cascade": "short",
    "direct": "whole",
    "skeleton": "list",
    "llm_compiler": "tools",
    "calls": "tools",
    "react": "tools",
    "decompose": "parts",
}
"""The kind of each method."""
ASKS: Final = "asks"
"""In place of a kind, where no sign decides and no model is asked."""
NO_MODEL: Final = "none"
SIMULATOR: Final = "simulator"
"""An engine that replies "A" to everything."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with the kinds that suit it, which are its label; ``group`` is what one table is made of."""

    question: Question
    suits: tuple[str, ...]
    label: str
    group: str
    tools: tuple[Tool, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from the others."""
        told = (self.question.text, *self.question.choices, *(tool.name for tool in self.tools))
        return f"{self.group}: {' | '.join(told)}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen for a question, and by what: a ``sign``, the ``model``, or as the ``only`` one left."""

    key: str
    model: str
    kind: str
    by: str


def load(path: Path) -> list[Labelled]:
    """The labelled questions of a file: JSON lines of our own, or ``label;request`` in a .csv.

    Raises:
        ValueError: a label is none; the message says which, and what would be right.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        rows = csv.DictReader(text.splitlines(keepends=True), delimiter=";")
        return [_of_csv(path.stem, row) for row in rows]
    return [_of_json(json.loads(line), path, at) for at, line in enumerate(text.splitlines(), start=1)]


def _of_csv(stem: str, row: Mapping[str, str]) -> Labelled:
    if row["label"] not in ("0", "1"):
        raise ValueError(f"{stem} has the label {row['label']!r}: write 0 or 1")
    is_list = row["label"] == "1"
    suits = ("list",) if is_list else tuple(kind for kind in KINDS if kind != "list")
    return Labelled(Question(row["request"]), suits, "list" if is_list else "no list", stem)


def _of_json(row: Mapping[str, Any], path: Path, line: int) -> Labelled:
    suits = tuple(row["suits"])
    if not suits or set(suits) - set(KINDS):
        raise ValueError(f"line {line} of {path} has the label {suits}: write some of {', '.join(KINDS)}")
    question = Question(row["text"], row.get("context", ""), tuple(row.get("choices", ())))
    tools = tuple(_tool(each) for each in row.get("tools", ()))
    group = f"{row['half']}, with tools" if tools else row["half"]
    return Labelled(question, suits, " or ".join(suits), group, tools)


def _tool(told: Mapping[str, Any]) -> Tool:
    """A tool that is there to be chosen, not to be called."""
    fields: Any = dict.fromkeys(told["arguments"], (str, ...))
    arguments = create_model(told["name"], **fields)

    def uncalled() -> None:
        raise NotImplementedError

    return Tool(
        told["name"], told["description"], arguments, arguments.model_json_schema(), False, 1, uncalled
    )


class _Journal:
    """Forgets everything: only the choice counts here."""

    def append(self, event: Event) -> None: ...
    async def flush(self) -> None: ...
    async def room(self) -> None: ...
    async def leased(self) -> None: ...


async def chosen(labelled: Labelled, engine: Engine, model: str) -> Chosen:
    """The kind of method that is chosen for a question; with no model, only signs are looked at.

    Raises:
        RuntimeError: the run came to no choice.
    """

    async def choosing(run: Run) -> Answer:
        usable = [each for each in await candidates(run, labelled.question) if not each.lacks]
        choice = signed(usable) if model == NO_MODEL else await choose(run, labelled.question, usable)
        return Answer(f"{METHODS[choice.method.name]} {choice.by}" if choice else f"{ASKS} {NO_MODEL}")

    environment = Environment(engine, await engine.capabilities(), Toolbox(labelled.tools))
    result = await Executor(Run, environment, _Journal()).execute(choosing, {})
    if result.answer is None:
        raise RuntimeError(f"nothing was chosen for {labelled.key!r}: {result.failure}")
    kind, by = result.answer.text.split()
    return Chosen(labelled.key, model, kind, by)


async def measure(
    questions: Sequence[Labelled], engine: Engine, model: str, runs: Path | None, minutes: float
) -> dict[str, Chosen]:
    """What is chosen for each question, by its key; those that were kept are not asked again."""
    kept = {each.key: each for each in _kept(runs) if each.model == model}
    until = time.monotonic() + 60 * minutes
    for labelled in questions:
        if labelled.key not in kept and time.monotonic() < until:
            kept[labelled.key] = made = await chosen(labelled, engine, model)
            if runs is not None:
                with runs.open("a", encoding="utf-8") as file:
                    print(json.dumps(asdict(made), ensure_ascii=False), file=file)
    return kept


def _kept(runs: Path | None) -> Iterator[Chosen]:
    if runs is not None and runs.exists():
        for line in runs.read_text(encoding="utf-8").splitlines():
            yield Chosen(**json.loads(line))


Pair = tuple[Labelled, Chosen]


def confusion(pairs: Sequence[Pair]) -> str:
    """The labels against the kinds that were chosen, as Markdown; wrong choices are in bold."""
    shown = [kind for kind in (*KINDS, ASKS) if any(made.kind == kind for _, made in pairs)]
    rows = [f"| label | {' | '.join(shown)} |", f"|---|{'---|' * len(shown)}"]
    for label in dict.fromkeys(each.label for each, _ in pairs):
        of_label = [(each, made) for each, made in pairs if each.label == label]
        cells = [_cell([pair for pair in of_label if pair[1].kind == kind], kind) for kind in shown]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(pairs: Sequence[Pair], kind: str) -> str:
    if not pairs:
        return ""
    by = Counter(made.by == "model" for _, made in pairs)
    text = f"{by[False]} + {by[True]}" if by[True] else f"{by[False]}"
    return text if kind == ASKS or kind in pairs[0][0].suits else f"**{text}**"


def shares(pairs: Sequence[Pair]) -> str:
    """Precision and recall of each kind as Markdown, and of *not* parallelising, which is what must be right.

    Precision is over the questions for which a kind was chosen. Recall is over those that it alone suits, and
    of *not list* over those that a list does not suit.
    """
    rows = ["| chosen | precision | 95 % | recall | 95 % |", "|---|---|---|---|---|"]
    not_list = [pair for pair in pairs if pair[1].kind not in ("list", ASKS)]
    rows.append(
        _row(
            "not list",
            [each.suits != ("list",) for each, _ in not_list],
            [made.kind not in ("list", ASKS) for each, made in pairs if "list" not in each.suits],
        )
    )
    for kind in KINDS:
        right = [kind in each.suits for each, made in pairs if made.kind == kind]
        found = [made.kind == kind for each, made in pairs if each.suits == (kind,)]
        if right or found:
            rows.append(_row(kind, right, found))
    return "\n".join(rows)


def _row(name: str, right: Sequence[bool], found: Sequence[bool]) -> str:
    return f"| {name} | {_share(right)} | {_share(found)} |"


def _share(events: Sequence[bool]) -> str:
    if not events:
        return "none | "
    low, high = wilson(sum(events), len(events))
    return f"{sum(events)} / {len(events)} | {low:.2f} to {high:.2f}"


def report(questions: Sequence[Labelled], made: Mapping[str, Chosen]) -> str:
    """Both tables of each group of questions, of those for which something was chosen."""
    parts = []
    for group in sorted({each.group for each in questions}):
        pairs = [(each, made[each.key]) for each in questions if each.group == group and each.key in made]
        wrong = sum(kind.kind == "list" and "list" not in each.suits for each, kind in pairs)
        of = sum("list" not in each.suits for each, _ in pairs)
        heading = f"{group}: {len(pairs)} questions; {wrong} of {of} that are no list would be parallelised"
        parts.append("\n\n".join([heading, confusion(pairs), shares(pairs)]))
    return "\n\n".join(parts)


async def _measured(given: argparse.Namespace, questions: Sequence[Labelled]) -> dict[str, Chosen]:
    is_real = given.model not in (NO_MODEL, SIMULATOR)
    engine: Engine = LlamaCppEngine(given.model, slots=1) if is_real else Simulator("A")
    try:
        return await measure(questions, engine, given.model, given.runs, given.minutes)
    finally:
        await engine.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--labels", nargs="+", type=Path, default=[STORED], metavar="FILE")
    parser.add_argument("--model", default=NO_MODEL, help=f"of the embedded engine; {NO_MODEL}; {SIMULATOR}")
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keep what was chosen, and go on with it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no question after so long")
    given = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    questions = [each for path in given.labels for each in load(path)]
    print(report(questions, asyncio.run(_measured(given, questions))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
