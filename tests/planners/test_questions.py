"""What the reply of a model that chooses is taken for."""

from __future__ import annotations

import pytest

from planners.questions import letter_in

MEANING = {"A": "with a text", "B": "with one short answer that is right or wrong", "C": "with A list"}


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        (" B\n", "B"),
        ("B.", "B"),
        ("B:", "B"),
        ("(B)", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("`B`", "B"),
        ('"B"', "B"),
        ("*B*.", "B"),
        ("B: with one short", "B"),
        ("B. With one short answer", "B"),
        ("B\nwith one", "B"),
        ("(B) with one short answer that is right or wrong.", "B"),
        ("A, B,", None),
        ("A B", None),
        ("A or B", None),
        ("A/B", None),
        ("A: with one short", None),
        ("B: because it", None),
        ("B is", None),
        ("A list of", None),
        ("A question", None),
        ("Answer: B", None),
        ("The answer is B", None),
        ("Hm", None),
        ("Apples", None),
        ("BB", None),
        ("b", None),
        ("D", None),
        ("E", None),
        ("", None),
        ("...", None),
        ("1", None),
        ("B: with one short answer that is right or wrong, and A", None),
        ("\u0412", None),  # a Cyrillic letter
    ],
)
def test_only_one_letter_is_a_verdict(reply: str, letter: str | None) -> None:
    assert letter_in(reply, MEANING) == letter


def test_without_what_they_mean_only_letters_count() -> None:
    assert letter_in("B.", "ABC") == "B"
    assert letter_in("B: with one short", "ABC") is None
