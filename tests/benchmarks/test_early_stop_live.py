"""Everybody who asks gets the same, the server counts what they did, and a bound that is broken fails."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

from benchmarks import early_stop_live, peers
from benchmarks.early_stop_contenders import DEFAULT, ITS_HUB, RIVAL, find_peer
from benchmarks.early_stop_live import Counted, Score, against, checks, number_in, paired, row, table
from benchmarks.early_stop_server import MIXES, PHRASINGS, ByArrival, Puzzle
from workers.calls import Call, Prompt, Sampling, Segment

SPLIT = "60 % against 40 %"


async def answers(server: ByArrival, puzzle: Puzzle, count: int, *instructions: str) -> list[str]:
    segments = (*(Segment("system", text) for text in instructions), Segment("user", puzzle.text))
    found = []
    for number in range(count):
        call = Call(Prompt(segments), Sampling(temperature=0.7, seed=number if instructions else None))
        found.append("".join([chunk.text async for chunk in server.generate(call)]))
    return found


async def test_the_server_says_the_same_to_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.early_stop_server.MEDIAN", 1e-9)
    puzzle = Puzzle(SPLIT, 8, 0)
    first = await answers(ByArrival(1), puzzle, 200)
    assert await answers(ByArrival(1), puzzle, 200, "Be brief.") == first
    assert await answers(ByArrival(2), puzzle, 200) != first
    assert await answers(ByArrival(1), Puzzle(SPLIT, 8, 1), 200) != first
    assert {number_in(text) for text in first} > {puzzle.right}
    assert 0.5 < sum(number_in(text) == puzzle.right for text in first) / len(first) < 0.7
    assert {phrasing.format(puzzle.right) for phrasing in PHRASINGS} < set(first)


def test_the_right_answer_is_known_and_differs_between_questions() -> None:
    puzzles = [Puzzle(mix, 8, number) for mix in MIXES for number in range(20)]
    assert len({puzzle.text for puzzle in puzzles}) == len(puzzles)
    assert len({puzzle.right for puzzle in puzzles}) > 60


def score(contender: str, right: str, *counted: int) -> Score:
    marks = [mark == "+" for mark in right]
    return Score(SPLIT, 8, contender, Counted(*counted), marks, [0.1 * (at + 1) for at in range(len(marks))])


def test_a_paired_difference_counts_only_where_the_two_differ() -> None:
    assert paired([True, False, True], [True, False, True]) == (0.0, (0.0, 0.0))
    mean, (low, high) = paired([True] * 50 + [False] * 50, [False] * 50 + [False] * 50)
    assert mean == 50
    assert (low, high) == pytest.approx((40.15, 59.85), abs=0.01)


def test_a_bound_that_is_broken_fails_its_check_and_is_named_as_a_loss() -> None:
    # Half the questions lost, as many started as there may be, and more finished.
    scores = [score(DEFAULT, "+-" * 10, 120, 40, 700), score(RIVAL, "+" * 20, 100, 60, 700)]
    rows = [row(each, scores[1]) for each in scores]
    assert rows[0].started == 8
    assert (rows[0].accuracy, rows[0].difference) == (50, -50)
    assert [check.passed for check in checks(rows, scores)] == [False, False, False]
    lost = "finished: won 0, even 0, lost 1: 60 % against 40 %, n = 8 (x 1.20)"
    assert against(rows, RIVAL)[:3] == [
        "started: won 0, even 1, lost 0", lost, "tokens: won 0, even 1, lost 0"
    ]  # fmt: skip
    kept = [score(DEFAULT, "+" * 20, 80, 40, 500), scores[1]]
    assert all(check.passed for check in checks([row(each, scores[1]) for each in kept], kept))
    assert "-50.0 [-72.5, -27.5]" in table(rows)


def test_an_environment_that_is_installed_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _name: str(tmp_path))
    monkeypatch.setattr(subprocess, "run", lambda *_given, **_more: made.append(1))
    monkeypatch.setattr(
        "venv.create", lambda folder, **_more: Path(folder).mkdir(parents=True, exist_ok=True)
    )
    made: list[int] = []
    for requirement in ("peer==1", "peer==1", "peer==2"):
        assert peers.environment("peer", requirement) == tmp_path / "peers" / "peer" / "bin"
    assert len(made) == 2


@dataclass
class Hangs:
    """A contender that answers so many blocks of questions and then never again."""

    name: str
    url: str
    blocks: int
    ends: bool

    async def answer(self, questions: Sequence[str], width: int) -> list[tuple[str, float]]:
        self.blocks -= 1
        if self.blocks < 0:
            if self.ends:
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        return [("It is 0.", 0.01 * (number + 1)) for number in range(len(questions))]


@pytest.mark.parametrize("ends", [False, True], ids=["by --seconds", "by SIGTERM"])
def test_what_there_is_when_the_time_ends_is_printed(
    ends: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def contending(*_: object) -> AsyncIterator[tuple[str, list[Hangs]]]:
        # A cell begins with a block that opens connections: two cells are answered, and 2 of 3 of the next.
        blocks = 2 * (1 + 3) + 1 + 2
        yield "1.2", [Hangs(DEFAULT, "a", blocks, ends), Hangs(RIVAL, "b", blocks, ends)]

    calls = itertools.count(1)

    async def counted(_url: str) -> Counted:
        return Counted(number := next(calls), number, 5 * number)

    monkeypatch.setattr(early_stop_live, "contending", contending)
    monkeypatch.setattr(early_stop_live, "find_peer", lambda _given: None)
    monkeypatch.setattr(early_stop_live, "count", counted)
    monkeypatch.setattr(early_stop_live, "BLOCK", 2)
    handlers = signal.getsignal(signal.SIGTERM)
    limit = [] if ends else ["--seconds", "2"]
    arguments = ["--questions", "6", "--widths", "8", "16", "--json", *limit]
    early_stop_live.main([*arguments, "--mixes", "90 %", SPLIT])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["cut_off"] == f"the time ended after 2 of 4 cells; {SPLIT}, n = 8: 4 of 6"
    assert [(row["mix"], row["width"]) for row in report["rows"][::2]] == [
        ("90 %", 8), ("90 %", 16), (SPLIT, 8)
    ]  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) == handlers


@pytest.mark.slow
@pytest.mark.timeout(300)  # most of it is waiting, but a busy machine waits longer
def test_our_rules_alone_where_there_is_no_peer(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--questions", "8", "--widths", "8", "--mixes", "90 %", "--json"]
    code = early_stop_live.main([*arguments, "--peer-python", "/nowhere/python"])
    captured = capsys.readouterr()
    assert "its_hub is left out: " in captured.err
    assert "/nowhere/python" in captured.err
    report = json.loads(captured.out.splitlines()[-1])  # logs come before
    assert not report["its_hub"]
    rows = {each["contender"]: each for each in report["rows"]}
    assert not [name for name in rows if name.startswith("its_hub")]
    fixed, one_by_one = rows["anabranch fixed"], rows["anabranch asc"]
    assert (fixed["started"], fixed["finished"], fixed["cancelled"], fixed["tokens"]) == (8, 8, 0, 40)
    assert one_by_one["started"] == one_by_one["finished"] <= 8
    assert rows[DEFAULT]["started"] < 8
    assert rows["anabranch beta"]["started"] == 8
    for each in rows.values():
        assert each["started"] == pytest.approx(each["finished"] + each["cancelled"])
        assert 5 * each["finished"] <= each["tokens"] <= 5 * each["started"]
        assert 0.05 < each["median"] <= each["p95"]
    assert code == 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # most of it is waiting, but a busy machine waits longer
def test_its_hub_answers_beside_us(capsys: pytest.CaptureFixture[str]) -> None:
    installed = Path(platformdirs.user_cache_dir("anabranch")) / "peers" / "its_hub" / "installed"
    if not installed.exists() or installed.read_text() != ITS_HUB:
        pytest.skip("its_hub is not installed; python -m benchmarks.early_stop_live does it")
    assert find_peer(None) is not None
    early_stop_live.main(["--questions", "4", "--widths", "8", "--mixes", "90 %", "--json"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])  # logs come before
    rows = {each["contender"]: each for each in report["rows"]}
    assert report["its_hub"] == "1.2.0"
    plain, rival = rows["its_hub plain, projected"], rows[RIVAL]
    assert (plain["started"], plain["finished"], plain["tokens"]) == (8, 8, 40)
    assert plain["accuracy"] == rows["anabranch fixed"]["accuracy"]  # the same calls, all of them
    assert rival["started"] == 8
    assert rival["cancelled"] > 0
    assert (rival["difference"], rival["interval"]) == (0, [0, 0])
    assert set(report["against"]) == {name for name in rows if name.startswith("its_hub")}
