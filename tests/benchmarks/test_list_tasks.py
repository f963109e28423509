"""Tasks over lists are computed anew, and their judge takes what people write, and nothing else."""

from __future__ import annotations

import re

import pytest

from benchmarks.list_tasks import OPERATIONS, TEMPLATES, Task, items_of, operations, templates

NUMBERS = Task("sort", "Sort these numbers: 12, 3, 7.", ("3", "7", "12"))


def test_more_tasks_begin_with_the_same_and_all_kinds_take_turns() -> None:
    for made, kinds in ((templates, TEMPLATES), (operations, OPERATIONS)):
        some = made(len(kinds), seed=3)
        assert [each.kind for each in some] == list(kinds)
        assert made(2 * len(kinds), seed=3)[: len(kinds)] == some
        assert made(1, seed=4) != some[:1]


@pytest.mark.parametrize("seed", range(20))
def test_the_answers_are_right(seed: int) -> None:
    for task in operations(5, seed):
        given = task.text.rpartition(": ")[2].rstrip(".").split(", ")
        match task.kind:
            case "sort":
                assert list(task.items) == sorted(given, key=int)
            case "alphabet":
                assert list(task.items) == sorted(given)
            case "reverse":
                assert list(task.items) == given[::-1]
            case "distinct":
                assert sorted(task.items) == sorted(set(given))
                assert len(given) > len(task.items)
            case "totals":
                assert int(task.items[-1]) == sum(map(int, given))
    for task in templates(4, seed):
        if task.kind == "add":
            added = int(re.findall(r"Add (\d+)", task.text)[0])
            given = re.findall(r"^- (\d+)", task.text, re.MULTILINE)
            assert [int(each) - added for each in task.items] == list(map(int, given))
        if task.kind == "cents":
            prices = re.findall(r"(\d+)\.(\d\d) euros", task.text)
            assert list(task.items) == [str(int(whole) * 100 + int(part)) for whole, part in prices]


@pytest.mark.parametrize(
    "answer",
    ["3\n7\n12", "1. 3\n2. 7\n3. 12", "- **3**\n- 7.\n- 12", "3, 7, 12", "3\n\n7\n\n12\n", "1) 3 2) 7 3) 12"],
)
def test_lists_as_people_write_them_are_right(answer: str) -> None:
    assert NUMBERS.is_right(answer)


@pytest.mark.parametrize(
    "answer", ["", "7\n3\n12", "3\n7", "3\n7\n12\n13", "3 7 12", "the numbers\n3\n7\n12"]
)
def test_other_lists_are_wrong(answer: str) -> None:
    assert not NUMBERS.is_right(answer)


def test_what_an_item_was_made_of_may_stand_before_it() -> None:
    task = Task("add", "Add 7", ("19", "20"))
    assert task.is_right("12 + 7 = 19\n13 + 7 = 20")
    assert task.fidelity("12 + 7 = 19\n13 + 7 = 21") == 0.5
    assert task.adheres("x\ny")
    assert items_of("a: b\nc") == ["a: b", "c"]
