"""Everyday questions of our own: how often each model and planner is right, and what that takes.

    python -m benchmarks.answers [--models M …] [--planners direct vote:n=3 …] [--half dev] [--minutes M]
    python -m benchmarks.answers --compare before.jsonl after.jsonl
    python -m benchmarks.answers --models M --planners P --verdicts everyday.jsonl

The questions are those of :mod:`benchmarks.everyday`, and answers are judged by :mod:`benchmarks.grading`:
what is judged is the short answer, which a person is shown first. The columns of the table are those of
:mod:`benchmarks.answers_table`.

Questions of all kinds take turns, all planners answer one before the next is asked, and who begins rotates,
so what is cut short is balanced. Each model gets an equal share of ``--minutes``.

Each run is appended to ``--out`` as it ends. The same command continues after whatever ended it; the table is
of all that the file has for the questions at hand, judged anew. ``--verdicts`` writes which of them were
right, for ``anabranch calibrate --traces``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.answers_table import Judged, changes, comparison, judged, rows_of, table
from benchmarks.asking import Contestant, add_options, ask_all, contestants, models
from benchmarks.everyday import KINDS, Question, chosen, load
from benchmarks.grading import Verdict, grade
from benchmarks.runs import stored
from workers.engines.simulator.engine import Simulator

OUT = Path("answers.jsonl")
PLANNERS = ("direct", "vote", "auto")


def oracle(questions: Sequence[Question]) -> Simulator:
    """An engine that answers each question rightly, in any call that has it, whatever the call is for."""
    return Simulator({each.question: _told(each) for each in questions})


def _told(question: Question) -> str:
    if question.kind == "code":
        return f"```python\n{question.gold}\n```"
    return (
        question.gold
        if question.kind == "unanswerable"
        else f"The final answer is \\boxed{{{question.gold}}}."
    )


def write_verdicts(
    model: str | None, who: Contestant, questions: Sequence[Question], given: argparse.Namespace
) -> int:
    """Write what ``anabranch calibrate --traces`` reads of the runs in the file; 1 if there are none.

    Every other question is to be fitted to, the rest to check that. What prompts were developed on is no
    sample of anything, so by default these are questions of the half ``held`` only.
    """
    key = {"engine": given.engine, "model": model, "planner": who.name}
    by_id: dict[str, Judged] = {}
    for some in judged(stored(given.out, key), questions).values():
        by_id |= some
    lines = [
        {
            "trace_id": each.run["trace"],
            "right": each.right,
            "half": "held" if number % 2 else "dev",
            "id": each.question.id,
        }
        for number, each in enumerate(by_id[at] for at in sorted(by_id) if by_id[at].run["trace"] is not None)
    ]
    given.verdicts.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    right, lost = sum(bool(line["right"]) for line in lines), len(by_id) - len(lines)
    print(f"{len(lines)} runs in {given.verdicts}, {right} right; {lost} have no trace", file=sys.stderr)
    return 0 if lines else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.answers", description="Models and planners on everyday questions."
    )
    add_options(parser, PLANNERS, OUT)
    parser.add_argument(
        "--half", choices=("dev", "held", "all"), help="of the questions (default all; for --verdicts held)"
    )
    parser.add_argument("--questions", type=int, metavar="N", help="by default all")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[], metavar="K", help="by default all")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="two such files")
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="ask nothing; write which runs of --out were right"
    )
    given = parser.parse_args(arguments)
    if given.questions is not None and given.questions < 1:
        parser.error("--questions must be at least 1")
    questions = chosen(
        load(),
        half=given.half or ("held" if given.verdicts else "all"),
        kinds=given.kinds,
        most=given.questions,
    )
    if given.compare:
        if missing := [str(path) for path in given.compare if not path.exists()]:
            parser.error(f"--compare: there is no file {', '.join(missing)}")
        made = changes(*(judged(stored(path, {}), questions) for path in given.compare))
        print(json.dumps({"changes": list(map(asdict, made))}) if given.json else comparison(made))
        return 0 if made else 1
    who = contestants(parser, given.planners)
    if given.verdicts:
        if len(models(given)) != 1 or len(who) != 1:
            parser.error("--verdicts: a calibration is for one model and one planner; name them")
        return write_verdicts(models(given)[0], who[0], questions, given)
    keys = [{"engine": given.engine, "model": model} for model in models(given)]
    seeds = {each.id: at for at, each in enumerate(load(), start=1)}
    ask_all(who, questions, seeds, given, lambda: oracle(questions), keys, _telling(questions))
    runs = [each for key in keys for each in stored(given.out, key)]
    names = [each.name for each in who]
    rows = sorted(
        rows_of(judged([each for each in runs if each["planner"] in names], questions)),
        key=lambda row: names.index(row.planner),
    )
    rows.sort(key=lambda row: [each["model"] or given.engine for each in keys].index(row.model))
    if given.json:
        print(json.dumps({"questions": len(questions), "rows": list(map(asdict, rows))}))
    else:
        print(table(rows))
    return 0 if rows else 1


def _telling(questions: Sequence[Question]) -> Callable[[Mapping[str, Any]], str]:
    """What is told of a run on these questions: its verdict, and of a wrong answer what would be right."""
    by_id = {each.id: each for each in questions}

    def told(run: Mapping[str, Any]) -> str:
        question = by_id[run["question"]]
        verdict = grade(question, run["answer"], run["outcome"])
        wrong = verdict is Verdict.WRONG
        return f"{run['answer']!r:.60} is not {question.gold:.60}" if wrong else verdict

    return told


if __name__ == "__main__":
    sys.exit(main())
