"""An oracle is right, a run that was interrupted goes on, and the tables tell what was gained and lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anabranch import Answer, Client, Run, planner, user
from anabranch import Question as Asked
from benchmarks import answers
from benchmarks.answers_table import changes, comparison, judged, rows_of, table
from benchmarks.asking import contestant, echoes
from benchmarks.everyday import Question, load
from orchestrator.cli.calibrating import calibrate_traces
from orchestrator.settings import Settings
from orchestrator.tasks.calibrating import Wanted
from orchestrator.tasks.labels import LabelledTrace, read_labels
from workers.engines.simulator.engine import Simulator

QUESTIONS = load()


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    assert answers.main(["--engine", "simulator", "--json", *arguments]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.err


def test_what_was_interrupted_goes_on_and_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.jsonl"
    command = ("--out", str(file), "--planners", "direct", "vote:n=2", "--kinds", "fact", "unanswerable")
    report, said = measured(capsys, *command, "--questions", "2")
    assert said.count(": right") == 4
    report, said = measured(capsys, *command, "--questions", "3")
    assert said.count(": right") == 2
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(each["question"], each["planner"]) for each in lines] == [
        ("fact-1", "direct"), ("fact-1", "vote:n=2"),
        ("unanswerable-1", "vote:n=2"), ("unanswerable-1", "direct"),  # who begins rotates
        ("fact-2", "direct"), ("fact-2", "vote:n=2"),
    ]  # fmt: skip
    direct, vote = report["rows"]
    assert (direct["answerable"], direct["right"], direct["unanswerable"], direct["told"]) == (2, 2, 1, 1)
    assert (vote["planner"], vote["calls"], vote["over_direct"]) == ("vote:n=2", 2, [0, [0, 0]])
    assert direct["kinds"] == {"fact": [2, 2], "unanswerable": [1, 1]}


def test_the_oracle_is_right_on_every_kind_with_a_short_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "answers.jsonl"), "--planners", "direct")
    report, _ = measured(capsys, *out, "--half", "dev", "--questions", "34")
    (row,) = report["rows"]
    assert {kind for kind, (right, of) in row["kinds"].items() if right < of} <= {"code"}
    assert row["right"] + row["only_in_text"] == row["answerable"]


def test_what_runs_came_to_makes_a_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, verdicts, kept = (tmp_path / name for name in ("runs.jsonl", "everyday.jsonl", "kept.json"))
    database = f"sqlite:///{tmp_path / 'runs.db'}"
    asked = (
        "--planners",
        "auto",
        "--kinds",
        "fact",
        "choice",
        "code",
        "--questions",
        "44",
        "--out",
        str(out),
    )
    measured(capsys, *asked, "--database", database)
    runs = [json.loads(line) for line in out.read_text().splitlines()]
    runs[0]["answer"] = "nobody"
    runs[1]["trace"] = None
    out.write_text("".join(f"{json.dumps(each)}\n" for each in runs))
    assert answers.main(["--engine", "simulator", *asked, "--half", "all", "--verdicts", str(verdicts)]) == 0
    assert f"43 runs in {verdicts}, 42 right; 1 have no trace" in capsys.readouterr().err
    lines = read_labels(verdicts, LabelledTrace)
    traced = sorted((each["question"], each["trace"]) for each in runs if each["trace"])
    assert [(each.id, each.trace_id) for each in lines] == traced
    assert [each.half for each in lines[:3]] == ["dev", "held", "dev"]
    assert [each.id for each in lines if not each.right] == [runs[0]["question"]]

    calibrate_traces(verdicts, Settings(database=database), Wanted("agreement", 0.1, kept), as_json=True)
    monkeypatch.setenv("ANABRANCH_CALIBRATION", str(kept))
    with Client(engine=answers.oracle(QUESTIONS), database="memory") as client:
        told = {kind: client.solve(_first(kind).question).calibrated for kind in ("fact", "code")}
    assert told["code"] is not None
    assert told["fact"] is not None
    assert told["code"].agreement == "alone, direct"
    assert str(told["fact"].agreement).endswith(", adaptive")
    assert told["fact"].probability < 1
    assert told["fact"].interval is not None


def _first(kind: str) -> Question:
    return next(each for each in QUESTIONS if each.kind == kind)


def test_options_of_planners() -> None:
    some = contestant("vote:n=3,temperature=0.5")
    assert some is not None
    assert some.options == {"n": 3, "temperature": 0.5}
    other = contestant('vote:{"rule": "beta:0.99,width=16"}')
    assert other is not None
    assert other.options == {"rule": "beta:0.99,width=16"}
    assert contestant("oracle") is None
    for wrong, said in {
        "vote:m=3": "m",
        "vote:n": "'n' has no value",
        "vote:n=0": "n",
        "vote:{": "double quotes",
    }.items():
        with pytest.raises(ValueError, match=f"^{wrong}: .*{said}"):
            contestant(wrong)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--planners", "vote:m=3"], "vote:m=3"),
        (["--planners", "oracle"], "none of these planners"),
        (["--questions", "0"], "at least 1"),
        (["--verdicts", "verdicts.jsonl"], "one model and one planner; name them"),
        (["--compare", "missing.jsonl", "gone.jsonl"], "no file missing.jsonl, gone.jsonl"),
    ],
)
def test_bad_arguments_are_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        answers.main(["--engine", "simulator", "--out", str(tmp_path / "answers.jsonl"), *arguments])
    assert said in capsys.readouterr().err


def run_of(name: str, at: str, answer: str | None, **more: Any) -> dict[str, Any]:
    question = next(each for each in QUESTIONS if each.id == at)
    return {
        "engine": "embedded", "model": "small", "planner": name, "question": at, "text": question.question,
        "answer": answer, "said": answer, "outcome": "answered", "probability": None, "calls": 2,
        "prompt": 100, "completion": 40, "echoes": 0, "seconds": 1.0, **more,
    }  # fmt: skip


def test_the_table_counts_what_is_right_sure_and_only_in_the_text() -> None:
    runs = [
        run_of("direct", "fact-1", "Canberra"),
        run_of("direct", "fact-2", "Marlowe", seconds=4.0),
        run_of("vote", "fact-1", "Sydney", probability=0.95, echoes=2),
        run_of("vote", "fact-2", "Shakespeare", probability=0.9),
        run_of("vote", "fact-3", "wolf", said="The answer is Au, as in aurum."),
        run_of("vote", "fact-4", None, outcome="failed", error="no engine"),
        run_of("vote", "fact-5", "Jupiter", outcome="undecided"),
        run_of("vote", "unanswerable-1", "It cannot be known."),
        {**run_of("vote", "fact-6", "4"), "text": "asked in other words once"},
    ]
    direct, vote = rows_of(judged(runs, QUESTIONS))
    assert (direct.right, direct.answerable, direct.seconds, direct.median) == (1, 2, 2.5, 2.5)
    assert (vote.right, vote.wrong, vote.abstained, vote.failed) == (1, 2, 1, 1)
    assert (vote.unanswerable, vote.told, vote.only_in_text, vote.echoes) == (1, 1, 1, 2)
    assert (vote.sure, vote.sure_right) == (2, 1)
    assert vote.over_direct is not None
    assert vote.over_direct[0] == 0  # one lost, one gained
    shown = table([direct, vote])
    assert "| small | vote | 20 [4, 62] | 1 of 5 | 2 | 1 (1) | 1 | 1 of 1 | 1 | 1 of 2 | 2 |" in shown
    assert "| fact | 1 of 2 | 1 of 5 |" in shown


def test_two_files_are_compared_on_the_questions_that_both_have() -> None:
    before = [run_of("direct", "fact-1", "Sydney"), run_of("direct", "fact-2", "Shakespeare")]
    before += [run_of("direct", "fact-3", "Au"), run_of("vote", "fact-1", "Canberra")]
    after = [run_of("direct", "fact-1", "Canberra", seconds=3.0), run_of("direct", "fact-2", "Marlowe")]
    after += [run_of("direct", "fact-4", "1989")]
    (change,) = changes(judged(before, QUESTIONS), judged(after, QUESTIONS))
    assert (change.questions, change.before, change.after) == (2, 1, 1)
    assert (change.gained, change.lost) == (("fact-1",), ("fact-2",))
    assert change.difference[0] == 0
    shown = comparison([change])
    assert "| small | direct | 2 | 1 | 1 | 1 | 1 | +0 " in shown
    assert "| 1.0 | 2.0 | 40 | 40 |" in shown
    assert shown.endswith("small direct gained: fact-1\n\nsmall direct lost: fact-2")


def test_files_are_compared_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for file, answer in zip(files, ("Sydney", "Canberra"), strict=True):
        file.write_text(json.dumps(run_of("direct", "fact-1", answer)) + "\n")
    assert answers.main(["--compare", *map(str, files)]) == 0
    assert "small direct gained: fact-1" in capsys.readouterr().out
    assert answers.main(["--compare", *map(str, files), "--kinds", "date"]) == 1  # nothing to compare


def test_a_call_that_gives_back_the_example_of_its_prompt_is_an_echo() -> None:
    @planner("exemplary")
    async def exemplary(run: Run, question: Asked) -> Answer:
        """Ask with an example, with one in a slot, and without any."""
        for task in (
            "End with the answer, as in \\boxed{12}.",
            "<result>\n\\boxed{12}\n</result>\n",
            "Think.",
        ):
            last = await run.generate([user(question.text, task)])
        return Answer(last.text, "12")

    with Client(engine=Simulator("It is \\boxed{12}."), database="memory") as client:
        solution = client.solve("How many?", planner=exemplary)
        assert echoes(client.trace(solution.trace_id)) == 1
