"""What a sentence says of its subject by a name, a literal or an expression."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import pytest

from orchestrator.consensus.reading.predicates import code, expression, labelled, predicate


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("The capital of Australia is Canberra.", "Canberra"),
        ("Canberra is the capital of Australia.", "Canberra"),
        ("La capitale de l'Australie est Canberra", "Canberra"),
        ("Many think of Sydney, but it is Canberra", "Canberra"),
        ("It was written by Jane Austen", "Jane Austen"),
        ("The function returns True, because the list is empty", "True"),
        ("The code raises a ValueError", "ValueError"),
        ("The colour of the ball is blue", "blue"),
        ("The acid is sulfuric acid, H2SO4", "H2SO4"),
        ("The statement is true", "true"),
        ("The function never returns True", None),
        ("The culprit is not Alice", None),
        ("The first statement is true", None),
        ("The Nile is longer than the Amazon", None),
        ("The smaller is Canada", None),
        ("The winner is either Anna or Ben", None),
    ],
)
def test_only_a_sentence_that_leaves_no_choice_gives_its_value(sentence: str, said: str | None) -> None:
    assert predicate(sentence) == said


def test_code_expressions_and_labels_are_found() -> None:
    assert code("255 in hexadecimal is `ff`.") == "ff"
    assert code("It is not `ff`.") is None
    assert expression("The antiderivative is 2x³ − 4x + C.") == "2x³ − 4x + C"
    assert expression("The train is faster - it wins.") is None
    assert labelled("**Average speed:** 90 km/h") == "90 km/h"
    assert labelled("Note: 90 km/h is too fast") is None
    assert labelled("The ratio is 2 : 3") is None
