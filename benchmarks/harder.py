"""Harder questions: whether parallel reasoning is right more often than a vote that may write as much.

    python -m benchmarks.harder --models qwen2.5-coder-1.5b --gsm8k test.jsonl [--questions N] [--minutes M]
    python -m benchmarks.harder --sets countdown --planners auto --controls vote:n=3 vote:n=5 vote:n=9

The sets are those of :mod:`benchmarks.harder_sets`: GSM8K from a file of yours (where to find it is told by
:mod:`benchmarks.record_gsm8k`), look-ups in given paragraphs of which one leads to the next, and Countdown.
The short answer is judged, exactly. Beside the planners the ``--controls`` are asked: plain votes, by
default of two widths. The columns of the table, and how it compares planners with votes at equal tokens, are
told by :mod:`benchmarks.harder_table`.

Sets and kinds take turns, all planners answer one question before the next is asked, and who begins rotates,
so what is cut short is balanced. Each model gets an equal share of ``--minutes``.

Each run is appended to ``--out`` as it ends. The same command continues after whatever ended it, and with
more ``--questions`` it asks those that are new; the table is of all that the file has for the questions at
hand, judged anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.asking import add_options, ask_all, contestants, models
from benchmarks.harder_sets import GENERATED, SETS, Question, questions
from benchmarks.harder_table import DIRECT, judged, rows_of, table
from benchmarks.runs import stored
from workers.engines.simulator.engine import Simulator

OUT = Path("harder.jsonl")
PLANNERS = (DIRECT, "vote", "adaptive", "auto")
CONTROLS = ("vote:rule=fixed:width=3", "vote:rule=fixed:width=8")
"""Self-consistency as published: all branches end, and the most frequent answer wins."""


def oracle(asked: Sequence[Question]) -> Simulator:
    """An engine that answers each question rightly, in any call that has it, whatever the call is for."""
    return Simulator({each.question: f"The final answer is \\boxed{{{each.gold}}}." for each in asked})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harder", description="Planners on harder questions, at equal tokens."
    )
    add_options(parser, PLANNERS, OUT)
    parser.add_argument(
        "--controls",
        nargs="*",
        metavar="P",
        default=list(CONTROLS),
        help="votes that the planners are compared with, and direct (default %(default)s)",
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, help="by default all, GSM8K if its file is given")
    parser.add_argument("--gsm8k", type=Path, metavar="FILE", help="the test set of GSM8K")
    parser.add_argument("--questions", type=int, default=60, metavar="N", help="of each set (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the questions")
    given = parser.parse_args(arguments)
    if given.questions < 1:
        parser.error("--questions must be at least 1")
    sets = given.sets or [each for each in SETS if given.gsm8k or each in GENERATED]
    try:
        asked = questions(sets, given.questions, given.seed, given.gsm8k)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    who = contestants(parser, list(dict.fromkeys([*given.planners, *given.controls])))
    keys = [{"engine": given.engine, "model": model, "seed": given.seed} for model in models(given)]
    by_id = {each.id: each for each in asked}

    def told(run: Mapping[str, Any]) -> str:
        question = by_id[run["question"]]
        right = question.is_right(run["answer"])
        return "right" if right else f"{run['answer']!r:.60} is not {question.gold:.60}"

    seeds = {each.id: each.number for each in asked}
    ask_all(who, asked, seeds, given, lambda: oracle(asked), keys, told)
    runs = [each for key in keys for each in stored(given.out, key)]
    rows = rows_of(judged(runs, asked), [each.name for each in who], [DIRECT, *given.controls])
    if given.json:
        print(json.dumps({"questions": len(asked), "rows": list(map(asdict, rows))}))
    else:
        print(table(rows))
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
