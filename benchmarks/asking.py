"""Asking models and planners labelled questions for hours: the contestants, each run, and the options.

All planners answer one question before the next is asked, and who begins rotates, so what is cut short is
balanced. Each run is a line of a file as it ends; what the file has is not asked again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anabranch import Client
from benchmarks.costs import costs_of, in_general, unknown_prompt
from benchmarks.runs import append, find, stored
from benchmarks.statements import same
from orchestrator.consensus.extraction import extract_claim
from orchestrator.errors import AnabranchError, TaskFailed
from orchestrator.planning.planner import Planner
from storage.trace import Trace
from workers.engine import Engine
from workers.models.catalogue import CATALOGUE
from workers.tools.tool import Tool

DECISIONS = 12
"""What is kept of what a planner decided: the first so many."""

_SLOT = re.compile(r"<(\w+)>\n.*?\n</\1>", re.DOTALL)
_EXAMPLE = re.compile(
    r"\\boxed\{(?P<box>[^{}]+)\}|\banswer(?:\s+is)?\s*:\s*(?P<marked>[^\s\"'].*?)(?=[.\n]|$)"
    r"|\"(?P<quoted>[^\"\n]{1,40})\"|`(?P<code>[^`\n]{1,40})`",
    re.IGNORECASE,
)


class Asked(Protocol):
    """What of a question is put to a planner, and the id by which a file has it."""

    @property
    def id(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def context(self) -> str: ...

    @property
    def choices(self) -> tuple[str, ...]: ...


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


def ask(client: Client, who: Contestant, question: Asked, seed: int) -> dict[str, Any]:
    """One run: what it was asked, what it answered, and what it cost; what failed has cost as well.

    ``prompt`` leaves out the prompts of cancelled calls, which ``unknown_prompt`` estimates.
    """
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
        }
    except AnabranchError as error:
        seconds = time.monotonic() - began
        trace_id = error.task_id if isinstance(error, TaskFailed) else None
        said = {"answer": None, "outcome": "failed", "error": in_general(str(error))}
    if trace_id is not None:
        trace = client.trace(trace_id)
        costs = costs_of(trace)
        columns = ("calls", "prompt", "completion", "computed", "critical", "longest")
        spent = {name: getattr(costs, name) for name in columns}
        spent["decisions"] = costs.decisions[:DECISIONS]
        said = {**spent, **said, "unknown_prompt": unknown_prompt(trace), "echoes": echoes(trace)}
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
    contestants: Sequence[Contestant],
    questions: Sequence[Asked],
    seeds: Mapping[str, int],
    given: argparse.Namespace,
    key: Mapping[str, Any],
    until: float,
    tools: Sequence[Tool] = (),
) -> Iterator[dict[str, Any]]:
    """The runs of this key (engine, model, …) that the file lacks, until a time of the monotonic clock.

    ``seeds`` has the seed of each question by its id, ``tools`` are offered to all runs.
    """
    done = {(each["planner"], each["question"], each["text"]) for each in stored(given.out, key)}
    with Client(engine=engine, model=key["model"], database=given.database, tools=tools) as client:
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


def ask_all(
    contestants: Sequence[Contestant],
    questions: Sequence[Asked],
    seeds: Mapping[str, int],
    given: argparse.Namespace,
    oracle: Callable[[], Engine],
    keys: Sequence[Mapping[str, Any]],
    told: Callable[[Mapping[str, Any]], str],
    *,
    minutes: float | None = None,
    tools: Sequence[Tool] = (),
) -> None:
    """Make the runs that the file lacks, each key's in an equal share of what is left of the time.

    Each run is told on standard error, with what ``told`` says of it. ``oracle`` makes the engine of
    ``--engine simulator``. ``minutes`` stand in place of those of the command.
    """
    minutes = minutes or given.minutes
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    for at, key in enumerate(keys):
        engine = oracle() if given.engine == "simulator" else given.engine
        now = time.monotonic()
        until = now + (end - now) / (len(keys) - at)
        for each in run(engine, contestants, questions, seeds, given, key, until, tools):
            who = f"{key['model'] or given.engine} {each['planner']}"
            print(f"  {each['question']}, {who}, {each['seconds']:.1f} s: {told(each)}", file=sys.stderr)


def add_options(parser: argparse.ArgumentParser, planners: Sequence[str], out: Path) -> None:
    """The options that say who is asked, for how long, and where the runs are kept."""
    parser.add_argument("--engine", default="embedded", help="embedded, URLs, or simulator: it knows all")
    parser.add_argument("--models", nargs="+", metavar="M", help="by default all of the catalogue")
    parser.add_argument(
        "--planners",
        nargs="+",
        metavar="P",
        default=list(planners),
        help='also with options: vote:n=3,temperature=0.5 or vote:{"n": 3} (default %(default)s)',
    )
    parser.add_argument("--minutes", type=float, help="begin no run after so long; default: no limit")
    parser.add_argument("--out", type=Path, default=out, help="runs, a line each (default %(default)s)")
    parser.add_argument("--database", default="memory", help="where the traces are kept")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def models(given: argparse.Namespace) -> list[str | None]:
    """The models that are asked; the one that an engine has where none is named."""
    return given.models or (list(CATALOGUE) if given.engine == "embedded" else [None])


def contestants(parser: argparse.ArgumentParser, names: Sequence[str]) -> list[Contestant]:
    """The planners of these names; ends the command if there are none, or one is written wrongly."""
    try:
        found = [each for each in map(contestant, names) if each is not None]
    except ValueError as error:
        parser.error(str(error))
    if not found:
        parser.error("there is none of these planners")
    return found
