"""Named agreements, and how often answers with them were right."""

from __future__ import annotations

import pytest

from orchestrator.consensus.agreement import ALONE, Alike, alone, counted, tabulated


def examples(**rows: tuple[int, int]) -> tuple[list[str], list[bool]]:
    """Labelled examples of each agreement: so many right, so many wrong."""
    names = [name.replace("_", " ") for name, (right, wrong) in rows.items() for _ in range(right + wrong)]
    labels = [at < right for right, wrong in rows.values() for at in range(right + wrong)]
    return names, labels


def test_each_agreement_is_as_sure_as_its_answers_were_right() -> None:
    names, labels = examples(alone=(8, 8), two_kinds=(18, 2))
    table = tabulated(names, labels)
    assert table.rows == (Alike(("two kinds",), 18, 20), Alike((ALONE,), 8, 16))
    assert [row.probability for row in table.rows] == [19 / 22, 9 / 18]
    assert (table.examples, table.accuracy) == (36, 26 / 36)
    assert table.alike("two kinds") == table.rows[0]
    assert table.alike("three kinds") is None


def test_more_that_agree_of_as_many_are_never_less_sure() -> None:
    rising = {"1 of 4": (2, 8), "2 of 4": (6, 4), "3 of 4": (2, 4), "4 of 4": (9, 1), "2 of 3": (1, 9)}
    table = tabulated(*examples(**rising))
    assert table.alike("2 of 4") == table.alike("3 of 4") == Alike(("2 of 4", "3 of 4"), 8, 16)
    assert table.alike("2 of 3") == Alike(("2 of 3",), 1, 10)  # of another number: no order is known
    assert [row.agreements[-1] for row in table.rows] == ["4 of 4", "3 of 4", "1 of 4", "2 of 3"]


def test_few_that_agree_by_luck_are_taken_with_those_that_agree_less() -> None:
    table = tabulated(*examples(**{"10 of 10": (1, 0), "9 of 10": (30, 1)}))
    assert table.alike("10 of 10") == Alike(("9 of 10", "10 of 10"), 31, 32)


def test_the_order_is_that_of_numbers_and_other_kinds_are_apart() -> None:
    rows = {
        f"{counted(2, 2)} kinds": (5, 5),
        counted(2, 2): (9, 1),
        counted(10, 12): (9, 1),
        "9 of 12": (1, 9),
    }
    table = tabulated(*examples(**rows))
    assert [row.agreements for row in table.rows[2:]] == [("2 of 2 kinds",), ("9 of 12",)]


def test_a_lone_answer_that_is_surer_of_itself_is_never_less_sure() -> None:
    table = tabulated(*examples(**{alone(0.995): (8, 2), alone(0.95): (9, 1), alone(0.5): (1, 5)}))
    assert table.rows[0] == Alike(("90 % sure, alone", "99 % sure, alone"), 17, 20)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 examples; there are 3"):
        tabulated(["alone"] * 3, [True] * 3)
