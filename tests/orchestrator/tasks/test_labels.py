"""What labels may look like, and which answers agree with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.tasks.labels import LabelledQuestion, LabelledTrace, agrees, read_labels
from orchestrator.voting import symbolic


@pytest.mark.parametrize(
    ("answer", "right", "choices", "same"),
    [
        ("391", "391", (), True),
        ("seventy-two", "72", (), True),
        ("72", "73", (), False),
        ("The Nile", "nile", (), True),
        ("London", "Paris", (), False),
        ("B", "b", ("Paris", "London"), True),
        ("B", "London", ("Paris", "London"), True),
        ("A", "London", ("Paris", "London"), False),
        ("C", "3", ("5", "4", "3"), True),
    ],
)
async def test_answers_agree_as_votes_do(
    answer: str, right: str, choices: tuple[str, ...], same: bool
) -> None:
    assert await agrees(answer, (right,), choices) is same


@pytest.mark.skipif(not symbolic.AVAILABLE, reason="needs the extra math")
async def test_formulas_are_compared_as_mathematics() -> None:
    assert await agrees(r"\frac{\sqrt{2}}{2}", (r"1/\sqrt{2}",))
    assert not await agrees(r"\frac{\sqrt{2}}{2}", (r"\sqrt{2}",))


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_lines_are_read_and_numbers_may_be_numbers(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '{"query": "What is 6 * 7?", "answer": 42}',
        "",
        '{"query": "Which?", "answer": "Rome", "choices": ["Paris", "Rome"], "context": "Italy."}',
    )
    first, second = read_labels(file, LabelledQuestion)
    assert (first.query, first.answer) == ("What is 6 * 7?", ("42",))
    assert (second.choices, second.context) == (("Paris", "Rome"), "Italy.")


def test_one_of_several_answers_is_enough(tmp_path: Path) -> None:
    line = (
        '{"id": "a1", "kind": "facts", "question": "Who wrote it?", "answer": ["Twain", 5], "half": "held"}'
    )
    (label,) = read_labels(written(tmp_path, line), LabelledQuestion)
    assert (label.query, label.answer, label.half) == ("Who wrote it?", ("Twain", "5"), "held")
    assert label.asked == {"query": "Who wrote it?", "context": "", "choices": ()}


async def test_agreeing_with_one_of_several_answers_is_enough() -> None:
    assert await agrees("twain", ("Twain", "5"))
    assert await agrees("five", ("Twain", "5"))
    assert not await agrees("Clemens", ("Twain", "5"))


def test_a_line_ends_where_json_lines_end_and_a_mark_of_the_encoding_is_no_json(tmp_path: Path) -> None:
    query = "Which\u2028of\u0085these?"
    file = tmp_path / "labels.jsonl"
    file.write_bytes(f'\ufeff{{"query": "{query}", "answer": "72"}}\r\n\r\n'.encode())
    (label,) = read_labels(file, LabelledQuestion)
    assert label.query == query


def test_what_takes_more_than_a_comparison_is_left_out_of_a_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path,
        '{"kind": "fact", "question": "Who?", "answer": "Ann", "others": ["Bob"]}',
        '{"kind": "list", "question": "Which?", "items": ["Ann", "Bob"]}',
        '{"kind": "code", "question": "Sort!", "answer": "sorted", "tests": []}',
        '{"kind": "unanswerable", "question": "Why?"}',
    )
    (label,) = read_labels(file, LabelledQuestion)
    assert label.query == "Who?"
    assert "questions=3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (['{"query": "x"}'], "line 1: answer: Field required"),
        (['{"query": "x", "answer": []}'], "line 1: answer: "),
        (['{"query": "x", "answer": "1", "half": "test"}'], "line 1: half: "),
        (['{"query": "x", "answer": "1"}', "x"], "line 2: request: Invalid JSON"),
        (['{"query": "x", "answer": "1", "weight": 2}'], "line 1: weight: Extra inputs"),
        (['{"query": "x", "answer": "1"}'] * 2, "line 2: the same as line 1"),
        (['{"query": "x", "answer": "C", "choices": ["a", "b"]}'], "neither a choice nor the letter of one"),
        ([], "has no lines; each must be a JSON object such as"),
    ],
)
def test_wrong_questions_are_told_by_line(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        read_labels(written(tmp_path, *lines), LabelledQuestion)
    assert says in str(told.value)


def test_a_trace_has_an_answer_or_a_verdict(tmp_path: Path) -> None:
    file = written(tmp_path, '{"trace_id": "a", "right": false}', '{"trace_id": "b", "answer": "7"}')
    assert [(each.right, each.answer) for each in read_labels(file, LabelledTrace)] == [
        (False, ()),
        (None, ("7",)),
    ]
    for line in ('{"trace_id": "a"}', '{"trace_id": "a", "right": true, "answer": "7"}'):
        with pytest.raises(InvalidRequest, match=r"line 1: request: .*either answer or right"):
            read_labels(written(tmp_path, line), LabelledTrace)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_labels(tmp_path / "nothing", LabelledTrace)
