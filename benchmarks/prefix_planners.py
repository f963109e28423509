"""How many prompt tokens a run of each planner has computed, over what its prompts would need at least.

    python -m benchmarks.prefix_planners [--embedded NAME] [--json]

Each planner answers a question about a material of 8,000 tokens on the simulator, whose prefix cache has
blocks of 16 tokens as vLLM's. Its replies are scripted, so that each planner goes its whole way: both rounds
of a cascade, all points of a skeleton, a plan with two steps and its join. With ``--embedded``, the model of
that name answers over a shorter material, as it likes; its engine says what it took from its cache. A planner
that is not there is left out; one that goes another way than it should is a failure.

*Ideal* is what a cache would compute that finds any piece of a prompt again, wherever it stands: each
distinct piece once, and for each further call the rest of a block. So a planner that puts something of its
own before the material has a bad ratio, though no cache of prefixes could help it. None may be above 1.1.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import logging
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import structlog

from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Budget, Question
from storage.events import Event
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Engine, Health
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.simulator.cache import BLOCK, count_tokens
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

BOUND = 1.1
MATERIAL_TOKENS = 8_000
EMBEDDED_TOKENS = 1_000


@tool
async def population(city: str) -> int:
    """How many people live in a city."""
    return {"Paris": 2_103_778, "Rome": 2_751_747}.get(city, 1_000_000)


@dataclass(frozen=True, slots=True)
class Way:
    """A planner on its whole way: what is asked, what the model says where, and how many calls that takes.

    A reply is given where its key stands in what a prompt says after the material; the first key that does
    counts. Several replies take turns. ``can`` is a capability that the engine has for it.
    """

    planner: str
    query: str
    replies: tuple[tuple[str, str | Sequence[str]], ...]
    calls: int
    options: tuple[tuple[str, object], ...] = ()
    with_tool: bool = False
    can: str = ""


LISTED = "1. Early: when it began.\n2. Middle: how it went on.\n3. Late: how it ended."
CITIES = "Which city of the material has more people, Paris or Rome?"
PLANNED = '1. population("Paris")\n2. population("Rome")\n3. join()\n'
JOINED = '{"thought": "Rome has more.", "answer": "Rome"}'
READ = (("The results were found", JOINED), ("results", JOINED))
ACTED = (
    "Thought: Paris first.\nAction: population(city=\"Paris\")",
    "Thought: Now Rome.\nAction: population(city=\"Rome\")",
    'Thought: Rome has more.\nAction: finish(answer="Rome")',
)  # fmt: skip
CALLED = "".join(
    f'<tool_call>{{"name": "population", "arguments": {{"city": "{city}"}}}}</tool_call>\n'
    for city in ("Paris", "Rome")
)
SPLIT = (r"\boxed{3}", r"\boxed{4}", r"\boxed{5}")

WAYS = (
    Way("direct", "How many rivers does it name?", (("", "Answer: 3"),), 1),
    Way("vote", "How many rivers does it name?", (("", r"\boxed{3}"),), 8, (("rule", "fixed"),)),
    Way("skeleton", "What are the main parts of its history?",
        (("skeleton of the answer", LISTED), ("", "It is told at length.")), 4),
    Way("skeleton", "What do you make of its history?",
        (("Reply with one letter", "A"), ("skeleton of the answer", LISTED), ("", "It is told."),), 5),
    Way("cascade", "How many rivers does it name?", (("", SPLIT),), 10),
    Way("auto", "What do you make of its history?",
        (("one letter", "C"), ("skeleton of the answer", LISTED), ("", r"Told at length. \boxed{3}")), 2),
    Way("llm_compiler", CITIES, (("Plan how to find out", PLANNED), *READ), 2, with_tool=True),
    Way("decompose", "How much older is Bob than Ann?",
        (("Plan how to find out", '1. ask("How old is Ann?")\n2. ask("How old is Bob?")\n3. join()\n'),
         ("How old is Ann?", "Answer: 30"), ("How old is Bob?", "Answer: 45"), *READ), 4),
    Way("react", CITIES, (("", ACTED),), 3, with_tool=True),
    Way("calls", CITIES, (("", (CALLED, "Answer: Rome")),), 2, with_tool=True, can="function_calls"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """Prompt tokens of one run: of all prompts, computed, and at least; ``outcome`` is how it ended."""

    planner: str
    outcome: str
    calls: int
    prompt: int
    computed: int
    ideal: int

    @property
    def ratio(self) -> float:
        """Computed over ideal."""
        return self.computed / self.ideal


def found(name: str) -> Planner | None:
    """The planner of that name, from the module of that name; None if there is no such module."""
    if importlib.util.find_spec(f"planners.{name}") is None:
        return None
    planner: Planner = getattr(importlib.import_module(f"planners.{name}"), name)
    return planner


def material(tokens: int, seed: int = 1) -> str:
    """A text of so many tokens of the simulator, in lines of words."""
    rng = random.Random(seed)
    words = "river valley bridge market tower garden winter harvest council wall road mill".split()  # noqa: SIM905
    text = ""
    while count_tokens(text) < tokens:
        text += f"{rng.randrange(1000, 2000)}: {' '.join(rng.choices(words, k=9))}.\n"
    return text


def scripted(way: Way) -> Callable[[Call, random.Random], str]:
    """What the simulator says on that way."""
    said = {key: 0 for key, _ in way.replies}

    def say(call: Call, _: random.Random) -> str:
        told = "".join(message["content"] for message in call.prompt.messages())
        told = told.rpartition("</material>")[2]
        key, replies = next((key, replies) for key, replies in way.replies if key in told)
        if isinstance(replies, str):
            return replies
        said[key] += 1
        return replies[(said[key] - 1) % len(replies)]

    return say


def simulator(way: Way) -> Simulator:
    """A simulator that goes that way, with an empty cache."""
    known = {each.name for each in fields(Capabilities)}
    can: dict[str, Any] = {way.can: True} if way.can in known else {}
    return Simulator(scripted(way), claims=Capabilities(model="simulator", assistant_prefill=True, **can))


class Metered:
    """An engine that notes the prompts it is sent, and what it computed of them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pieces: set[tuple[str, str]] = set()
        self._characters = self._new = 0
        self._calls = self._prompt = self._computed = 0

    @property
    def name(self) -> str:
        """That of the engine."""
        return self._engine.name

    async def capabilities(self) -> Capabilities:
        """Those of the engine."""
        return await self._engine.capabilities()

    async def health(self) -> Health:
        """That of the engine."""
        return await self._engine.health()

    async def close(self) -> None:
        """Leave the engine as it is: the next run needs it, too."""

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Pass the call on."""
        pieces = [(each.role, each.text) for each in call.prompt.segments]
        self._characters += sum(len(text) for _, text in pieces)
        self._new += sum(len(text) for _, text in set(pieces) - self._pieces)
        self._pieces.update(pieces)
        self._calls += 1
        async for chunk in self._engine.generate(call):
            if chunk.usage is not None:
                self._prompt += chunk.usage.prompt_tokens
                self._computed += chunk.usage.prompt_tokens - chunk.usage.cached_tokens
            yield chunk

    def row(self, planner: str, outcome: str) -> Row:
        """What was counted. Tokens of pieces are taken to be as long as tokens are on average."""
        ideal = round(self._prompt * self._new / max(1, self._characters)) + BLOCK * (self._calls - 1)
        return Row(planner, outcome, self._calls, self._prompt, self._computed, ideal)


class _Journal:
    """Forgets everything: only the calls count here."""

    def append(self, event: Event) -> None: ...
    async def flush(self) -> None: ...
    async def room(self) -> None: ...
    async def leased(self) -> None: ...


async def measured(way: Way, planner: Planner, engine: Engine, tokens: int, seed: int = 1) -> Row:
    """One run of a planner over a material of so many tokens."""
    metered = Metered(engine)
    environment = Environment(
        engine=metered,
        capabilities=await engine.capabilities(),
        toolbox=Toolbox([population] if way.with_tool else []),
        budget=Budget(),
    )
    question = Question(way.query, context=material(tokens, seed))
    options = planner.validate(dict(way.options))
    executor = Executor(Run, environment, _Journal())
    result = await executor.execute(lambda run: planner(run, question, **options), {})
    return metered.row(way.planner, result.outcome)


Ways = Sequence[tuple[Way, Planner]]


async def simulated(ways: Ways) -> AsyncIterator[tuple[Way, Row]]:
    """All planners on the simulator, each on an empty cache."""
    for way, planner in ways:
        yield way, await measured(way, planner, simulator(way), MATERIAL_TOKENS)


async def embedded(ways: Ways, model: str) -> AsyncIterator[tuple[Way, Row]]:
    """All planners on an embedded model, each with a material of its own."""
    engine = LlamaCppEngine(model, slots=8, context=8 * EMBEDDED_TOKENS)
    try:
        for number, (way, planner) in enumerate(ways):
            yield way, await measured(way, planner, engine, EMBEDDED_TOKENS, seed=number)
    finally:
        await engine.close()


def failures(way: Way, row: Row, *, whole: bool) -> list[str]:
    """What is wrong with a row; ``whole`` says that the planner was to go its whole way."""
    wrong = [f"{row.ratio:.2f} is more than {BOUND}"] if row.ratio > BOUND else []
    if row.outcome not in ("answered", "undecided"):
        wrong.append(f"the run {row.outcome}")
    if whole and row.calls < way.calls:
        wrong.append(f"{row.calls} calls where at least {way.calls} were to be made")
    return wrong


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| planner | calls | prompt tokens | computed | ideal | computed / ideal |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.planner} | {row.calls} | {row.prompt:,} | {row.computed:,} | {row.ideal:,} "
        f"| {row.ratio:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


async def _main(arguments: argparse.Namespace, ways: Ways) -> int:
    rows, wrong = [], []
    source = embedded(ways, arguments.embedded) if arguments.embedded else simulated(ways)
    async for way, row in source:
        rows.append(row)
        wrong += [f"{row.planner}: {each}" for each in failures(way, row, whole=not arguments.embedded)]
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio} for row in rows], "wrong": wrong}))
    else:
        print(table(rows), *(f"FAIL {each}" for each in wrong), sep="\n")
    return 1 if wrong else 0


def main() -> None:
    """Measure, print, and exit with 1 if a ratio is above the bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefix_planners", description=__doc__)
    parser.add_argument(
        "--embedded", metavar="NAME", help="the embedded model of this name, not the simulator"
    )
    parser.add_argument("--json", action="store_true", help="rows and failures as JSON")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    ways = [(way, planner) for way in WAYS if (planner := found(way.planner))]
    sys.exit(asyncio.run(_main(parser.parse_args(), ways)))


if __name__ == "__main__":
    main()
