"""Where each method pays: the same questions for all planners, beside votes that may spend as much.

    python -m benchmarks.methods --models qwen2.5-coder-1.5b --gsm8k test.jsonl --full
    python -m benchmarks.methods --sets countdown game24 --questions 12 --minutes 60
    python -m benchmarks.methods --sets gsm8k --planners auto --controls direct vote:rule=fixed:width=3

The sets are those of :mod:`benchmarks.method_sets`; where to find GSM8K is told by
:mod:`benchmarks.record_gsm8k`, and without its file that set is left out. On each set the planners that are
made for such questions are asked (``--planners`` asks the same of all), and beside them the ``--controls``:
``direct``, plain votes of two widths, and one chain that is refined again and again, which is ``direct``
given more time. The columns of the table, and how planners are compared with the controls at equal tokens,
time and context, are told by :mod:`benchmarks.methods_table`.

Sets get an equal share of ``--minutes``. In a set the kinds take turns, all planners answer one question
before the next is asked, and who begins rotates, so what is cut short is balanced. ``--full`` asks all sets
for two hours. Each run is appended to ``--out`` as it ends; the same command continues after whatever ended
it, and with more ``--questions`` it asks those that are new. The traces are kept in ``--database``, and
replay. ``--results`` writes the rows with what they were made with, ``--plot`` a picture of each set.

The time of tools that need each other is measured by :mod:`benchmarks.parallel_tools`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.asking import add_options, ask_all, contestants, models
from benchmarks.method_sets import GENERATED, SETS, VERIFIER, Question, questions, verifier_of
from benchmarks.methods_table import DIRECT, Row, judged, rows_of, table
from benchmarks.runs import stored
from workers.engines.simulator.engine import Simulator
from workers.models.catalogue import CATALOGUE

OUT = Path("methods.jsonl")
FULL_MINUTES, FULL_QUESTIONS = 120.0, 12

SHORT = (
    "auto",
    "rounds",
    "aggregate",
    "distil",
    "strategies",
    "no_thinking",
    "tournament",
    "together",
    "spawn_join",
    "threads",
    'vote:{"rule": "fixed:width=4", "merge": "synthesis"}',
)
"""Methods for questions with one short answer."""

SEARCHING = (
    "auto",
    "aggregate",
    "spawn_join",
    "together",
    f"tree:verifier={VERIFIER}",
    f"tree:search=adaptive,verifier={VERIFIER}",
    f'vote:{{"rule": "fixed:width=8", "merge": "verifier", "verifier": "{VERIFIER}"}}',
)
"""Methods for puzzles whose answers can be verified."""

LISTS = ("skeleton", "template", "threads", "together")
PLANNERS: Mapping[str, Sequence[str]] = {
    "arithmetic": SHORT,
    "gsm8k": SHORT,
    "two_hop": ("auto", "decompose", "rounds", "aggregate", "together", "spawn_join"),
    "countdown": SEARCHING,
    "game24": SEARCHING,
    "templates": LISTS,
    "operations": LISTS,
    "documents": ("documents", "documents:combine=ensemble", "auto"),
}
"""What is asked on each set."""

REFINED = 'distil:{"widths": "1,1,1"}'
VOTES = ("vote:rule=fixed:width=3", "vote:rule=fixed:width=8")
CONTROLS = (*VOTES, REFINED)
"""Self-consistency as published, in which all branches end, and one chain that is refined twice."""


def oracle(asked: Sequence[Question]) -> Simulator:
    """An engine that answers each question rightly, in any call that has it, whatever the call is for."""
    return Simulator({each.question: f"The final answer is \\boxed{{{each.gold}}}." for each in asked})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.methods", description="Where each method pays, at equal cost."
    )
    add_options(parser, (), OUT)
    parser.set_defaults(planners=None)
    parser.add_argument(
        "--controls",
        nargs="*",
        metavar="P",
        default=list(CONTROLS),
        help="what the planners are compared with, beside direct (default %(default)s)",
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, help="by default all, GSM8K if its file is given")
    parser.add_argument("--gsm8k", type=Path, metavar="FILE", help="the test set of GSM8K")
    parser.add_argument("--questions", type=int, metavar="N", help="of each set (default 4, 12 with --full)")
    parser.add_argument("--seed", type=int, default=1, help="of the questions")
    parser.add_argument("--full", action="store_true", help="all of it, for two hours unless --minutes says")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the rows there, as JSON")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw each set there; needs the extra bench")
    given = parser.parse_args(arguments)
    count = FULL_QUESTIONS if given.full and given.questions is None else given.questions or 4
    if given.questions is not None and given.questions < 1:
        parser.error("--questions must be at least 1")
    if given.full and given.minutes is None:
        given.minutes = FULL_MINUTES
    sets = given.sets or [each for each in SETS if given.gsm8k or each in GENERATED]
    try:
        asked = questions(sets, count, given.seed, given.gsm8k)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    names = {name: list(dict.fromkeys(_names(name, given))) for name in sets}
    who = {name: contestants(parser, names[name]) for name in sets}
    keys = [{"engine": given.engine, "model": model, "seed": given.seed} for model in models(given)]
    by_id = {each.id: each for each in asked}
    seeds = {each.id: each.number for each in asked}

    def told(run: Mapping[str, Any]) -> str:
        question = by_id[run["question"]]
        right = question.is_right(run["answer"])
        return "right" if right else f"{run['answer']!r:.60} is not {question.gold:.60}"

    for name in sets:
        own = [each for each in asked if each.set == name]
        tools = [verifier_of(own)] if any(VERIFIER in each for each in names[name]) else []
        minutes = given.minutes and given.minutes / len(sets)
        engine = partial(oracle, own)
        ask_all(who[name], own, seeds, given, engine, keys, told, minutes=minutes, tools=tools)
    runs = [each for key in keys for each in stored(given.out, key)]
    order = list(dict.fromkeys(each.name for name in sets for each in who[name]))
    rows = rows_of(judged(runs, asked), order, [DIRECT, *given.controls])
    if given.results:
        given.results.write_text(json.dumps(_results(given, count, rows), indent=1) + "\n", encoding="utf-8")
    if given.plot:
        from benchmarks.methods_plot import plot

        plot(rows, [DIRECT, *given.controls], given.plot)
    if given.json:
        print(json.dumps({"questions": len(asked), "rows": list(map(asdict, rows))}))
    else:
        print(table(rows))
    return 0 if rows else 1


def _names(name: str, given: argparse.Namespace) -> list[str]:
    """Who is asked on a set. Whole lists cannot be voted on, so their only control is ``direct``."""
    controls = [] if name in ("templates", "operations") and given.planners is None else given.controls
    return [DIRECT, *(PLANNERS[name] if given.planners is None else given.planners), *controls]


def _results(given: argparse.Namespace, count: int, rows: Sequence[Row]) -> dict[str, Any]:
    """The rows, and all that they depend on."""
    known = {row.model: CATALOGUE[row.model].sha256 for row in rows if row.model in CATALOGUE}
    return {
        "questions": count,
        "seed": given.seed,
        "engine": given.engine,
        "models": known,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in ("anabranch", "xllamacpp", "treequest")},
        "rows": [asdict(row) for row in rows],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
