"""How much faster plans are than one call after another: tools with latencies, on a simulated server.

    python -m benchmarks.parallel_tools [--json] [--questions N] [--parallelqa PATH] [--peer-python PATH]

The questions have the shape of ParallelQA (:mod:`benchmarks.parallel_questions`): two to five look-ups, and
something computed of each. The server answers each prompt as a model would that makes no mistake, at the
rates of the model in the paper of LLMCompiler, so time is measured here and no intelligence: tokens that are
written, and tools that take their time. Latencies and rates are such that ``llm_compiler`` takes about as
long as in the paper, 16.7 s, and without streaming 21.7 s. All of it is sped up by ``--speed``; what the
table says is in seconds before that.

Beside ``llm_compiler``: the same with an engine that hands on a plan only once it is complete; ``react``,
which makes one call after the other; ``calls``, the function calling of the engine, in rounds; and LangGraph,
in the shape of its tutorial on LLMCompiler (:mod:`benchmarks.parallel_peer`), in the same run and on the same
server. Contenders take turns in blocks of questions.

*Beyond the critical path* is the time of a question less that of the longest chain of what was measured in
it: lines of the plan as the engine gave them, calls of tools, the join. It is real time, not sped up.

A completion token costs three times as much as a prompt token, as with the model of the paper.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.checks import Check, at_least, at_most
from benchmarks.early_stop_contenders import running
from benchmarks.parallel_contenders import (
    LANGGRAPH,
    PEER_PROGRAM,
    Answered,
    Contender,
    LangGraph,
    find_peer,
    ours,
)
from benchmarks.parallel_questions import (
    MATH_MEDIAN,
    MATH_SIGMA,
    SEARCH_MEDIAN,
    SEARCH_SIGMA,
    Question,
    questions,
    widths_of,
)
from benchmarks.parallel_server import DECODE, LATENCY, PREFILL, STYLES
from benchmarks.runs import find
from orchestrator import logs
from orchestrator.settings import Settings

COMPILER, HELD = "llm_compiler", "llm_compiler, not streamed"
OURS = (
    (COMPILER, COMPILER, "plan"),
    (HELD, COMPILER, "plan"),
    ("react", "react", "act"),
    ("calls", "calls", "call"),
)
"""Contenders of ours: the name, the planner, and the style in which its server answers."""
OPTIONS = {"react": {"max_steps": 16}}  # five look-ups take eleven

PEER, POOLED = "LangGraph", "LangGraph, all calls in its pool"
BLOCK = 16  # questions that one contender answers before it is the next one's turn
PRICE = 3  # of a completion token, in prompt tokens


@dataclass(frozen=True, slots=True)
class Row:
    """A contender over all questions: means, in seconds before everything was sped up, and in tokens.

    ``ratio`` is its seconds over those of ``llm_compiler``, ``cost_ratio`` the price of its tokens likewise.
    ``beyond`` is the median over the critical path, in real milliseconds.
    """

    contender: str
    questions: int
    right: float
    seconds: float
    median: float
    ratio: float
    prompt: float
    completion: float
    calls: float
    cost_ratio: float
    beyond: float | None


@asynccontextmanager
async def contending(
    asked: Sequence[Question], given: argparse.Namespace, peer: Path | None
) -> AsyncIterator[tuple[str, list[Contender]]]:
    """All contenders that there are, and the version of LangGraph."""
    async with AsyncExitStack() as stack:
        widths = [str(each.width) for each in asked]
        server = await stack.enter_async_context(
            running(
                Path(sys.executable), "-m", "benchmarks.parallel_server", "--widths", *widths,
                "--seed", str(given.seed), "--speed", str(given.speed),
            )
        )  # fmt: skip
        urls = {style: await server.line() for style in STYLES}
        contenders: list[Contender] = []
        for name, planner, style in OURS:
            if (found := await asyncio.to_thread(find, planner)) is None:
                continue
            contender = ours(
                name, found, urls[style], asked,
                speed=given.speed, lanes=given.lanes, options=OPTIONS.get(name, {}),
                streams=name != HELD, plans=planner == COMPILER,
            )  # fmt: skip
            contenders.append(await stack.enter_async_context(contender))
        version = ""
        if peer is not None:
            process = await stack.enter_async_context(running(peer, str(PEER_PROGRAM)))
            version = json.loads(await process.line())["version"]
            contenders += [
                LangGraph(name, process, urls["plan"], given.speed, given.lanes, pooled=name == POOLED)
                for name in (PEER, POOLED)
            ]
        yield version, contenders


async def measure(
    contenders: Sequence[Contender], asked: Sequence[Question]
) -> dict[str, list[tuple[Question, Answered]]]:
    """What each contender made of each question, a block at a time, in an order that rotates."""
    for contender in contenders:
        await contender.answer(asked[:1])  # opens connections
    results: dict[str, list[tuple[Question, Answered]]] = {each.name: [] for each in contenders}
    turns = list(contenders)
    for start in range(0, len(asked), BLOCK):
        block = asked[start : start + BLOCK]
        for contender in turns:
            print(f"  questions {start + 1} to {start + len(block)}, {contender.name}", file=sys.stderr)
            answered = list(zip(block, await contender.answer(block), strict=True))
            for question, each in answered:
                if each.answer != question.answer:
                    print(f"    {each.answer!r:.120} is not {question.answer}", file=sys.stderr)
            results[contender.name] += answered
        turns = turns[1:] + turns[:1]
    return results


def rows_of(results: dict[str, list[tuple[Question, Answered]]], speed: float) -> list[Row]:
    """A row for each contender."""

    def price(answered: Sequence[tuple[Question, Answered]]) -> float:
        return sum(each.prompt + PRICE * each.completion for _, each in answered)

    compiled = results[COMPILER]
    total = sum(each.seconds for _, each in compiled)
    rows = []
    for name, answered in results.items():
        seconds = [each.seconds for _, each in answered]
        beyond = [each.beyond for _, each in answered if each.beyond is not None]
        rows.append(
            Row(
                contender=name,
                questions=len(answered),
                right=statistics.fmean(each.answer == question.answer for question, each in answered),
                seconds=speed * statistics.fmean(seconds),
                median=speed * statistics.median(seconds),
                ratio=sum(seconds) / total,
                prompt=statistics.fmean(each.prompt for _, each in answered),
                completion=statistics.fmean(each.completion for _, each in answered),
                calls=statistics.fmean(each.calls for _, each in answered),
                cost_ratio=price(answered) / max(1.0, price(compiled)),
                beyond=1e3 * statistics.median(beyond) if beyond else None,
            )
        )
    return rows


def checks_of(rows: Sequence[Row]) -> list[Check]:
    """The bounds for those contenders that were there."""
    by_name = {row.contender: row for row in rows}
    ratios = {
        "react": ("react over llm_compiler (1.8 to 3.7 in the paper)", 1.8),
        "calls": ("calls over llm_compiler", 1.35),
        HELD: ("streaming gain (1.3 in the paper)", 1.3),
        PEER: ("LangGraph over llm_compiler", 1.0),
    }
    checks = [at_least(f"right, {row.contender}", row.right, 1.0) for row in rows]
    checks += [
        at_least(said, by_name[name].ratio, bound)
        for name, (said, bound) in ratios.items()
        if name in by_name
    ]
    beyond = by_name[COMPILER].beyond
    if beyond is not None:
        name = "llm_compiler beyond the critical path, ms"
        checks.append(at_most(name, beyond, 15.0))
    return checks


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| contender | questions | right % | mean s | median s | over llm_compiler | prompt | completion "
        "| calls | price over llm_compiler | ms beyond the critical path |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        beyond = "" if row.beyond is None else f"{row.beyond:.1f}"
        cost = (
            "" if row.contender in (PEER, POOLED) else f"{row.cost_ratio:.2f}"
        )  # its prompts are ours, and short
        lines.append(
            f"| {row.contender} | {row.questions} | {100 * row.right:.0f} | {row.seconds:.1f} "
            f"| {row.median:.1f} | {row.ratio:.2f} | {row.prompt:.0f} | {row.completion:.0f} "
            f"| {row.calls:.1f} | {cost} | {beyond} |"
        )
    return "\n".join(lines)


async def run(given: argparse.Namespace, peer: Path | None) -> tuple[str, list[Row]]:
    """Measure all contenders; gives the version of LangGraph too."""
    asked = questions(widths_of(given.parallelqa), seed=given.seed)
    step = max(1, len(asked) // given.questions)
    chosen = asked[::step][: given.questions]  # all widths, also of a few
    chosen = questions([each.width for each in chosen], seed=given.seed)
    async with contending(chosen, given, peer) as (version, contenders):
        return version, rows_of(await measure(contenders, chosen), given.speed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parallel_tools", description="Plans beside one call after another."
    )
    parser.add_argument("--questions", type=int, default=113, help="default %(default)s")
    parser.add_argument(
        "--parallelqa", type=Path, help="ParallelQA's file; by default its published numbers of look-ups"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=10.0, help="how much faster everything goes")
    parser.add_argument("--lanes", type=int, default=4, help="questions side by side")
    parser.add_argument(
        "--peer-python", type=Path, help="a Python with langgraph; by default it is installed"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave LangGraph out")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    if given.questions < 1 or given.lanes < 1 or given.speed <= 0:
        parser.error("--questions and --lanes must be at least 1, and --speed above 0")
    logs.configure(Settings.read())
    peer = None if given.no_peer else find_peer(given.peer_python)
    version, rows = asyncio.run(run(given, peer))
    checks = checks_of(rows)
    about = {
        "langgraph": version or f"left out ({LANGGRAPH})",
        "seed": given.seed,
        "speed": given.speed,
        "lanes": given.lanes,
        "model": f"{LATENCY} s to the first token, {PREFILL:g} tokens/s of a prompt, {DECODE:g} written",
        "search": f"log-normal, median {SEARCH_MEDIAN} s, sigma {SEARCH_SIGMA}",
        "math": f"log-normal, median {MATH_MEDIAN} s, sigma {MATH_SIGMA}",
    }
    if given.json:
        print(json.dumps({**about, "rows": [*map(asdict, rows)], "checks": [*map(asdict, checks)]}))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()))
        print(f"\n{table(rows)}\n")
        for check in checks:
            verdict = "ok  " if check.passed else "FAIL"
            print(f"{verdict} {check.name}: {check.value:.2f} (bound {check.bound:g})")
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
