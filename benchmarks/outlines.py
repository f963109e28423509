"""How the embedded model writes its outlines and plans, and how often a planner falls back, and why.

    python -m benchmarks.outlines [--json] [--model NAME] [--minutes M] [--method NAME]

Both methods are run on questions that suit them, once as the engine is (an outline goes on after ``1.``, a
plan is text under a grammar), and once as on an engine without prefill and without guided decoding (both
are written freely). Outlines are sampled at the planner's temperature. Points are cut short: only whether
they are begun counts. The forms are those that :mod:`planners.lists` names. The time is divided among
methods and settings; when it ends, what there is so far is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Question
from planners.lists import read_outline
from planners.llm_compiler import llm_compiler
from planners.outlining import continued
from planners.skeleton import skeleton
from storage.events import Event, EventType
from workers.engines.llama.engine import LlamaCppEngine
from workers.models.catalogue import DEFAULT_MODEL
from workers.tools.calculator import calculator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

OUTLINES = (
    "What are the benefits of regular exercise?",
    "How can I save money on groceries?",
    "Give me tips for a job interview.",
    "What are the advantages of remote work?",
    "How can a small business find customers?",
    "What should I consider when buying a used car?",
    "What are the main causes of the First World War?",
    "How can I learn a language faster?",
    "What are the pros and cons of solar energy?",
    "How do I prepare for a marathon?",
    "What makes a good teacher?",
    "How can cities reduce traffic?",
    "What are the risks of social media for children?",
    "How can I make my home safer?",
    "What are the most important inventions of the 19th century?",
    "How can I write a better essay?",
    "What are good habits for mental health?",
    "How should one care for houseplants?",
    "What are the key features of a democracy?",
    "Which factors affect the price of a house?",
)
CITIES = {
    "Paris": 2_103_778,
    "Rome": 2_751_747,
    "Berlin": 3_685_265,
    "Vienna": 2_028_289,
    "Madrid": 3_422_416,
}
PLANS = (
    "What is 127 * 49?",
    "Which city has more people, Berlin or Vienna?",
    "How many people live in Paris and Rome together?",
    "How many people live in Madrid?",
    "How many more people live in Berlin than in Rome?",
    "Which of Paris, Rome and Madrid has the most people?",
    "What is (17 + 25) * 3?",
    "How many people live in Vienna and Berlin together?",
    "Is Rome larger than Madrid?",
    "How many times as many people live in Berlin as in Paris?",
)
QUESTIONS = {"skeleton": OUTLINES, "llm_compiler": PLANS}


@tool
async def population(city: str) -> int:
    """How many people live in a city."""
    return CITIES[city]


@dataclass(slots=True)
class Counted:
    """What a method did in one setting: how its lists were written, and for what reasons it fell back."""

    method: str
    setting: str
    runs: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    fell_back: Counter[str] = field(default_factory=Counter)


class _Journal:
    """The events of one run."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    async def flush(self) -> None: ...

    async def room(self) -> None: ...

    async def leased(self) -> None: ...

    def said(self, label: str) -> list[str]:
        """What the calls with a label said."""
        paths = {
            event.path
            for event in self.events
            if event.type is EventType.NODE_ADDED and event.data["label"] == label
        }
        return [e.data["value"]["text"] for e in self.events if e.path in paths and "value" in e.data]


async def run_once(counted: Counted, environment: Environment, question: str) -> None:
    """Run a method on a question, and count what it did."""
    journal = _Journal()
    is_outline = counted.method == "skeleton"
    chosen = skeleton if is_outline else llm_compiler
    options = chosen.validate({"route": "always", "max_tokens": 1} if is_outline else {"max_tokens": 200})
    await Executor(Run, environment, journal).execute(
        lambda run: chosen(run, Question(question), **options), {}
    )
    counted.runs += 1
    for text in journal.said("outline" if is_outline else "plan"):
        counted.forms[form_of(text, counted, prefill=environment.capabilities.assistant_prefill)] += 1
    for event in journal.events:
        if event.type is EventType.DECISION and event.data["by"].split(":")[0] == counted.method:
            saw = event.data["saw"]
            if event.data["verdict"] == "refuse" and saw["plan"] == "plan":
                counted.repaired[in_general("; ".join(saw["errors"]))] += 1
            if event.data["verdict"] == "direct":
                counted.fell_back[in_general(saw["reason"])] += 1


def form_of(text: str, counted: Counted, *, prefill: bool) -> str:
    """How an outline or a plan is written."""
    if counted.method == "skeleton":
        return read_outline(continued(text) if prefill else text).form or "no list"
    return "JSON" if text.lstrip().startswith("{") else read_outline(text).form or "no list"


def in_general(reason: str) -> str:
    """A reason without the names and numbers of the one case."""
    return re.sub(r"\d+", "N", reason)


async def measure(model: str, minutes: float, methods: Sequence[str]) -> list[Counted]:
    """Run the questions of each method in both settings, until the time ends."""
    engine = LlamaCppEngine(model, slots=4, context=2048, threads=1)
    counts = []
    try:
        real = await engine.capabilities()
        bare = replace(real, guided_json=False, assistant_prefill=False)
        for method in methods:
            for setting, capabilities in (("as the engine is", real), ("bare", bare)):
                counts.append(counted := Counted(method, setting))
                toolbox = Toolbox((calculator, population))
                deadline = time.monotonic() + 60 * minutes / (2 * len(methods))
                for seed, question in enumerate(QUESTIONS[method]):
                    if time.monotonic() < deadline:
                        environment = Environment(engine, capabilities, toolbox, seed=seed)
                        await run_once(counted, environment, question)
    finally:
        await engine.close()
    return counts


def table(counts: Sequence[Counted]) -> str:
    """The counts as Markdown."""

    def listed(counter: Counter[str]) -> str:
        return ", ".join(f"{text} ({count})" for text, count in counter.most_common()) or "none"

    rows = [
        "| method | engine | runs | written as | plans repaired | fell back |",
        "|---|---|---|---|---|---|",
    ]
    for each in counts:
        said = " | ".join(listed(counter) for counter in (each.forms, each.repaired, each.fell_back))
        rows.append(f"| {each.method} | {each.setting} | {each.runs} | {said} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--method", choices=QUESTIONS, action="append")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    counts = asyncio.run(measure(chosen.model, chosen.minutes, chosen.method or list(QUESTIONS)))
    if chosen.json:
        print(json.dumps([{name: getattr(c, name) for name in c.__slots__} for c in counts], indent=1))
    else:
        print(table(counts))


if __name__ == "__main__":
    main()
