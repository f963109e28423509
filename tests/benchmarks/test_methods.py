"""An oracle is right on every set, a liar never, and planners are compared with votes at equal cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from anabranch import Answer, Client, Run, planner, user
from anabranch import Question as Asked
from benchmarks import methods
from benchmarks.asking import Contestant, ask, contestant
from benchmarks.countdown import Puzzle
from benchmarks.method_sets import HARDER, HOPS, SETS, Question, questions
from benchmarks.methods_plot import plot, points_of
from benchmarks.methods_table import at_equal_cost, judged, mixture, rows_of, table
from orchestrator.planning.finding import installed_planners
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.engine import Simulator

LINES = (
    {"question": "Ann has 3 bags of 4 pens. How many pens has she?", "answer": "3 * 4 = 12\n#### 12"},
    {"question": "A car costs $9,000 and a boat $1,500. What do they cost?", "answer": "#### 10,500"},
    {"question": "Tom is 5 years older than Bob, who is 4. How old is Tom?", "answer": "#### 9"},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in LINES))
    return path


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], str]:
    assert methods.main(["--engine", "simulator", "--json", *arguments]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1])["rows"], captured.err


def test_the_sets_take_turns_and_more_questions_begin_with_the_same(file: Path) -> None:
    drawn = questions(HARDER, 2, seed=1, file=file)
    assert [each.set for each in drawn] == [*HARDER, *HARDER]
    assert questions(HARDER, 3, seed=1, file=file)[:6] == drawn
    assert {each.gold for each in questions(["gsm8k"], 9, seed=1, file=file)} == {"12", "10500", "9"}
    assert [each.kind for each in questions(["two_hop"], 6, seed=1)] == list(HOPS)
    assert all(each.context for each in drawn if each.set == "two_hop")


def test_a_right_answer_is_exact(file: Path) -> None:
    asked = questions(HARDER, 6, seed=1, file=file)
    for each in asked:
        assert each.is_right(each.gold)
        assert not any(each.is_right(answer) for answer in (None, "", "17 or 18", "no idea"))
        assert not any(
            each.is_right(other.gold) for other in asked if other.set == each.set and other != each
        )
    cars = next(each for each in asked if each.gold == "10500")
    assert cars.is_right("They cost $10,500.")
    assert not cars.is_right("10500 or 9000")
    older = next(each for each in asked if each.kind == "chain_compare")
    assert older.is_right(f"{older.gold} was born earlier.")
    rival = next(line.split(",")[0].removeprefix("The office of ") for line in older.context.split("\n\n")
                 if line.startswith("The office of ") and older.gold not in line)  # fmt: skip
    assert not older.is_right(rival)
    assert not older.is_right(f"{older.gold}, {rival}")


def test_the_oracle_is_right_and_what_was_interrupted_goes_on(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--out", str(tmp_path / "runs.jsonl"), "--gsm8k", str(file), "--sets", *HARDER]
    command += ["--planners", "direct", "vote:n=2"]
    command += ["--controls", "vote:rule=fixed:width=3"]
    rows, said = measured(capsys, *command, "--questions", "1")
    assert said.count(": right") == 9
    rows, said = measured(capsys, *command, "--questions", "2")
    assert said.count(": right") == 9
    assert [(row["set"], row["right"], row["questions"]) for row in rows[::3]] == [
        (at, 2, 2) for at in HARDER
    ]
    direct, vote, control = rows[:3]
    assert (direct["over_direct"], direct["equal"], control["equal"]) == (None, {}, {})
    assert control["completion"] == 3 * direct["completion"] < direct["all_tokens"]
    assert vote["equal"]["completion"]["weights"].keys() == {"direct", "vote:rule=fixed:width=3"}
    assert vote["equal"]["completion"]["difference"] == [0, [0, 0]]
    _, said = measured(capsys, *command, "--questions", "1", "--seed", "2")
    assert said.count(": right") == 9  # other questions


def test_a_wrong_oracle_scores_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def liar(asked: Sequence[Question]) -> Simulator:
        """Say the target of each puzzle, and to all others a number of no question."""
        return Simulator(
            {
                each.question: f"\\boxed{{{each.source.target if isinstance(each.source, Puzzle) else 777}}}"
                for each in asked
            }
        )

    monkeypatch.setattr(methods, "oracle", liar)
    out = ("--out", str(tmp_path / "runs.jsonl"), "--gsm8k", str(file), "--sets", *HARDER)
    rows, _ = measured(capsys, *out, "--questions", "3", "--planners", "direct", "adaptive", "--controls")
    assert [(row["set"], row["right"], row["only_in_text"]) for row in rows[::2]] == [
        (at, 0, 0) for at in HARDER
    ]
    assert sum(row["right"] for row in rows) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sets", "gsm8k"], "the set gsm8k needs its file: --gsm8k test.jsonl"),
        (["--gsm8k", "missing.jsonl"], "missing.jsonl"),
        (["--gsm8k", "{bad}"], "bad.jsonl, line 1: not"),
        (["--questions", "0"], "at least 1"),
        (["--planners", "vote:m=3"], "vote:m=3"),
    ],
)
def test_bad_arguments_are_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "How many?", "answer": "12"}\n')
    given = [str(bad) if each == "{bad}" else each for each in arguments]
    with pytest.raises(SystemExit):
        methods.main(["--engine", "simulator", "--out", str(tmp_path / "runs.jsonl"), *given])
    assert said in capsys.readouterr().err


def test_a_mixture_costs_what_the_contestant_does() -> None:
    costs = {"vote": 300.0, "direct": 100.0, "wide": 800.0}
    assert mixture(150, costs) == {"direct": 0.75, "vote": 0.25}
    assert mixture(400, costs) == {"vote": 0.8, "wide": 0.2}
    assert mixture(300, costs) == {"vote": 1.0}
    assert mixture(20, costs) == {"direct": 1.0}
    assert mixture(900, costs) == {"wide": 1.0}


PUZZLES = questions(["countdown"], 6, seed=1)


def runs_of(
    name: str, right: Sequence[int], completion: int, *, asked: Sequence[Question] = PUZZLES, **more: Any
) -> list[Mapping[str, Any]]:
    return [
        {
            "engine": "embedded", "model": "small", "planner": name, "question": each.id,
            "text": each.question, "answer": each.gold if at in right else "12", "said": "12",
            "outcome": "answered", "calls": 2, "prompt": 100, "completion": completion,
            "unknown_prompt": 0, "seconds": 1.0, "critical": 60, "longest": 90, "computed": 40, **more,
        }
        for at, each in enumerate(asked)
    ]  # fmt: skip


def test_votes_are_compared_at_the_tokens_of_a_contestant() -> None:
    runs = [*runs_of("direct", [0], 100), *runs_of("vote:n=3", [0, 1, 2], 300)]
    by = judged([*runs, *runs_of("auto", range(6), 200, unknown_prompt=50)], PUZZLES)
    auto = rows_of(by, ["auto"], ["direct", "vote:n=3"])[0]
    assert auto.over_direct is not None
    assert auto.over_direct[0] == pytest.approx(5 / 6)
    completion, all_tokens = auto.equal["completion"], auto.equal["all_tokens"]
    assert completion.difference[0] == pytest.approx(1 - (1 / 6 + 3 / 6) / 2)
    assert (completion.weights, completion.beyond) == ({"direct": 0.5, "vote:n=3": 0.5}, "")
    assert auto.all_tokens == 350
    assert all_tokens.weights == {"direct": 0.25, "vote:n=3": 0.75}
    assert auto.equal["critical"].beyond == ""
    shown = table([auto])
    assert (
        "| small | countdown | auto | 100 [61, 100] | 6 of 6 |  | 0 | 0 | 0 | 2.0 | 200 | 60 | 350 |" in shown
    )
    assert "- small countdown auto: 50 % direct and 50 % vote:n=3; 100 % " in shown
    assert "two of three 2 of 2, all three 2 of 2, three of four 2 of 2" in shown


def test_whoever_costs_less_or_more_than_all_controls_is_marked() -> None:
    by = judged(
        [
            *runs_of("direct", [0], 100),
            *runs_of("vote:n=3", [0, 1, 2], 300),
            *runs_of("short", [0, 1], 20),
            *runs_of("long", [0, 1], 900, asked=PUZZLES[:4]),
        ],
        PUZZLES,
    )
    own = by["small", "countdown"]
    controls = {name: own[name] for name in ("direct", "vote:n=3")}
    short = at_equal_cost(own["short"], controls, "completion")
    long = at_equal_cost(own["long"], controls, "completion")
    assert short is not None
    assert (short.beyond, short.weights) == ("<", {"direct": 1.0})
    assert short.difference[0] == pytest.approx(1 / 6)
    assert long is not None
    assert (long.beyond, long.weights, long.difference[0]) == (">", {"vote:n=3": 1.0}, -0.25)
    assert at_equal_cost(own["short"], {}, "completion") is None


def test_an_undecided_answer_is_judged_and_counted_apart_and_a_failed_run_is_wrong() -> None:
    runs = [*runs_of("vote", [0], 100, asked=PUZZLES[:2], outcome="undecided")]
    runs += runs_of("vote", [], 100, asked=PUZZLES[2:3], answer=None, outcome="failed")
    runs += runs_of("vote", [], 100, asked=PUZZLES[3:4], said=PUZZLES[3].gold)
    (row,) = rows_of(judged(runs, PUZZLES), ["vote"], ["direct"])
    assert (row.questions, row.right, row.undecided, row.undecided_right) == (4, 1, 2, 1)
    assert (row.failed, row.only_in_text) == (1, 1)
    assert "| 1 of 4 | 1 of 2 | 0 | 1 | 1 |" in table([row])


def test_what_failed_or_was_cancelled_has_cost_as_well() -> None:
    @planner("hasty")
    async def hasty(run: Run, question: Asked) -> Answer:
        """Ask the same twice, cancel one of them in its answer, and fail."""
        short, long = (run.generate([user(question.text)], max_tokens=tokens) for tokens in (8, 4_000))
        await short
        long.cancel()
        raise RuntimeError("no more")

    engine = Simulator("word " * 4_000, cost=CostModel(decode_tokens_per_s=100))
    with Client(engine=engine, database="memory") as client:
        said = ask(client, Contestant("hasty", hasty, {}), PUZZLES[0], seed=1)
    assert (said["outcome"], said["calls"]) == ("failed", 2)
    assert 8 < said["completion"] < 4_000
    assert said["prompt"] == said["unknown_prompt"] > 20


def test_every_set_is_answered_by_its_oracle_and_by_what_is_made_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ("arithmetic", "game24", "templates", "operations", "documents")
    out, results = ("--out", str(tmp_path / "runs.jsonl")), tmp_path / "results.json"
    rows, _ = measured(
        capsys, *out, "--sets", *sets, "--questions", "2", "--planners", "direct", "--results", str(results)
    )
    assert [(row["set"], row["right"], row["questions"]) for row in rows if row["planner"] == "direct"] == [
        (at, 2, 2) for at in sets
    ]
    told = json.loads(results.read_text())
    assert (told["seed"], told["questions"], len(told["rows"])) == (1, 2, len(rows))
    lists = next(row for row in rows if row["set"] == "templates")
    assert lists["lists"] == [1.0, 1.0]


def test_who_hands_a_question_on_is_counted() -> None:
    runs = runs_of(
        "skeleton", [0], 100, asked=PUZZLES[:1], decisions=["router B", "skeleton adaptive: no list"]
    )
    runs += runs_of("skeleton", [], 100, asked=PUZZLES[1:3], decisions=["skeleton outline", "auto vote: x"])
    (row,) = rows_of(judged(runs, PUZZLES), ["skeleton"], ["direct"])
    assert (row.questions, row.handed_on) == (3, 1)


def test_all_sets_have_planners_and_all_methods_are_asked_somewhere() -> None:
    assert tuple(methods.PLANNERS) == SETS
    asked_somewhere = {name for names in methods.PLANNERS.values() for name in (*names, *methods.CONTROLS)}
    found = {who.planner.name for name in asked_somewhere if (who := contestant(name)) is not None}
    assert found == {name.partition(":")[0] for name in asked_somewhere}
    tools_or_chosen_by_auto = {"adaptive", "calls", "llm_compiler", "react"}
    assert set(installed_planners()) - found == {"direct", "cascade", *tools_or_chosen_by_auto}


def test_rows_that_cost_the_same_and_are_right_as_often_are_drawn_all_the_same() -> None:
    runs = runs_of("direct", [1], 100, asked=PUZZLES[:3]) + runs_of("vote", [1], 100, asked=PUZZLES[:3])
    points = points_of(rows_of(judged(runs, PUZZLES), ["direct", "vote"], ["direct"]), "seconds")
    assert [(x, row.planner) for x, _, row in points] == [(points[0][0], "direct"), (points[0][0], "vote")]


def test_pictures_of_the_same_rows_are_the_same_and_ties_have_no_order(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = runs_of("direct", [1], 100, asked=PUZZLES[:3]) + runs_of("vote", [1], 100, asked=PUZZLES[:3])
    rows = rows_of(judged(runs, PUZZLES), ["direct", "vote"], ["direct"])
    for folder in ("one", "other"):
        plot(rows, ["direct"], tmp_path / folder)
    [one], [other] = (list((tmp_path / folder).iterdir()) for folder in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
