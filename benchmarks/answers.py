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
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anabranch import Client
from benchmarks.answers_table import Judged, changes, comparison, judged, rows_of, table
from benchmarks.costs import in_general
from benchmarks.everyday import KINDS, Question, chosen, load
from benchmarks.grading import Verdict, grade
from benchmarks.runs import append, find, stored
from benchmarks.statements import same
from orchestrator.consensus.extraction import extract_claim
from orchestrator.errors import AnabranchError, TaskFailed
from orchestrator.planning.planner import Planner
from storage.trace import Trace
from workers.engine import Engine
from workers.engines.simulator.engine import Simulator
from workers.models.catalogue import CATALOGUE

OUT = Path("answers.jsonl")
PLANNERS = ("direct", "vote", "auto")
_SLOT = re.compile(r"<(\w+)>\n.*?\n</\1>", re.DOTALL)
_EXAMPLE = re.compile(
    r"\\boxed\{(?P<box>[^{}]+)\}|\banswer(?:\s+is)?\s*:\s*(?P<marked>[^\s\"'].*?)(?=[.\n]|$)"
    r"|\"(?P<quoted>[^\"\n]{1,40})\"|`(?P<code>[^`\n]{1,40})`",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A planner with its options, under the name it was given by."""

    name: str
    planner: Planner
    options: Mapping[str, Any]


def contestant(given: str) -> Contestant | None:
    """The planner of a name such as ``vote``, ``vote:n=3,temperature=0.5`` or ``vote:{"n": 3}``.

    None if there is no such planner; why goes to standard error.

    Raises:
        ValueError: the options are not written like that, or the planner does not have them.
    """
    name, _, written = given.partition(":")
    planner = find(name)
    if planner is None:
        return None
    try:
        if written.startswith("{"):
            options = json.loads(written)
        else:
            pairs = [each.partition("=") for each in written.split(",") if each]
            if bad := next((key for key, sign, _ in pairs if not sign), None):
                raise ValueError(f"{bad!r} has no value; options are written like n=3,temperature=0.5")
            options = {key: _value(value) for key, _, value in pairs}
        planner.arguments(options)
    except (ValueError, AnabranchError) as error:
        raise ValueError(f"{given}: {error}") from None
    return Contestant(given, planner, options)


def _value(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        return written


def ask(client: Client, who: Contestant, question: Question, seed: int) -> dict[str, Any]:
    """One run: what it was asked, what it answered, and what it cost."""
    began = time.monotonic()
    said: dict[str, Any]
    try:
        solution = client.solve(
            question.question,
            context=question.context,
            choices=question.choices,
            planner=who.planner,
            options=who.options,
            seed=seed,
            budget={"seconds": None},
        )
        seconds = time.monotonic() - began
        trace_id: str | None = solution.trace_id
        said = {
            "answer": solution.answer,
            "said": solution.text,
            "outcome": str(solution.outcome),
            "undecided": solution.undecided,
            "confidence": solution.confidence,
            "probability": solution.calibrated.probability if solution.calibrated else None,
            "calls": solution.usage.calls,
            "prompt": solution.usage.prompt,
            "completion": solution.usage.completion,
            "echoes": echoes(client.trace(solution.trace_id)),
        }
    except AnabranchError as error:
        seconds = time.monotonic() - began
        trace_id = error.task_id if isinstance(error, TaskFailed) else None
        said = {"answer": None, "outcome": "failed", "error": in_general(str(error))}
    return {
        "planner": who.name,
        "question": question.id,
        "text": question.question,
        **said,
        "seconds": round(seconds, 3),
        "trace": trace_id,
    }


def echoes(trace: Trace) -> int:
    """How many calls of a run claim what their instructions give as an example.

    What stands in the slots of a prompt is given, such as the question, and is no instruction.
    """
    count = 0
    for node in trace.walk():
        if node.kind != "generate" or not isinstance(node.value, dict):
            continue
        prompt = "\n".join(text for _, text, *_ in (node.request or {}).get("prompt", ()))
        found = _EXAMPLE.finditer(_SLOT.sub(" ", prompt))
        examples = {next(filter(None, each.groups())) for each in found}
        claim = extract_claim(str(node.value.get("text", "")))
        count += claim is not None and any(same(claim.text, each) for each in examples)
    return count


def run(
    engine: Engine | str,
    model: str | None,
    contestants: Sequence[Contestant],
    questions: Sequence[Question],
    given: argparse.Namespace,
    until: float,
) -> Iterator[dict[str, Any]]:
    """The runs of a model that the file lacks, until a time of the monotonic clock."""
    key = {"engine": given.engine, "model": model}
    done = {(each["planner"], each["question"], each["text"]) for each in stored(given.out, key)}
    seeds = {each.id: at for at, each in enumerate(load(), start=1)}
    with Client(engine=engine, model=model, database=given.database) as client:
        if isinstance(engine, str):  # loading its model is not answering
            client.solve("Say yes.", planner="direct", options={"max_tokens": 1})
        for at, question in enumerate(questions):
            first = at % len(contestants)
            for who in (*contestants[first:], *contestants[:first]):
                if (who.name, question.id, question.question) in done:
                    continue
                if time.monotonic() > until:
                    print("  the time is over; the same command goes on from here", file=sys.stderr)
                    return
                result = {**key, **ask(client, who, question, seeds[question.id])}
                append(given.out, result)
                yield result


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
    """Write what ``anabranch calibrate --traces`` reads of the runs in the file; 1 if there are none."""
    key = {"engine": given.engine, "model": model, "planner": who.name}
    by_id: dict[str, Judged] = {}
    for some in judged(stored(given.out, key), questions).values():
        by_id |= some
    lines = [
        {"trace_id": each.run["trace"], "right": each.right, "half": each.question.half, "id": at}
        for at, each in by_id.items()
        if each.run["trace"] is not None
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
    parser.add_argument("--engine", default="embedded", help="embedded, URLs, or simulator: it knows all")
    parser.add_argument("--models", nargs="+", metavar="M", help="by default all of the catalogue")
    parser.add_argument(
        "--planners",
        nargs="+",
        metavar="P",
        default=list(PLANNERS),
        help='also with options: vote:n=3,temperature=0.5 or vote:{"n": 3} (default %(default)s)',
    )
    parser.add_argument("--half", choices=("dev", "held", "all"), default="all", help="of the questions")
    parser.add_argument("--questions", type=int, metavar="N", help="by default all")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[], metavar="K", help="by default all")
    parser.add_argument("--minutes", type=float, help="begin no run after so long; default: no limit")
    parser.add_argument("--out", type=Path, default=OUT, help="runs, a line each (default %(default)s)")
    parser.add_argument("--database", default="memory", help="where the traces are kept")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="two such files")
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="ask nothing; write which runs of --out were right"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args(arguments)
    if given.questions is not None and given.questions < 1:
        parser.error("--questions must be at least 1")
    questions = chosen(load(), half=given.half, kinds=given.kinds, most=given.questions)
    if given.compare:
        if missing := [str(path) for path in given.compare if not path.exists()]:
            parser.error(f"--compare: there is no file {', '.join(missing)}")
        made = changes(*(judged(stored(path, {}), questions) for path in given.compare))
        print(json.dumps({"changes": list(map(asdict, made))}) if given.json else comparison(made))
        return 0 if made else 1
    try:
        contestants = [each for each in map(contestant, given.planners) if each is not None]
    except ValueError as error:
        parser.error(str(error))
    if not contestants:
        parser.error("there is none of these planners")
    models = given.models or (list(CATALOGUE) if given.engine == "embedded" else [None])
    if given.verdicts:
        if len(models) != 1 or len(contestants) != 1:
            parser.error("--verdicts: a calibration is for one model and one planner; name them")
        return write_verdicts(models[0], contestants[0], questions, given)
    _ask_all(models, contestants, questions, given)
    runs = [each for model in models for each in stored(given.out, {"engine": given.engine, "model": model})]
    names = [each.name for each in contestants]
    rows = sorted(
        rows_of(judged([each for each in runs if each["planner"] in names], questions)),
        key=lambda row: names.index(row.planner),
    )
    rows.sort(key=lambda row: [each or given.engine for each in models].index(row.model))
    if given.json:
        print(json.dumps({"questions": len(questions), "rows": list(map(asdict, rows))}))
    else:
        print(table(rows))
    return 0 if rows else 1


def _ask_all(
    models: Sequence[str | None],
    contestants: Sequence[Contestant],
    questions: Sequence[Question],
    given: argparse.Namespace,
) -> None:
    """Ask each model, in an equal share of what is left of the time."""
    end = time.monotonic() + 60 * given.minutes if given.minutes else float("inf")
    by_id = {each.id: each for each in questions}
    for at, model in enumerate(models):
        engine = oracle(questions) if given.engine == "simulator" else given.engine
        now = time.monotonic()
        until = now + (end - now) / (len(models) - at)
        for each in run(engine, model, contestants, questions, given, until):
            question = by_id[each["question"]]
            verdict = grade(question, each["answer"], each["outcome"])
            told = (
                verdict
                if verdict is not Verdict.WRONG
                else f"{each['answer']!r:.60} is not {question.gold:.60}"
            )
            who = f"{model or given.engine} {each['planner']}"
            print(f"  {question.id}, {who}, {each['seconds']:.1f} s: {told}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
