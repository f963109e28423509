"""``anabranch calibrate`` as a process."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.tasks.calibrations import SHIPPED
from tests.orchestrator.cli.test_commands import Done, anabranch, command, shell, started
from tests.real_model import SMALL

__all__ = ["anabranch"]

QUESTIONS = 24
MANY = 48
"""So many that enough votes of them are decided."""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulator that knows how many coins are in every second box."""
    answers: dict[str, Any] = {"": "ok", "slow": "word " * 100_000}
    for box in range(MANY):
        known = {f"\\boxed{{{box}}}": 1.0} if box % 2 else None
        guessed = {f"\\boxed{{{wrong}}}": 1.0 for wrong in range(77, 85)}  # four that agree are rare
        answers[f"box {box}?"] = known or guessed
    file = tmp_path_factory.mktemp("answers") / "answers.json"
    file.write_text(json.dumps(answers))
    given = ("--port", "0", "--decode-rate", "20", "--answers", str(file))
    with started(
        [sys.executable, "-m", "workers.engines.simulator", *given], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        yield url.group()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where calibrations of the user are kept, if the test does not say another place."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "anabranch" / "calibrations"


@pytest.fixture
def options(server: str, tmp_path: Path) -> tuple[str, ...]:
    asking = ("--planner", "vote", "--option", "n=4", "--option", "rule=fixed")
    return (*asking, "--engine", server, "--database", f"sqlite:///{tmp_path / 'traces.db'}")


def labels(tmp_path: Path, questions: int = QUESTIONS) -> Path:
    file = tmp_path / "boxes.jsonl"
    lines = [{"query": f"How many coins are in box {box}?", "answer": box} for box in range(questions)]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def test_it_is_fitted_kept_and_used(
    options: tuple[str, ...], tmp_path: Path, home: Path, anabranch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = ("--signal", "confidence")
    done = anabranch("calibrate", str(labels(tmp_path)), *options, "--risk", "0.4", *by)
    assert done.code == 0, done.err
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "vote on simulator"
    assert lines[1] == "24 questions, 50.0% right; left out: none"
    assert lines[-2].startswith("for at most 40.0% wrong, confidence must be at least ")
    kept = Path(lines[-1].removeprefix("written to "))
    assert kept.parent == home

    solve = ("solve", "How many coins are in box 3?", *options)
    assert re.search(
        r"; answers like this were right \d+ % of the time \(24 questions\)\n", anabranch(*solve).out
    )
    assert "by calibration on 24 questions · " in anabranch(*solve, "--verbose").out
    other = anabranch(*solve, "--option", "n=3", "-v")
    assert "not calibrated: boxes.jsonl was fitted for n 4, not 3" in other.out
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("ANABRANCH_CALIBRATION", str(kept))
    elsewhere = anabranch(*solve, "--json").json
    assert elsewhere["calibrated"]["evidence"] == "boxes.jsonl"
    assert elsewhere["calibrated"]["probability"] > 0.5


def test_stored_runs_are_calibrated(options: tuple[str, ...], tmp_path: Path, anabranch: Any) -> None:
    out = str(tmp_path / "calibration.json")
    by_answer = anabranch("calibrate", str(labels(tmp_path, MANY)), *options, "--out", out, "--json").json
    tasks = anabranch("traces", *options[-2:], "--tenant", "calibration", "--limit", "99", "--json").json
    verdicts = tmp_path / "verdicts.jsonl"
    right = [(task["id"], int(task["solution"]["answer"]) < 77) for task in tasks]
    verdicts.write_text("".join(f"{json.dumps({'trace_id': id, 'right': is_so})}\n" for id, is_so in right))
    told = anabranch("calibrate", str(verdicts), "--traces", *options[-2:], "--out", out, "--json")
    assert told.code == 0, told.err
    assert told.json["path"] == out
    assert told.json["name"] == "verdicts.jsonl"
    assert told.json["purpose"] == by_answer["purpose"]
    assert told.json["calibration"]["rows"] == by_answer["calibration"]["rows"]


def test_what_is_stated_is_checked_on_held_out_questions(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any
) -> None:
    file = tmp_path / "everyday.jsonl"
    lines = [
        {
            "id": f"box-{box}",
            "kind": "counting",
            "question": f"How many coins are in box {box}?",
            "answer": [box, str(box)],
            "half": "held" if box in (1, 3, 4, 5) else "dev",
        }
        for box in range(MANY)
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = anabranch("calibrate", str(file), *options, "--out", str(tmp_path / "out.json"))
    assert done.code == 0, done.err
    assert re.search(r"4 of 4 +95\.7% +21 of 21 +83\.9% to 100\.0%", done.out)
    assert re.search(r"95\.7% +3 of 3 +29\.2% to 100\.0% +within", done.out)
    assert "1 of 1 probabilities are within their interval on 3 held-out questions; on average " in done.out


def test_a_calibration_in_the_package_tells_a_first_run_how_sure_it_is(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any
) -> None:
    """Copy the package with a calibration in it, made by the documented command, and ask as a new user."""
    installed = tmp_path / "installed"
    shutil.copytree(ROOT / "orchestrator", installed / "orchestrator")
    shipped = installed / "orchestrator" / "tasks" / SHIPPED.name
    assert anabranch("calibrate", str(labels(tmp_path, MANY)), *options, "--out", str(shipped)).code == 0
    (file,) = shipped.glob("vote-simulator-*.json")
    assert file.stat().st_size < 20_000

    def asked(box: int, *more: str) -> Done:
        return shell(
            *("solve", f"How many coins are in box {box}?", *options, "--json", *more),
            cwd=installed,
            PYTHONPATH=f"{installed}:{ROOT}",
            XDG_DATA_HOME=str(tmp_path / "new"),
        )

    sure = asked(3)
    assert sure.json["calibrated"]["agreement"] == "4 of 4"
    assert (sure.json["calibrated"]["right"], sure.json["calibrated"]["alike"]) == (24, 24)
    unsure = asked(3, "--abstain-below", "0.99")
    assert (unsure.code, unsure.json["outcome"]) == (3, "abstained")
    assert unsure.json["undecided"].startswith(
        "answers like this were right in 24 of 24 questions, so about 96 % of the time; this one is "
    )
    assert unsure.json["answer"] == "3"
    assert asked(3, "--abstain-below", "0.9").code == 0
    refused = asked(3, "--abstain-below", "0.9", "--option", "n=5")
    assert refused.code == 2
    assert "no calibration is available; find out with `anabranch calibrate`" in refused.err


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        (signal.SIGINT, 130, "interrupted; run the same command again to continue\n"),
        (signal.SIGTERM, 143, "error [handed_back]: "),
    ],
)
def test_a_signal_leaves_what_was_done(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any, how: signal.Signals, code: int, says: str
) -> None:
    file = labels(tmp_path)
    with file.open("a") as lines:
        lines.write('{"query": "Something slow", "answer": "x"}\n')
    listing = ("traces", *options[-2:], "--limit", "99", "--json")
    with started(
        command("calibrate", str(file), *options, "--option", "max_tokens=100000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        listed: list[Any] = []
        while sum(task["status"] == "succeeded" for task in listed) < QUESTIONS:
            assert process.poll() is None
            time.sleep(0.2)
            listed = anabranch(*listing).json
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.startswith(says)
    (left,) = anabranch(*listing, "--status", "queued").json
    assert left["question"]["query"] == "Something slow"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--traces", "--planner", "vote"), "--traces answers no questions"),
        (("--traces",), "line 1: trace_id: Field required"),
        (("--signal", "mood"), "--signal"),
        (("--risk", "2"), "--risk"),
        (("--planner", "vot"), "did you mean vote?"),
        (("--planner", "direct", "--signal", "entropy"), "there are 0, 0 right and 0 wrong; left out: 24 "),
    ],
)
def test_what_cannot_be_fitted_is_told(
    server: str, tmp_path: Path, anabranch: Any, arguments: tuple[str, ...], says: str
) -> None:
    told = anabranch(
        "calibrate", str(labels(tmp_path)), *arguments, "--engine", server, "--database", "memory"
    )
    assert told.code == 2
    assert says in told.err
    assert "Traceback" not in told.err


@pytest.mark.engine
@pytest.mark.timeout(1800)
def test_the_embedded_engine_is_calibrated(tmp_path: Path) -> None:
    """Sums that a small model knows; every second label is wrong, so that about half of the answers are.

    There are more than a calibration needs, and the branches are nearly greedy: now and then those of one do
    not agree.
    """
    file = tmp_path / "sums.jsonl"
    sums = [{"query": f"What is {a} + {a + 1}?", "answer": a + a + 1 + a % 2} for a in range(1, 33)]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in sums))
    kept = tmp_path / "calibration.json"
    voting = ("--planner", "vote", "-o", "n=3", "-o", "rule=fixed", "-o", "temperature=0.2")
    asking = ("--model", SMALL, *voting, "--max-tokens", "120")
    options = (*asking, "--database", f"sqlite:///{tmp_path / 'real.db'}")
    done = shell("calibrate", str(file), *options, "--out", str(kept), "--json")
    assert done.code == 0, done.err
    assert 0.2 < done.json["calibration"]["accuracy"] < 0.6
    solved = shell("solve", "What is 4 + 5?", *options, "--json", ANABRANCH_CALIBRATION=str(kept))
    assert solved.json["answer"] == "9"
    assert 0.2 < solved.json["calibrated"]["probability"] < 0.7
    assert solved.json["calibrated"]["within_risk"] is False
    assert 20 <= solved.json["calibrated"]["questions"] <= 32
