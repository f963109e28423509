"""What is given back of the examples."""

from __future__ import annotations

import pytest

from orchestrator.runtime.values import Question
from planners.invented import given_back


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("Fresh Ollo grass for the Vurms", "Ollo"),
        ("two Vurms", "Vurm"),
        ("it is 7,319 or more", "7319"),
        ("17319 or 73190, Vurmhold, and follows", ""),
        ("", ""),
    ],
)
def test_names_and_numbers_of_the_examples_are_found(text: str, back: str) -> None:
    assert given_back(Question("What is it?"), text) == back


def test_what_is_asked_for_is_not_given_back() -> None:
    asked = Question("Is Vurm in Ollo?", context="7,319 live there.", choices=("Quembly", "no"))
    assert given_back(asked, "Vurm, Ollo, 7319 and Quembly") == ""
    assert given_back(asked, "Vurm, 5083") == "5083"
