"""Questions of several hops: planners that make a DAG of calls, beside those that do not.

    python -m benchmarks.dag [--engine embedded] [--questions N] [--kinds K …] [--planners P …] [--minutes M]

The questions and their paragraphs are our own (:mod:`benchmarks.multi_hop`), and their answers exact. An
answer is right if it means the same as the exact one, by the equivalence that votes use; a sentence that
merely contains it is wrong, and so is an answer that its run calls undecided.

``direct``, ``vote`` and ``decompose`` are given the paragraphs of the question as its material. Those with
tools get the bare question; they have a ``search`` over the paragraphs of all questions, and a calculator.

Tokens of the critical path are the completion tokens of the longest chain of calls that waited for each
other. *Computed over ideal* is prompt tokens that the engine computed over those that one cache which never
forgets would compute within the run; what a run finds in the cache from the runs before it can make it less
than 1. Intervals are 95 %: Wilson's for shares, a paired bootstrap over questions for differences, of which
only questions count that both have answered.

Each run is appended to ``--out`` as it ends. The same command continues after whatever ended it; the table is
of all that the file has for the questions at hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from anabranch import Client
from benchmarks import multi_hop
from benchmarks.costs import costs_of, in_general
from benchmarks.intervals import Interval, paired_bootstrap, wilson
from benchmarks.multi_hop import KINDS, Question
from benchmarks.paragraphs import search_tool
from benchmarks.runs import append, find, points, stored
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.errors import AnabranchError, TaskFailed
from orchestrator.planning.planner import Planner
from workers.engine import Engine
from workers.engines.simulator.engine import Simulator

MODEL = "qwen2.5-coder-1.5b"
OUT = Path("dag.jsonl")
REASONS = 8  # of those that the report lists for a planner


@dataclass(frozen=True, slots=True)
class Contestant:
    """A planner, whether it is given the paragraphs, and its options."""

    planner: str
    has_material: bool
    options: Mapping[str, Any] = field(default_factory=dict)


CONTESTANTS = (
    Contestant("direct", has_material=True),
    Contestant("vote", has_material=True, options={"n": 4}),
    Contestant("decompose", has_material=True),
    Contestant("llm_compiler", has_material=False),
    Contestant("react", has_material=False),
    Contestant("calls", has_material=False),
)
RIVALS = ("direct", "vote")
"""Those that each planner is compared with, question by question."""


def is_right(answer: str, gold: str) -> bool:
    """Whether an answer means the same as the exact one."""
    clusters = Clusters()
    return clusters.add(0, Claim(gold, "whole")) == clusters.add(1, Claim(answer, "whole"))


def ask(client: Client, contestant: Contestant, planner: Planner, question: Question) -> dict[str, Any]:
    """One run: what it was asked, what it answered, and what it cost."""
    began = time.monotonic()
    # Each contestant gets a copy of its own, or it would find the paragraphs in the cache of the one before.
    copy = 1 + [each.planner for each in CONTESTANTS].index(contestant.planner)
    context = f"Copy {copy}.\n\n{question.material}" if contestant.has_material else ""
    said: dict[str, Any]
    trace_id = None
    try:
        solution = client.solve(
            question.text,
            context=context,
            planner=planner,
            options=contestant.options,
            seed=question.number,
            budget={"seconds": None},
        )
        trace_id = solution.trace_id
        said = {"answer": solution.answer, "outcome": str(solution.outcome), "undecided": solution.undecided}
    except AnabranchError as error:
        trace_id = error.task_id if isinstance(error, TaskFailed) else None
        said = {"answer": None, "outcome": "failed", "error": in_general(str(error))}
    seconds = time.monotonic() - began
    answered = said["outcome"] == "answered"
    return {
        "planner": contestant.planner,
        "question": question.number,
        "kind": question.kind,
        "text": question.text,
        "gold": question.answer,
        **said,
        "right": answered and is_right(said["answer"], question.answer),
        "seconds": round(seconds, 3),
        "trace": trace_id,
        "costs": None if trace_id is None else asdict(costs_of(client.trace(trace_id))),
    }


def run(
    engine: Engine | str, given: argparse.Namespace, questions: Sequence[Question]
) -> Iterator[dict[str, Any]]:
    """The runs that the file lacks. All planners answer a question before the next one is asked."""
    key = {"engine": given.engine, "model": given.model, "seed": given.seed}
    done = {(each["planner"], each["question"]) for each in stored(given.out, key)}
    found = {name: find(name) for name in given.planners}
    everything = multi_hop.questions(seed=given.seed)
    paragraphs = [text for question in everything for text in question.paragraphs]
    until = time.monotonic() + 60 * given.minutes if given.minutes else float("inf")
    with Client(
        engine=engine, model=given.model, database=given.database, tools=[search_tool(paragraphs)]
    ) as client:
        if isinstance(engine, str):  # loading its model is not answering
            client.solve("Say yes.", planner="direct", options={"max_tokens": 1})
        for question in questions:
            for contestant in CONTESTANTS:
                planner = found.get(contestant.planner)
                if planner is None or (contestant.planner, question.number) in done:
                    continue
                if time.monotonic() > until:
                    print("  the time is over; the same command goes on from here", file=sys.stderr)
                    return
                result = {**key, **ask(client, contestant, planner, question)}
                append(given.out, result)
                yield result


@dataclass(frozen=True, slots=True)
class Row:
    """A planner over all questions that it was asked. Tokens, calls and seconds are means for a question."""

    planner: str
    questions: int
    right: float
    interval: Interval
    undecided: int
    failed: int
    prompt: float
    completion: float
    critical: float
    computed_over_ideal: float
    calls: float
    seconds: float
    against: Mapping[str, tuple[float, Interval]]
    kinds: Mapping[str, tuple[int, int]]
    decisions: Mapping[str, int]


def rows_of(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each planner, in the order of the contestants."""
    by_planner: dict[str, dict[int, Mapping[str, Any]]] = {}
    for each in runs:
        by_planner.setdefault(each["planner"], {})[each["question"]] = each
    names = [each.planner for each in CONTESTANTS if each.planner in by_planner]
    return [_row(name, by_planner) for name in names]


def _row(name: str, by_planner: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Row:
    own = by_planner[name]
    costs = [each["costs"] for each in own.values() if each["costs"]]

    def mean(what: str) -> float:
        return statistics.fmean(each[what] for each in costs) if costs else 0.0

    against = {}
    for rival in (rival for rival in RIVALS if rival != name and rival in by_planner):
        both = sorted(own.keys() & by_planner[rival].keys())
        if both:
            right = [[runs[at]["right"] for at in both] for runs in (own, by_planner[rival])]
            against[rival] = paired_bootstrap(*right)
    kinds = {
        kind: (sum(each["right"] for each in some), len(some))
        for kind in KINDS
        if (some := [each for each in own.values() if each["kind"] == kind])
    }
    reasons = Counter(
        reason
        for each in own.values()
        for reason in (
            *(each["costs"] or {}).get("decisions", ()),
            *(f"tool failed: {failure}" for failure in (each["costs"] or {}).get("tool_failures", ())),
            *((f"undecided: {in_general(each['undecided'])}",) if each.get("undecided") else ()),
            *((f"failed: {each['error']}",) if each.get("error") else ()),
        )
    )
    rights = sum(each["right"] for each in own.values())
    return Row(
        planner=name,
        questions=len(own),
        right=rights / len(own),
        interval=wilson(rights, len(own)),
        undecided=sum(each["outcome"] == "undecided" for each in own.values()),
        failed=sum(each["outcome"] not in ("answered", "undecided") for each in own.values()),
        prompt=mean("prompt"),
        completion=mean("completion"),
        critical=mean("critical"),
        computed_over_ideal=mean("computed") / max(1.0, mean("ideal")),
        calls=mean("calls"),
        seconds=statistics.fmean(each["seconds"] for each in own.values()),
        against=against,
        kinds=kinds,
        decisions=dict(reasons.most_common()),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, and below them what the planners decided and why."""
    lines = [
        "| planner | questions | right % | undecided | failed | prompt | completion | critical path "
        "| computed / ideal | calls | seconds | over direct | over vote |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row.interval
        over = [points(row.against.get(rival)) for rival in RIVALS]
        lines.append(
            f"| {row.planner} | {row.questions} | {100 * row.right:.0f} [{100 * low:.0f}, {100 * high:.0f}] "
            f"| {row.undecided} | {row.failed} | {row.prompt:.0f} | {row.completion:.0f} "
            f"| {row.critical:.0f} | {row.computed_over_ideal:.2f} | {row.calls:.1f} | {row.seconds:.1f} "
            f"| {over[0]} | {over[1]} |"
        )
    kinds = [kind for kind in KINDS if any(kind in row.kinds for row in rows)]
    lines += ["", f"| right, by kind | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for row in rows:
        counts = (row.kinds.get(kind, (0, 0)) for kind in kinds)
        lines.append(f"| {row.planner} | {' | '.join(f'{right} of {of}' for right, of in counts)} |")
    for row in rows:
        if row.decisions:
            lines += ["", f"{row.planner}:"]
            lines += [f"- {count} times {reason}" for reason, count in list(row.decisions.items())[:REASONS]]
    return "\n".join(lines)


def oracle(questions: Sequence[Question]) -> Simulator:
    """An engine that answers each question rightly, in any call that has it, whatever the call is for."""
    return Simulator(
        {each.text: f"It is so.\nThe final answer is \\boxed{{{each.answer}}}." for each in questions}
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dag", description="Planners on questions of several hops."
    )
    parser.add_argument("--engine", default="embedded", help="embedded, URLs, or simulator: it knows all")
    parser.add_argument("--model", help=f"by default {MODEL} on the embedded engine")
    parser.add_argument("--questions", type=int, default=multi_hop.COUNT, help="default %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[], help="by default all")
    names = [each.planner for each in CONTESTANTS]
    parser.add_argument("--planners", nargs="+", choices=names, default=names, help="by default all")
    parser.add_argument("--seed", type=int, default=1, help="of the questions")
    parser.add_argument("--minutes", type=float, help="begin no run after so long; default: no limit")
    parser.add_argument("--out", type=Path, default=OUT, help="runs, a line each (default %(default)s)")
    parser.add_argument("--database", default="memory", help="where the traces are kept")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    if not 1 <= given.questions <= multi_hop.COUNT:
        parser.error(f"--questions must be from 1 to {multi_hop.COUNT}")
    if given.model is None and given.engine == "embedded":
        given.model = MODEL
    questions = multi_hop.questions(given.questions, seed=given.seed, kinds=given.kinds)
    engine = oracle(questions) if given.engine == "simulator" else given.engine
    for each in run(engine, given, questions):
        verdict = "right" if each["right"] else f"{each['answer']!r:.60} is not {each['gold']}"
        print(
            f"  {each['question']} {each['kind']}, {each['planner']}, {each['seconds']:.0f} s: {verdict}",
            file=sys.stderr,
        )
    key = {"engine": given.engine, "model": given.model, "seed": given.seed}
    numbers = {each.number for each in questions}
    runs = [
        each
        for each in stored(given.out, key)
        if each["question"] in numbers and each["planner"] in given.planners
    ]
    rows = rows_of(runs)
    if given.json:
        print(json.dumps({**key, "questions": len(numbers), "rows": [asdict(row) for row in rows]}))
    else:
        print(table(rows))
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
