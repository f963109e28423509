"""What does it save to begin the successor of a vote before the vote has ended, and what does it waste?

    python -m benchmarks.ahead [--questions N] [--width N] [--json]

A vote and a call that goes on with its answer, on a simulator in simulated time that is slower for each of
several calls at once, as in batching; so what runs ahead costs the vote some time, too. Branches have
lognormal lengths, and each question its own chance that they agree: *easy* ones 0.8 to 1, *hard* ones 0.3 to
0.7. Every way is asked the same questions with the same branches. Seconds are given as a ratio to waiting for
the vote; tokens for nothing as a share of all that the run generated; *confirmed* is the share of the
questions where what ran ahead was used.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Final

from benchmarks.simulated_time import simulated
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Answer
from orchestrator.tasks.hindsight.recorders import Memory
from orchestrator.voting.ahead import Firm
from storage.events import EventType
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox

CHARACTERS: Final = 4
"""Of a token of the simulator."""

BRANCH, SUCCESSOR = 150, 100
"""Tokens of a branch and of a successor, in the middle."""

SURE: Final = {"easy": (0.8, 1.0), "hard": (0.3, 0.7)}
RULES = ("fixed", "beta")
WAYS: Final[dict[str, Firm | None]] = {
    "wait": None,
    "1 vote": Firm(1, 1),
    "2 votes, lead 2": Firm(2, 2),
    "3 votes, lead 3": Firm(3, 3),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way to go on, for one kind of questions and one rule."""

    questions: str
    rule: str
    way: str
    seconds: float
    ratio: float
    wasted: float
    confirmed: float


def say(call: Call, _: random.Random) -> str:
    """A branch, whose prompt has how sure its question is, or what comes after one."""
    prompt = "".join(segment.text for segment in call.prompt.segments)
    rng = random.Random(f"{prompt} {call.sampling.seed}")
    if prompt.startswith("after"):
        return "." * CHARACTERS * round(rng.lognormvariate(math.log(SUCCESSOR), 0.3))
    claim = 7 if rng.random() < float(prompt.split()[-1]) else rng.randrange(1, 6)
    return rf"\boxed{{{claim}}}".rjust(CHARACTERS * round(rng.lognormvariate(math.log(BRANCH), 0.5)), ".")


async def after(run: Run, answer: Answer) -> str:
    """What comes after the vote: one call."""
    return (await run.generate(f"after {answer.claim}")).text


Asked = tuple[float, float, bool]
"""Seconds of a run, the share of its tokens that was for nothing, and whether what ran ahead was used."""


async def ask(number: int, sure: float, rule: str, width: int, firm: Firm | None) -> Asked:
    """Ask one question one way."""
    rate = CostModel(latency=0.05, decode_tokens_per_s=lambda batch: 50 / (1 + 0.05 * batch))
    engine, journal = Simulator(say, cost=rate), Memory()

    async def body(run: Run) -> Answer:
        vote = run.vote(f"Question {number}: {sure}", rule=rule, width=width, temperature=0.7)
        if firm is None:
            return Answer(await after(run, await vote))
        return Answer(await run.ahead(vote, after, firm=firm))

    environment = Environment(engine, await engine.capabilities(), Toolbox(), seed=number)
    result = await Executor(Run, environment, journal).execute(body, {"planner": "ahead"})
    lost, ahead = 0.0, False
    for event in journal.events:
        if event.type is EventType.DECISION and event.data["by"] == "ahead":
            lost, ahead = event.data["saw"]["wasted_tokens"], event.data["verdict"] == "confirmed"
    return journal.events[-1].at - journal.events[0].at, lost / result.spent.usage.completion_tokens, ahead


def compare(questions: int, width: int) -> list[Row]:
    """All ways, for all kinds of questions and rules."""

    async def rows() -> list[Row]:
        made = []
        for kind, (low, high) in SURE.items():
            for rule in RULES:
                waited = 0.0
                for way, firm in WAYS.items():
                    asked = [
                        await ask(number, random.Random(number).uniform(low, high), rule, width, firm)
                        for number in range(questions)
                    ]
                    seconds, lost, ahead = zip(*asked, strict=True)
                    taken = fmean(seconds)
                    waited = waited or taken
                    made.append(Row(kind, rule, way, taken, taken / waited, fmean(lost), fmean(ahead)))
        return made

    return simulated(rows())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = compare(given.questions, given.width)
    if given.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        return 0
    print(f"{'questions':10} {'rule':6} {'way':16} seconds  ratio  for nothing  confirmed")
    for row in rows:
        print(
            f"{row.questions:10} {row.rule:6} {row.way:16} {row.seconds:7.2f}  {row.ratio:5.2f}  "
            f"{row.wasted:11.1%}  {row.confirmed:9.0%}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
