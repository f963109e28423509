"""What is planted can be found, the answer follows from it, and nothing else in the text gives it."""

from __future__ import annotations

import re

import pytest

from benchmarks.documents import BOUND, simulated
from benchmarks.long_documents import KINDS, Case, cases
from planners.documents.sources import sources_of

MADE = cases(40, characters=6000)


def names_in(text: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]+", text))


@pytest.mark.parametrize("case", MADE, ids=lambda case: f"{case.kind} {case.number}")
def test_the_planted_paragraphs_give_the_answer(case: Case) -> None:
    paragraphs = [case.material[start:end] for start, end in case.planted]
    assert all(
        paragraph in case.material.split("\n\n") or paragraph in case.material for paragraph in paragraphs
    )
    told = " ".join(paragraphs).replace(",", "")
    numbers = list(map(int, re.findall(r"\d+", told)))
    if case.kind == "difference":
        assert any(a - b == int(case.answer) for a in numbers for b in numbers)
    else:
        assert case.answer in told
    if case.kind in ("two_hop", "chain"):
        first, second = paragraphs
        assert case.answer not in first.replace(",", "")
        assert not names_in(second) & names_in(case.text)  # only the first one leads to it
        assert names_in(second) & names_in(first)
        assert case.hops == 2
    assert case.is_right(f"So it is. Answer: {case.answer}")
    assert not case.is_right("Answer: 3") or case.answer == "3"


def test_what_is_needed_is_spread_over_the_text_in_several_documents() -> None:
    two = [case for case in MADE if len(case.planted) == 2]
    assert len(two) > 20
    assert all(abs(a[0] - b[0]) > 600 for case in two for a, b in [case.planted])
    assert all(len(sources_of(case.material)) == 3 for case in MADE)
    assert all(5000 < len(case.material) < 7500 for case in MADE)


def test_the_same_seed_gives_the_same_cases() -> None:
    assert cases(7, characters=6000) == MADE[:7]
    assert cases(3, characters=6000, seed=2) != MADE[:3]
    assert {case.kind for case in MADE} == set(KINDS)
    with pytest.raises(ValueError, match="there is no kind x"):
        cases(1, kinds=["x"])
    with pytest.raises(ValueError, match="at least one document"):
        cases(1, documents=0)


async def test_a_second_question_is_within_the_bound_on_the_simulator() -> None:
    second = await simulated()
    assert second.calls > 8
    assert second.ratio <= BOUND
