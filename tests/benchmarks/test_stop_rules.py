"""The replay counts as a person would, and the benchmark reports what the replay counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import controls, entropy_signal, stop_rules, tune_elastic
from benchmarks.replay import Problem, Replay, load, resamples
from orchestrator.consensus.stopping import DEFAULT_RULE, parse_rule


def problem(*branches: tuple[int | None, int], probe_every: int = 10) -> Problem:
    """Branches as (answer, tokens); a branch gives its answer at every probe."""
    answers = tuple(answer for answer, _ in branches)
    tokens = tuple(tokens for _, tokens in branches)
    probes = tuple((answer,) * (length // probe_every) for answer, length in branches)
    return Problem("made up", 0, answers, tokens, probes, probe_every)


def replay(spec: str, made_up: Problem) -> tuple[int | None, int, int, int]:
    order = range(len(made_up.tokens))
    outcome = Replay(parse_rule(spec, width=len(order)), made_up, order).run()
    return outcome.winner, outcome.sequential, outcome.total, outcome.started


def test_plain_voting_waits_for_the_longest_branch() -> None:
    assert replay("fixed", problem((0, 10), (1, 30), (0, 20))) == (0, 30, 60, 3)


def test_arrivals_decide_in_the_order_of_their_lengths() -> None:
    # Votes come at 10, 20 and 30; the third equal one cannot be caught any more, so two branches are cut.
    assert replay("beta", problem((0, 40), (0, 10), (1, 90), (0, 20), (0, 30))) == (0, 30, 120, 5)


def test_one_by_one_adds_up() -> None:
    # Three of five cannot be caught any more, so the rule does not wait to be sure of it.
    assert replay("asc", problem((0, 10), (0, 20), (0, 30), (0, 40), (0, 50))) == (0, 60, 60, 3)


def test_windows_add_up_by_their_longest() -> None:
    assert replay("esc:window=2", problem((0, 10), (1, 20), (0, 30), (0, 5))) == (0, 50, 65, 4)


def test_branches_that_are_started_later_run_later() -> None:
    # Three start; the first two differ at 10 and 20, so the fourth starts at 20 and votes at 25.
    made_up = problem((0, 10), (1, 20), (0, 100), (0, 5))
    assert replay("elastic:patience=1", made_up) == (0, 100, 135, 4)


def test_pruned_branches_cost_until_they_are_cut() -> None:
    made_up = problem(*[(0, 100)] * 3, (1, 100))
    outcome = replay("parallel_probe:stable=4,patience=2,warmup=1", made_up)
    assert outcome == (0, 60, 3 * 60 + 40, 4)  # cut at the fourth probe, ended at the sixth


def test_a_probe_never_shows_what_is_not_there_yet() -> None:
    made_up = problem((0, 35), (1, 95))
    seen = Replay(parse_rule("parallel_probe:stable=99", width=2), made_up, [0, 1])
    assert seen.run().sequential == 95
    assert len(seen.seconds) == 2 + 9  # two arrivals, and a probe each ten tokens


def test_orders_are_the_same_for_every_rule_and_differ_between_problems() -> None:
    made_up = problem(*[(0, 10)] * 8)
    assert list(resamples(made_up, 4, 3, 1)) == list(resamples(made_up, 4, 3, 1))
    assert list(resamples(made_up, 4, 3, 1)) != list(resamples(made_up, 4, 3, 2))
    with pytest.raises(ValueError, match="8 recorded branches, fewer than 9"):
        list(resamples(made_up, 9, 1, 1))


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Twelve problems of 64 branches: most are easy, every third is split."""
    problems = []
    for at in range(12):
        answers = [
            ("1/2", "0.5", "7", "ERR", "2")[branch % (5 if at % 3 == 0 else 2)] for branch in range(64)
        ]
        branches = [[[a] * (2 + b % 7), 1000 + 137 * b % 3000, a] for b, a in enumerate(answers)]
        problems.append({"question": "?", "gold_answer": "0.5", "probe_freq": 500, "each_branch": branches})
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps(problems))
    return path


def test_loading_clusters_answers_and_knows_blanks(traces: Path) -> None:
    first = load(traces)[0]
    assert first.answers[:5] == (0, 0, 1, 2, 3)
    assert load(traces, blank_votes=False)[0].answers[:5] == (0, 0, 1, None, 2)
    wrong = traces.with_name("wrong.json")
    wrong.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="not a list of problems"):
        load(wrong)


def test_the_report_has_a_row_for_each_rule_and_its_checks(
    traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = stop_rules.main(["--traces", str(traces), "--resamples", "1", "--json"])
    report = json.loads(capsys.readouterr().out)
    rows = {row["rule"]: row for row in report["rows"]}
    assert report["default"] in rows
    assert {"fixed", "asc", "esc:window=8", "parallel_probe", "beta"} <= set(rows)
    assert rows["fixed"]["sequential_ratio"] == 1
    assert rows["fixed"]["accuracy_interval"] == [0, 0]
    assert rows["asc"]["total_tokens"] == rows["asc"]["sequential_tokens"]
    assert code == (0 if all(check["passed"] for check in report["checks"]) else 1)


def test_checks_fail_when_a_bound_is_broken() -> None:
    plain = stop_rules.Scores((1.0, 1.0), (10.0, 20.0), (100.0, 200.0), 64, 64, 0.01, 0.02)
    worse = stop_rules.Scores((0.0, 0.0), (10.0, 20.0), (100.0, 200.0), 64, 64, 0.01, 9.0)
    draws = stop_rules.bootstrap(2, 20, 1)
    rows = [
        stop_rules.compare(rule, "", worse if rule == DEFAULT_RULE else plain, plain, draws)
        for rule in ("fixed", *stop_rules.PUBLISHED_RULES, DEFAULT_RULE)
    ]
    failed = [check.name for check in stop_rules.checks(rows, [], 64) if not check.passed]
    assert [name.split(":")[1] for name in failed] == [
        " accuracy over plain voting, upper end of the interval",
        " sequential tokens over plain voting",
        " total tokens over plain voting",
        " published and simple rules no worse in all three",
        " slowest of 100 decisions, ms",
    ]
    published = stop_rules.checks(rows, ["aime24"], 64)
    assert not next(check for check in published if check.name.startswith("asc: accuracy")).passed


def test_the_tables_are_printed(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop_rules.main(["--traces", str(traces), "--resamples", "1", "--blank", "abstain"])
    tune_elastic.main(["--traces", str(traces), "--resamples", "1", "--folds", "3"])
    entropy_signal.main(["--traces", str(traces), "--resamples", "2"])
    printed = capsys.readouterr().out
    assert "elastic" in printed
    assert "chosen on all" in printed
    assert "AUROC" in printed


def test_independent_votes_are_right_as_often_as_the_binomial_says() -> None:
    # Three branches, each right with 0.6: the majority is right with 0.6^3 + 3 * 0.6^2 * 0.4 = 0.648.
    right, finished = tune_elastic.independent(parse_rule("fixed:3"), (0.6, 0.4), 4000, 1)
    assert right == pytest.approx(0.648, abs=0.02)
    assert finished == 3


GOOD = {"gold_answer": 7, "probe_freq": 500, "each_branch": [[["7", None], 1200, "7"]] * 4}


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ([], "at least 1 item"),
        ("[{", "Invalid JSON"),
        ([GOOD, {"each_branch": []}], "1.gold_answer: Field required"),
        ([GOOD | {"gold_answer": None}], "0.gold_answer"),
        ([GOOD | {"probe_freq": 0}], "0.probe_freq"),
        ([GOOD | {"each_branch": [[[], -1, "7"]]}], "0.each_branch.0.1"),
        ([GOOD | {"each_branch": [[[], 5]]}], "0.each_branch.0"),
        ([GOOD | {"each_branch": "7"}], "0.each_branch"),
        (["each_branch"], "0: "),
        ([GOOD], "4 recorded branches, fewer than 64"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recorded: object, said: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(recorded if isinstance(recorded, str) else json.dumps(recorded))
    with pytest.raises(SystemExit, match="2"):
        stop_rules.main(["--traces", str(path), "--json"])
    assert said in capsys.readouterr().err


def test_what_cannot_be_read_or_replayed_is_a_usage_error(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(b"\x1f\x8b\x08\x00")
    for arguments, said in (
        (["--traces", str(tmp_path)], "cannot be read: Is a directory"),
        (["--traces", str(tmp_path / "missing")], "cannot be read: No such file"),
        (["--traces", str(packed)], "Invalid JSON"),
        (["--traces", str(traces), "--width", "0"], "must be at least 1"),
        (["--traces", str(traces), "--resamples", "0"], "must be at least 1"),
        (["--traces", str(traces), "--rules", "best"], "no rule is called 'best'"),
        (["--traces", str(traces), "--rules", "any(beta; first_verified)"], "needs verdicts"),
    ):
        with pytest.raises(SystemExit, match="2"):
            stop_rules.main(arguments)
        assert said in capsys.readouterr().err
    for tool in (entropy_signal, tune_elastic):
        with pytest.raises(SystemExit, match="2"):
            tool.main(["--traces", str(tmp_path / "missing")])
    with pytest.raises(SystemExit, match="2"):
        tune_elastic.main(["--traces", str(traces), "--folds", "13"])


def test_numbers_as_answers_empty_branches_and_one_problem_are_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps([GOOD | {"each_branch": [[[7, None], 0, 7], [[], 0, None]] * 2}]))
    stop_rules.main(["--traces", str(path), "--width", "2", "--resamples", "2", "--json"])
    printed = capsys.readouterr().out
    report = json.loads(printed, parse_constant=pytest.fail)
    assert {row["rule"]: row["accuracy"] for row in report["rows"]}["fixed"] in (0, 50, 100)


def test_oracles_stop_when_the_leader_stays_and_when_it_is_right() -> None:
    # Arrivals: 1 at 10, then 0 at 20 (a tie, so the first stays), 0 at 30, 1 at 40 (a tie again), 0 at 50.
    made_up = problem((1, 10), (0, 20), (0, 30), (1, 40), (0, 50))
    order = range(5)
    for oracle in (controls.knows_the_end, controls.knows_the_answer):
        outcome = Replay(oracle(made_up, order), made_up, order).run()
        assert outcome.winner == 0
    assert Replay(controls.knows_the_answer(made_up, order), made_up, order).run().sequential == 30
    wrong = problem((1, 10), (1, 20), (0, 30))
    assert Replay(controls.knows_the_answer(wrong, range(3)), wrong, range(3)).run().sequential == 30
    assert Replay(controls.knows_the_end(wrong, range(3)), wrong, range(3)).run().sequential == 10


def test_a_lead_or_a_count_stops_the_simple_rule() -> None:
    rule = controls.LeadOrCount(2, 4, 5, 5)
    split = problem((1, 10), (0, 20), (1, 30), (0, 40), (0, 50))
    assert Replay(rule, split, range(5)).run().sequential == 40
    clear = problem((0, 10), (0, 20), (1, 30), (0, 40), (0, 50))
    assert Replay(rule, clear, range(5)).run().sequential == 20


def test_a_tie_is_broken_by_arrival_whichever_answer_is_right() -> None:
    for gold in (0, 1):
        tied = replace(problem((1, 10), (0, 20), (0, 30), (1, 40)), gold=gold)
        assert Replay(parse_rule("fixed", width=4), tied, range(4)).run().winner == 1


def test_made_up_votes_are_as_asked_for_and_lengths_are_dealt_out_anew() -> None:
    votes = controls.contests(0.7, problems=10)
    share = sum(each.answers.count(0) for each in votes) / 1280
    assert share == pytest.approx(0.7, abs=0.05)
    dealt = controls.permuted(votes[0], 1)
    assert dealt.answers == votes[0].answers
    assert dealt.tokens != votes[0].tokens
    assert sorted(dealt.tokens) == sorted(votes[0].tokens)
