"""Does `anabranch estimate` predict what votes take? Predictions beside votes that were then held.

    python -m benchmarks.forecasts [--questions N] [--repeats N] [--json]

Everything runs on a simulator in simulated time. Each question has its own lengths (lognormal) and its own
chance that branches agree. One vote of 16 branches by the rule ``fixed`` is recorded for each; from these the
votes of all widths are predicted. Then they are held, ``--repeats`` times for each question and narrow ones
four times as often, with branches that were not recorded. An engine that decodes for several branches is
slower for each, as in batching.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from benchmarks.simulated_time import simulated
from orchestrator.consensus.forecast import Forecast, percentile
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.plain import plain
from orchestrator.tasks.estimating import Basis, estimate
from orchestrator.tasks.hindsight.recorders import Memory
from orchestrator.tasks.requests import parse
from orchestrator.tasks.setup import Setup, first_setup
from storage.events import Event
from storage.opening import open_store
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox

RECORDED = 16
"""Branches of a recorded vote."""

WIDTHS = (1, 2, 4, 8, 16)
RULES = ("fixed", "beta")
NARROW = 4
"""Of votes that are narrower, so many times more are held: one says less."""

CHARACTERS = 4
"""Of a token of the simulator."""


@dataclass(frozen=True, slots=True)
class Row:
    """Votes of one width by one rule: what was predicted, and what was then seen."""

    rule: str
    width: int
    seconds: tuple[float, float]
    seconds_p90: tuple[float, float]
    tokens: tuple[float, float]
    tokens_p90: tuple[float, float]
    agreement: tuple[float, float]

    def errors(self) -> Iterator[tuple[str, float]]:
        """How far each prediction is from what was seen, as a share of that."""
        for name in ("seconds", "seconds_p90", "tokens", "tokens_p90", "agreement"):
            predicted, seen = getattr(self, name)
            yield name, predicted / seen - 1


def say(call: Call, _: random.Random) -> str:
    """What a branch says: as long, and as sure, as its question makes it."""
    asked = "".join(segment.text for segment in call.prompt.segments)
    number = asked[asked.index("Question ") :].split("?")[0]
    question, branch = random.Random(number), random.Random(f"{number}: {call.sampling.seed}")
    usual, sure = question.gauss(math.log(20), 0.4), question.uniform(0.35, 0.95)
    tokens = max(5, round(branch.lognormvariate(usual, 0.5)))
    claim = 7 if branch.random() < sure else branch.randrange(1, 6)
    return rf"\boxed{{{claim}}}".rjust(CHARACTERS * min(tokens, 200), ".")


def engine() -> Simulator:
    """A simulator that is slower for each branch, the more of them decode together."""
    cost = CostModel(
        latency=0.05, prefill_tokens_per_s=5000, decode_tokens_per_s=lambda batch: 40 / (1 + 0.06 * batch)
    )
    return Simulator(say, cost=cost)


async def hold(questions: int, *, rule: str, width: int, seed: int) -> list[tuple[Task, list[Event]]]:
    """Hold one vote for each question; returns their tasks with their journals."""
    simulator, planner = engine(), find_planner("vote")
    capabilities = await simulator.capabilities()
    held = []
    for number in range(questions):
        request = parse({"query": f"Question {number}?", "options": {"n": width, "rule": rule}, "seed": seed})
        setup = first_setup(
            request,
            planner,
            f"{rule}-{width}-{seed}-{number}",
            engine=simulator,
            capabilities=capabilities,
            toolbox=Toolbox(),
            call_seconds=600.0,
        )
        journal = Memory()
        await setup.execute(setup.executor(journal))
        held.append((_task(setup, journal.events), journal.events))
    return held


def _task(setup: Setup, events: Sequence[Event]) -> Task:
    return Task(
        id=setup.environment.task_id,
        tenant=setup.environment.tenant,
        status=TaskStatus.SUCCEEDED,
        question=plain(setup.question),
        planner=setup.planner.name,
        options={"options": dict(setup.options)},
        seed=setup.environment.seed,
        idempotency_key=None,
        parent_id=None,
        fork_at=None,
        created_at=events[0].at,
        finished_at=events[-1].at,
    )


Seen = tuple[float, float, float]
"""What a vote took and came to: seconds, tokens, agreement."""


def seen_of(task: Task, events: Sequence[Event]) -> Seen:
    """What a vote took and came to."""
    trace = Trace.of(task, events)
    (vote,) = trace.nodes
    ended = sum(child.kind == "generate" and child.state == "succeeded" for child in vote.children)
    counts = [cluster["count"] for cluster in trace.answer["clusters"]]
    return vote.seconds, float(trace.usage()["completion_tokens"]), max(counts) / ended


def compare(
    questions: int, repeats: int, *, rules: Sequence[str] = RULES, widths: Sequence[int] = WIDTHS
) -> list[Row]:
    """Record, predict, and hold the votes that were predicted."""

    async def held() -> dict[tuple[str, int], list[Seen]]:
        seen = {}
        for rule in rules:
            for width in widths:
                votes = [
                    vote
                    for seed in range(1, repeats * (NARROW if width < NARROW else 1) + 1)
                    for vote in await hold(questions, rule=rule, width=width, seed=1000 * width + seed)
                ]
                seen[rule, width] = [seen_of(*vote) for vote in votes]
        return seen

    async def predicted(recorded: Sequence[tuple[Task, list[Event]]]) -> dict[tuple[str, int], Forecast]:
        async with await open_store("memory") as store:
            for task, events in recorded:
                await store.restore(task, events)
            made = [await estimate(store, find_planner, Basis(), rule=rule, widths=widths) for rule in rules]
        return {(each.rule, row.width): row for each in made for row in each.rows}

    recorded = simulated(hold(questions, rule="fixed", width=RECORDED, seed=0))
    seen, rows = simulated(held()), asyncio.run(predicted(recorded))
    return [_row(rule, width, rows[rule, width], votes) for (rule, width), votes in seen.items()]


def _row(rule: str, width: int, row: Forecast, votes: Sequence[Seen]) -> Row:
    seconds, tokens, agreement = zip(*votes, strict=True)
    return Row(
        rule,
        width,
        (row.seconds.value, fmean(seconds)),
        (row.seconds_p90.value, percentile(seconds)),
        (row.tokens.value, fmean(tokens)),
        (row.tokens_p90.value, percentile(tokens)),
        (row.agreement.value, fmean(agreement)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=4, help="votes that are held for each question")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = compare(given.questions, given.repeats)
    if given.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        return 0
    print("predicted / seen  seconds        90 % within    tokens         90 % within    agreement")
    for row in rows:
        figures = (row.seconds, row.seconds_p90, row.tokens, row.tokens_p90)
        told = "".join(f"{predicted:7.2f} /{seen:7.2f} " for predicted, seen in figures)
        print(f"{row.rule:6} n={row.width:<8} {told} {row.agreement[0]:.2f} / {row.agreement[1]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
