"""Early stopping over HTTP, beside its_hub.

    python -m benchmarks.early_stop_live [--json] [--questions N] [--seconds S] [--peer-python PATH]

Both answer the same questions on a simulated OpenAI-compatible server in a process of its own. A call takes
0.2 s (median of a lognormal distribution) and decodes five tokens in that time; answers come in four
phrasings and in shares that are known. The k-th call for a question gets the same answer after the same time
whoever asks. We go through the client that users have, with its journal in SQLite. its_hub (from PyPI, in a
virtual environment of its own) votes on whole texts, which is its default, and on the last number, by its
own projection. All take turns in blocks of questions, so that noise of the machine hits all of them.

Started, finished and cancelled calls and tokens are counted by the server; a vote that stops early cancels
by closing connections. Latency is what the caller waits for an answer.

Checked in every cell: we start fewer than n, and finish at most what its_hub's projected Beta rule does.
Checked for each mix over all n: the accuracy is not lower. It counts as lower when the 95 % interval of the
difference, question by question, lies below zero.

When its time ends, by ``--seconds`` or by SIGTERM or SIGINT, the command prints what it has: all cells so
far, and of the last one the questions that all have answered.

Three processes need some CPU at once. On a busy machine latencies mean little, and more calls finish before
their cancellation reaches the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import signal
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import aiohttp

from benchmarks.checks import Check
from benchmarks.early_stop_contenders import (
    DEFAULT,
    LAST_NUMBER,
    RIVAL,
    Contender,
    contending,
    find_peer,
    side_by_side,
)
from benchmarks.early_stop_server import MEDIAN, MIXES, PHRASINGS, SIGMA, Puzzle
from workers.engines.vllm.engine import gauge

WIDTHS = (8, 16, 32)
BLOCK = 48  # questions that one contender answers before it is the next one's turn
EVEN = 0.03  # costs that differ by less count as even


@dataclass(frozen=True, slots=True)
class Counted:
    """What a server has counted, over all questions."""

    finished: int
    cancelled: int
    tokens: int

    def __sub__(self, before: Counted) -> Counted:
        return Counted(
            self.finished - before.finished, self.cancelled - before.cancelled, self.tokens - before.tokens
        )


async def count(url: str) -> Counted:
    """The counts of a server, once the calls that were given up have ended there."""
    address = url.removesuffix("/v1") + "/metrics"
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            async with session.get(address) as answer:
                text = await answer.text()
            if not gauge(text, "vllm:num_requests_running"):
                break
            await asyncio.sleep(0.02)
    names = (
        'vllm:request_success_total{finished_reason="stop"}',
        'vllm:request_success_total{finished_reason="abort"}',
        "vllm:generation_tokens_total",
    )
    return Counted(*(int(gauge(text, name) or 0) for name in names))


@dataclass(slots=True)
class Score:
    """What a contender did in a cell, question by question; the counts are over all of them."""

    mix: str
    width: int
    contender: str
    counted: Counted
    right: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


async def measure(
    contenders: Sequence[Contender], mix: str, width: int, questions: int
) -> AsyncGenerator[list[Score], None]:
    """One cell: all contenders in turns, a block of questions at a time, in an order that rotates.

    The scores so far come after each block that all have answered.
    """
    puzzles = [Puzzle(mix, width, number) for number in range(questions)]
    for contender in contenders:  # opens connections
        spare = range(questions, questions + min(questions, side_by_side(width)))
        await contender.answer([Puzzle(mix, width, number).text for number in spare], width)
    scores = [Score(mix, width, each.name, await count(each.url)) for each in contenders]
    turns = list(zip(contenders, scores, strict=True))
    for start in range(0, questions, BLOCK):
        block = puzzles[start : start + BLOCK]
        for contender, score in turns:
            answered = await contender.answer([puzzle.text for puzzle in block], width)
            for puzzle, (text, seconds) in zip(block, answered, strict=True):
                score.right.append(number_in(text) == puzzle.right)
                score.seconds.append(seconds)
        turns = turns[1:] + turns[:1]
        counted = {score.contender: await count(contender.url) for contender, score in turns}
        yield [
            replace(
                score,
                counted=counted[score.contender] - score.counted,
                right=[*score.right],
                seconds=[*score.seconds],
            )
            for score in scores
        ]


def number_in(text: str) -> str | None:
    """The last number."""
    match = re.search(LAST_NUMBER, text)
    return match and match.group(1)


Interval = tuple[float, float]


def paired(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, Interval]:
    """Difference of accuracies in points over the same questions, and its 95 % interval (normal)."""
    differences = [100.0 * (mine - other) for mine, other in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(differences)
    reach = 1.96 * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean, (mean - reach, mean + reach)


@dataclass(frozen=True, slots=True)
class Row:
    """A contender in a cell. Calls and tokens are means for a question, times are in seconds.

    ``difference`` and its interval are points of accuracy over the rival in the same cell.
    """

    mix: str
    width: int
    contender: str
    started: float
    finished: float
    cancelled: float
    tokens: float
    median: float
    p95: float
    accuracy: float
    difference: float | None
    interval: Interval | None


def row(score: Score, rival: Score | None) -> Row:
    """The line of the table."""
    questions, counted = len(score.right), score.counted
    difference, interval = (None, None) if rival is None else paired(score.right, rival.right)
    return Row(
        score.mix,
        score.width,
        score.contender,
        started=(counted.finished + counted.cancelled) / questions,
        finished=counted.finished / questions,
        cancelled=counted.cancelled / questions,
        tokens=counted.tokens / questions,
        median=statistics.median(score.seconds),
        p95=statistics.quantiles(score.seconds, n=20)[-1],
        accuracy=100 * statistics.fmean(score.right),
        difference=difference,
        interval=interval,
    )


def of(rows: Sequence[Row], contender: str, cell: Row) -> Row | None:
    """The row of a contender in the same cell."""
    where = (cell.mix, cell.width, contender)
    return next((each for each in rows if (each.mix, each.width, each.contender) == where), None)


def pooled(scores: Sequence[Score]) -> dict[str, tuple[float, Interval]]:
    """For each mix the difference between the default rule and the rival, over the questions of all n."""
    right: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for score in scores:
        right[score.mix, score.contender] += score.right
    return {mix: paired(right[mix, DEFAULT], right[mix, RIVAL]) for mix, name in right if name == RIVAL}


def checks(rows: Sequence[Row], scores: Sequence[Score]) -> list[Check]:
    """What the default rule must keep; without the rival only that it starts fewer than n."""
    kept = []
    for ours in (each for each in rows if each.contender == DEFAULT):
        cell = f"{ours.mix}, n = {ours.width}"
        kept.append(Check(f"started, {cell}", ours.started, ours.width, ours.started < ours.width))
        if rival := of(rows, RIVAL, ours):
            passed = ours.finished <= rival.finished
            kept.append(Check(f"finished, {cell}", ours.finished, rival.finished, passed))
    for mix, (_, (_, high)) in pooled(scores).items():
        kept.append(Check(f"accuracy, {mix}, upper end of the interval", high, 0.0, high >= 0))
    return kept


COSTS = ("started", "finished", "tokens", "median", "p95")


def against(rows: Sequence[Row], contender: str) -> list[str]:
    """Where the default rule wins and loses, measure by measure over the cells."""
    pairs = [
        (ours, theirs)
        for ours in rows
        if ours.contender == DEFAULT and (theirs := of(rows, contender, ours)) is not None
    ]
    lines = []
    for cost in COSTS:
        ratios = {
            f"{ours.mix}, n = {ours.width}": getattr(ours, cost) / getattr(theirs, cost)
            for ours, theirs in pairs
        }
        won = sum(ratio < 1 - EVEN for ratio in ratios.values())
        lost = [f"{cell} (x {ratio:.2f})" for cell, ratio in ratios.items() if ratio > 1 + EVEN]
        lines.append(_verdict(cost, won, len(ratios), lost))
    return lines


def _verdict(measure: str, won: int, cells: int, lost: Sequence[str]) -> str:
    where = f": {'; '.join(lost)}" if lost else ""
    return f"{measure}: won {won}, even {cells - won - len(lost)}, lost {len(lost)}{where}"


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| answers | n | | started | finished | cancelled | tokens | median s | p95 s | right | difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in rows:
        difference = ""
        if each.difference is not None and each.interval is not None:
            low, high = each.interval
            difference = f"{each.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        lines.append(
            f"| {each.mix} | {each.width} | {each.contender} | {each.started:.1f} | {each.finished:.1f} "
            f"| {each.cancelled:.1f} | {each.tokens:.1f} | {each.median:.3f} | {each.p95:.3f} "
            f"| {each.accuracy:.1f} % | {difference} |"
        )
    return "\n".join(lines)


async def run(given: argparse.Namespace, peer: Path | None) -> tuple[str, list[Score]]:
    """Measure all cells, or as many as the time allows; gives the version of its_hub too."""
    cells: dict[tuple[str, int], list[Score]] = {}
    loop = asyncio.get_running_loop()
    async with contending(peer, given.seed) as (peer_version, contenders):
        try:
            async with asyncio.timeout(given.seconds) as time:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, lambda: time.reschedule(loop.time()))
                for mix in given.mixes:
                    for width in given.widths:
                        print(f"  {mix}, n = {width}", file=sys.stderr)
                        async with aclosing(measure(contenders, mix, width, given.questions)) as blocks:
                            async for scores in blocks:
                                cells[mix, width] = scores
        except TimeoutError:
            if not time.expired():
                raise
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
    return peer_version, [score for scores in cells.values() for score in scores]


def cut_off(scores: Sequence[Score], cells: int, questions: int) -> str:
    """What is missing because the time ended; empty if nothing is."""
    asked = {(each.mix, each.width): len(each.right) for each in scores}
    whole = sum(number == questions for number in asked.values())
    if whole == cells:
        return ""
    parts = [f"{mix}, n = {width}: {n} of {questions}" for (mix, width), n in asked.items() if n < questions]
    return "; ".join([f"the time ended after {whole} of {cells} cells", *parts])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.early_stop_live", description="Early stopping over HTTP, beside its_hub."
    )
    parser.add_argument("--questions", type=int, default=144, help="in each cell (default 144)")
    parser.add_argument(
        "--mixes", nargs="+", choices=MIXES, default=list(MIXES), help="shares of the answers"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, metavar="N", help="most branches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="print what there is after so long; default: no limit")
    parser.add_argument("--peer-python", type=Path, help="a Python with its_hub; by default it is installed")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    if given.questions < 2:
        parser.error("--questions must be 2 at least: an interval needs two")
    peer_version, scores = asyncio.run(run(given, find_peer(given.peer_python)))
    missing = cut_off(scores, len(given.mixes) * len(given.widths), given.questions)
    rivals = {(each.mix, each.width): each for each in scores if each.contender == RIVAL}
    rows = [row(each, rivals.get((each.mix, each.width))) for each in scores]
    kept = checks(rows, scores)
    names = [row.contender for row in rows if row.contender.startswith("its_hub")]
    compared = {name: against(rows, name) for name in dict.fromkeys(names)}
    about = {
        "anabranch": version("anabranch"),
        "its_hub": peer_version,
        "python": sys.version.split()[0],
        "seed": given.seed,
        "questions": given.questions,
        "median_seconds": MEDIAN,
        "sigma": SIGMA,
        "phrasings": PHRASINGS,
        "mixes": {mix: MIXES[mix] for mix in given.mixes},
        **({"cut_off": missing} if missing else {}),
    }
    if given.json:
        report = {
            **about,
            "rows": [asdict(each) for each in rows],
            "pooled": pooled(scores),
            "against": compared,
            "checks": [asdict(check) for check in kept],
        }
        print(json.dumps(report))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()))
        print(f"\n{table(rows)}")
        for name, lines in compared.items():
            print(f"\n{DEFAULT} against {name}")
            print("\n".join(f"  {line}" for line in lines))
        print(f"\naccuracy of {DEFAULT} less that of {RIVAL}, over all n")
        for mix, (difference, (low, high)) in pooled(scores).items():
            print(f"  {mix}: {difference:+.2f} points [{low:+.2f}, {high:+.2f}]")
        print()
        for check in kept:
            verdict = "ok  " if check.passed else "FAIL"
            print(f"{verdict} {check.name}: {check.value:.3f} (bound {check.bound:g})")
    return 0 if kept and all(check.passed for check in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
