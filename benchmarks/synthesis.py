"""The merge ``synthesis`` beside the majority, on the same branches and at the same number of calls.

    python -m benchmarks.synthesis --gsm8k test.jsonl [--questions N] [--minutes M]
    python -m benchmarks.synthesis --sets countdown --n 4

Each question is answered by ``n`` + 1 branches that are all waited for. Three votes are held over them: the
majority of the first ``n``; the majority of all; and the merge ``synthesis`` over the first ``n``, which asks
one call more where no answer has a majority. So it makes as many calls as the second vote, or one less. The
branches are generated once and repeated: the votes differ in nothing but the merge.

Checked, question by question: synthesis is right no less often than either. It counts as less if the 95 %
interval of the difference (paired bootstrap) lies below zero. Most questions cannot tell the three apart, as
one answer has a majority, so the *disputed* ones are also told alone.

The sets are those of :mod:`benchmarks.methods` with one short answer. A question is a line of
``--out``; the same command goes on after whatever ended it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import structlog

from benchmarks.checks import Check
from benchmarks.intervals import paired_bootstrap, wilson
from benchmarks.method_sets import GENERATED, HARDER, Question, questions
from benchmarks.runs import append, points, stored
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.opening import open_store
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Engine, Health
from workers.engines.llama.engine import LlamaCppEngine
from workers.models.catalogue import CATALOGUE

OUT = Path("synthesis.jsonl")
MODEL = "qwen2.5-coder-0.5b"
MERGES: Final = ("majority", "majority of one more", "synthesis")


class Repeating:
    """An engine that answers the same call as it did before, and counts the calls that it passes on."""

    def __init__(self, engine: Engine) -> None:
        self.calls = 0
        self._engine = engine
        self._said: dict[tuple[object, ...], list[Chunk]] = {}

    @property
    def name(self) -> str:
        """That of the engine behind it."""
        return self._engine.name

    async def capabilities(self) -> Capabilities:
        """Those of the engine behind it."""
        return await self._engine.capabilities()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """What was said to the same prompt with the same sampling; the seed is part of that."""
        key = (call.prompt, call.sampling, call.role)
        if key in self._said:
            for chunk in self._said[key]:
                yield chunk
            return
        self.calls += 1
        chunks = []
        async with aclosing(self._engine.generate(call)) as stream:  # type: ignore[type-var]
            async for chunk in stream:
                chunks.append(chunk)
                yield chunk
        self._said[key] = chunks

    async def health(self) -> Health:
        """That of the engine behind it."""
        return await self._engine.health()

    async def close(self) -> None:
        """Close the engine behind it."""
        await self._engine.close()


async def compared(
    service: Service, engine: Repeating, question: Question, n: int, max_tokens: int
) -> dict[str, Any]:
    """Whether each of the votes on a question is right, and what they were about."""

    async def vote(width: int, merge: str) -> Solution:
        request = {
            "query": question.question,
            "context": question.context,
            "choices": list(question.choices),
            "planner": "vote",
            "options": {"rule": f"fixed:width={width}", "merge": merge, "max_tokens": max_tokens},
            "seed": question.number,
            "budget": {"seconds": None},
        }
        return await service.solve(parse(request))

    more = await vote(n + 1, "majority")
    fewer = await vote(n, "majority")
    before = engine.calls
    synthesis = await vote(n, "synthesis")
    if engine.calls > before + 1:
        raise AssertionError("the votes were not held over the same branches")
    answers = {"majority": fewer, "majority of one more": more, "synthesis": synthesis}
    return {
        "question": question.id,
        "counts": [cluster.count for cluster in fewer.clusters],
        "asked": engine.calls > before,
        "kept": synthesis.answer == fewer.answer,
        "answers": {name: each.answer for name, each in answers.items()},
        "right": {name: question.is_right(each.answer) for name, each in answers.items()},
        "gold": question.gold,
    }


def disputed(run: Mapping[str, Any]) -> bool:
    """Whether no answer of the first branches has a majority, and there are several."""
    counts = run["counts"]
    return len(counts) > 1 and 2 * max(counts) <= sum(counts)


def checks(runs: Sequence[Mapping[str, Any]]) -> list[Check]:
    """That synthesis is no worse than the votes beside it."""
    kept = []
    for name in MERGES[:2]:
        (_, (_, high)) = _difference(runs, name)
        kept.append(Check(f"synthesis over {name}: upper end of the interval", high, 0.0, high >= 0))
    return kept


def _difference(runs: Sequence[Mapping[str, Any]], name: str) -> tuple[float, tuple[float, float]]:
    ours, theirs = ([float(run["right"][each]) for run in runs] for each in ("synthesis", name))
    return paired_bootstrap(ours, theirs)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Who is right how often: over all questions, and over those that are disputed."""
    lines = ["| questions | | right | synthesis over it |", "|---|---|---|---|"]
    for what, some in (("all", runs), ("disputed", [run for run in runs if disputed(run)])):
        for name in MERGES if some else ():
            right = [bool(run["right"][name]) for run in some]
            low, high = wilson(sum(right), len(right))
            over = points(None if name == "synthesis" else _difference(some, name))
            share = f"{100 * fmean(right):.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
            lines.append(f"| {what}, {len(some)} | {name} | {share} | {over} |")
    asked = [run for run in runs if run["asked"]]
    changed = [run for run in asked if not run["kept"]]
    better, worse = (
        sum(run["right"]["synthesis"] is good and run["right"]["majority"] is not good for run in changed)
        for good in (True, False)
    )
    lines.append(
        f"\nA model was asked in {len(asked)} of {len(runs)}; it changed the answer in {len(changed)}: "
        f"{better} became right, {worse} wrong."
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None, *, engine: Engine | None = None) -> int:
    """Run from the command line; ``engine`` in place of the embedded one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthesis", description="The merge synthesis beside the majority."
    )
    parser.add_argument("--model", default=MODEL, choices=sorted(CATALOGUE), help="(default %(default)s)")
    parser.add_argument("--threads", type=int, help="of the model; 1 where others use the cores, too")
    parser.add_argument("--sets", nargs="+", choices=HARDER, help="by default all, GSM8K if given")
    parser.add_argument("--gsm8k", type=Path, metavar="FILE", help="the test set of GSM8K")
    parser.add_argument("--questions", type=int, default=60, metavar="N", help="of each set (default 60)")
    parser.add_argument("--n", type=int, default=4, help="branches of the smaller votes (default 4)")
    parser.add_argument("--max-tokens", type=int, default=320, help="of a call (default 320)")
    parser.add_argument("--seed", type=int, default=1, help="of the questions")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no question after so long")
    parser.add_argument("--out", type=Path, default=OUT, help="a line a question (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    sets = given.sets or [each for each in HARDER if given.gsm8k or each in GENERATED]
    try:
        asked = questions(sets, given.questions, given.seed, given.gsm8k)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    key = {"model": given.model, "n": given.n, "max_tokens": given.max_tokens, "seed": given.seed}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asks = engine or LlamaCppEngine(given.model, slots=given.n + 1, context=3072, threads=given.threads)
    runs = asyncio.run(ask_all(asked, key, given, asks))
    if not runs:
        print("no question was answered", file=sys.stderr)
        return 1
    made = checks(runs)
    if given.json:
        print(json.dumps({"questions": len(runs), "checks": {each.name: each.passed for each in made}}))
    else:
        print(table(runs))
    for each in made:
        print(f"{'ok' if each.passed else 'FAILED'}: {each.name} {each.value:+.3f}", file=sys.stderr)
    return 0 if all(each.passed for each in made) else 1


async def ask_all(
    asked: Sequence[Question], key: Mapping[str, Any], given: argparse.Namespace, engine: Engine
) -> list[dict[str, Any]]:
    """The results of all questions that were answered in time, now or before."""
    done = {run["question"]: run for run in stored(given.out, key)}
    until = time.monotonic() + 60 * given.minutes
    repeating = Repeating(engine)
    async with await open_store("memory") as store:
        service = Service(store, repeating)
        try:
            for question in asked:
                if question.id in done or time.monotonic() > until:
                    continue
                run = {**key, **await compared(service, repeating, question, given.n, given.max_tokens)}
                append(given.out, run)
                done[question.id] = run
                print(f"  {question.id}: {run['counts']} {run['right']}", file=sys.stderr)
        finally:
            await repeating.close()
    return [done[question.id] for question in asked if question.id in done]


if __name__ == "__main__":
    sys.exit(main())
