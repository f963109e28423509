"""Labels are read strictly, tables count what they say, and an interrupted measurement goes on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.routing import KINDS, STORED, Chosen, confusion, load, main, measure, shares
from orchestrator.runtime.values import Question
from planners.signs import Kind, shown
from workers.calls import Call
from workers.engines.simulator.engine import Simulator

TOOL = {"name": "orders", "description": "Finds an order.", "arguments": ["number"]}
ROWS = [
    {"half": "dev", "suits": ["short"], "text": "What is 7 * 6?"},
    {"half": "dev", "suits": ["whole"], "text": "Write a poem."},
    {"half": "dev", "suits": ["list", "whole"], "text": "What do you make of Rome?"},
    {"half": "held", "suits": ["list"], "text": "Who wrote Hamlet?"},
    {"half": "held", "suits": ["tools"], "text": "Look at orders: where is 12?", "tools": [TOOL]},
]
CSV = """label;request
1;Give me five tips for sleeping well.
0;"What is 7 * 6; and what is 8?"
0;List the reasons why the sky is blue.
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    return path


def test_without_a_model_what_no_sign_decides_asks_for_one(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--labels", str(path)]) == 0
    told = capsys.readouterr().out
    assert "dev: 3 questions; 0 of 2 that are no list would be parallelised" in told
    assert "| label | short | whole | asks |" in told
    assert "| list or whole |  |  | 1 |" in told
    assert "| list | **1** |" in told
    assert "| tools | 1 |" in told
    assert "| short | 1 / 1 | 0.21 to 1.00 | 1 / 1 | 0.21 to 1.00 |" in told


def test_labels_of_lists_are_counted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "made_up.csv"
    path.write_text(CSV, encoding="utf-8")
    assert main(["--labels", str(path)]) == 0
    told = capsys.readouterr().out
    assert "made_up: 3 questions; 1 of 2 that are no list would be parallelised" in told
    assert "| list |  | 1 |" in told
    assert "| no list | 1 | **1** |" in told
    assert "| list | 1 / 2 |" in told


async def test_a_model_is_asked_once_about_what_is_left_and_never_twice(path: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def say(call: Call, _: object) -> str:
        asked.append(call.prompt.messages()[-1]["content"])
        return "C"

    questions, runs = load(path), tmp_path / "runs.jsonl"
    assert await measure(questions, Simulator(say), "m", runs, minutes=0) == {}
    first = await measure(questions[:3], Simulator(say), "m", runs, minutes=9)
    assert [(made.kind, made.by) for made in first.values()] == [
        ("short", "sign"),
        ("whole", "sign"),
        ("list", "model"),
    ]
    assert len(asked) == 1
    again = await measure(questions, Simulator(say), "m", runs, minutes=9)
    assert len(again) == len(questions)
    assert len(asked) == 1
    assert len(runs.read_text().splitlines()) == len(questions)
    await measure(questions, Simulator(say), "another", runs, minutes=9)
    assert len(asked) == 2


def test_cells_tell_what_decided(path: Path) -> None:
    short, whole, either, *_ = load(path)
    pairs = [
        (short, Chosen(short.key, "m", "short", "sign")),
        (short, Chosen(short.key, "m", "short", "model")),
        (whole, Chosen(whole.key, "m", "list", "model")),
        (either, Chosen(either.key, "m", "list", "model")),
    ]
    told = confusion(pairs)
    assert "| short | 1 + 1 |" in told
    assert "| whole |  | **0 + 1** |" in told
    assert "| list or whole |  | 0 + 1 |" in told
    assert "| list | 1 / 2 | " in shares(pairs)
    assert "| not list | 2 / 2 | 0.34 to 1.00 | 2 / 3 |" in shares(pairs)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("odd.csv", "label;request\nyes;Why?\n", "'yes': write 0 or 1"),
        (
            "odd.jsonl",
            '{"half": "dev", "suits": ["vote"], "text": "Why?"}\n',
            "line 1 of .*write some of short",
        ),
        ("odd.jsonl", '{"half": "dev", "suits": [], "text": "Why?"}\n', "write some of short"),
    ],
)
def test_a_label_that_is_none_is_named(tmp_path: Path, name: str, text: str, why: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        load(path)


def test_our_labels_are_many_and_in_two_halves() -> None:
    labelled = load(STORED)
    assert len(labelled) > 300
    assert len({each.key for each in labelled}) == len(labelled)
    halves = Counter(each.group.partition(",")[0] for each in labelled)
    assert set(halves) == {"dev", "held"}
    assert abs(halves["dev"] - halves["held"]) < 10
    assert {kind for each in labelled for kind in each.suits} <= set(KINDS)


def test_no_question_of_ours_with_one_answer_is_seen_as_a_list() -> None:
    for each in load(STORED):
        question: Question = each.question
        sign = shown(question)
        if "list" not in each.suits and not each.tools:
            assert sign is None or sign.kind is not Kind.LIST, question.text
