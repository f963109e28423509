"""The command ``calibrate``: labelled questions or traces in, a calibration with its evidence out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer
from rich.progress import Progress

from orchestrator.cli.ending import INTERRUPTED, run_here
from orchestrator.cli.printing import output
from orchestrator.cli.reporting import print_evidence
from orchestrator.cli.saying import dump, say, tell
from orchestrator.cli.solving import Inputs, handing_back, opened
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.ticking import Announcer
from orchestrator.opening import opened_store
from orchestrator.settings import Settings
from orchestrator.tasks.calibrating import Labelled, Wanted, fit, solve_all
from orchestrator.tasks.calibrations import place
from orchestrator.tasks.evidence import Evidence
from orchestrator.tasks.labels import LabelledQuestion, LabelledTrace, read_labels


def calibrate_questions(
    file: Path,
    inputs: Inputs,
    settings: Settings,
    wanted: Wanted,
    *,
    at_once: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer labelled questions, fit a calibration to the answers, write it, and print the report.

    Questions that were answered before, by the same model in the same way, are not answered again.

    Raises:
        InvalidRequest: a label or an option is wrong, or too few answers are right or wrong.
        Unavailable: the engine or the database cannot be used.
        HandedBack: a SIGTERM came; the questions are in the queue, and the same command continues from there.
    """
    questions = read_labels(file, LabelledQuestion)
    requests = [inputs.asking(each.asked) for each in questions]
    toolbox = inputs.toolbox(settings)
    console = Terminal(stderr=True)

    async def run() -> Evidence:
        with Progress(console=console, disable=quiet or not console.is_terminal) as progress:
            bar = progress.add_task("questions", total=len(questions))
            # What is calibrated needs no calibration, and the place of the first one may not exist yet.
            plain = settings.model_copy(update={"calibration": None, "abstain_below": None})
            async with opened(plain, toolbox, Announcer()) as service, handing_back(service):
                tasks = await solve_all(service, requests, at_once, lambda: progress.advance(bar))
                labelled = [
                    Labelled(task, each.answer, each.half)
                    for task, each in zip(tasks, questions, strict=True)
                ]
                return await fit(service.store, labelled, file.name, wanted)

    try:
        _report(run_here(run()), wanted, settings, as_json=as_json)
    except KeyboardInterrupt:
        tell("interrupted; run the same command again to continue")
        raise typer.Exit(INTERRUPTED) from None


def calibrate_traces(file: Path, settings: Settings, wanted: Wanted, *, as_json: bool) -> None:
    """Fit a calibration to stored runs with labels, write it, and print the report.

    Raises:
        InvalidRequest: a label is wrong, a run has not ended, the runs are of different kinds, or too few
            answers are right or wrong.
        TaskNotFound: a trace is not stored.
    """
    traces = read_labels(file, LabelledTrace)

    async def run() -> Evidence:
        async with opened_store(settings) as store:
            labelled = [Labelled(await store.get(each.trace_id), each.verdict, each.half) for each in traces]
            return await fit(store, labelled, file.name, wanted)

    _report(asyncio.run(run()), wanted, settings, as_json=as_json)


def _report(evidence: Evidence, wanted: Wanted, settings: Settings, *, as_json: bool) -> None:
    """Write the calibration where it is wanted, and print what it says."""
    path = place(evidence, wanted.out or settings.calibration)
    evidence.save(path)
    if as_json:
        dump({"path": str(path), **evidence.model_dump(mode="json")})
    else:
        print_evidence(output(), evidence)
        say(f"written to {path}")
