"""Numbers that were computed: which text gives the same one, and how they are shown."""

from __future__ import annotations

import pytest

from orchestrator.consensus.equivalence import Clusters, compare, read_form
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.rounding import rounded, shown_as

LONG = "66.6666666667"


def same(left: str, right: str) -> bool:
    one, other = (compare(read_form(a), read_form(b)) for a, b in ((left, right), (right, left)))
    assert one == other
    return one is not None and one[1]


@pytest.mark.parametrize(
    ("computed", "told"),
    [
        (LONG, "66.67"),
        (LONG, "66.7 km/h"),
        (LONG, "$66.67"),
        (LONG, "66.66666666666667"),
        ("0.6666666667", "0.67"),
        ("0.6666666667", "66.67%"),
        ("16666.6666667", "16,667"),
        ("3.1415926536", "3.14"),
        ("-3.1415926536", "-3.14"),
    ],
)
def test_a_text_that_rounds_what_was_computed_gives_the_same_answer(computed: str, told: str) -> None:
    assert same(computed, told)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (LONG, "67"),
        (LONG, "about 67"),
        (LONG, "66.66"),
        (LONG, "66.68"),
        ("3.1", "3.14"),
        ("3.1415926536", "3.1"),
        ("12", "12.4"),
        ("12", "12.3999999999"),
        ("100", "100.4567891"),
        ("0.0123456789", "0.01"),
        ("12.3456", "12.35"),
        ("16666.6666667 km", "16,667 miles"),
        ("1.5", "1.5000000001"),
    ],
)
def test_fewer_digits_or_two_short_numbers_give_different_answers(left: str, right: str) -> None:
    assert not same(left, right)


def clustered(*claims: str) -> list[list[str]]:
    clusters = Clusters()
    for index, claim in enumerate(claims):
        clusters.add(index, Claim(claim, "whole"))
    return [[form.text for form in cluster.forms] for cluster in clusters.members]


def test_a_long_number_joins_no_two_that_contradict_each_other() -> None:
    assert clustered(LONG, "66.67", "66.7 km/h") == [[LONG, "66.67", "66.7 km/h"]]
    assert clustered("66.67 km/h", LONG, "66.67 mph") == [["66.67 km/h", LONG], ["66.67 mph"]]
    assert clustered("3.14", "3.1", "3.1415926536") == [["3.14", "3.1415926536"], ["3.1"]]
    assert clustered("3.14", "3.1415926536", "3.1399999999") == [["3.14", "3.1415926536"], ["3.1399999999"]]
    assert clustered("667", "666.6666666667", "666.67") == [["667", "666.6666666667"], ["666.67"]]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (LONG, "66.67"),
        ("-0.0001234567891", "-0.0001235"),
        ("16666.6666667", "16666.67"),
        ("24691.3578", "24691.3578"),
        ("0.0078125", "0.0078125"),
        ("1.2345678912e-17", "1.235e-17"),
        ("1.3333333333, 2.6666666667", "1.333, 2.667"),
        ("999.9999999", "1000"),
        ("version 1.2.3456789012", "version 1.2.3456789012"),
    ],
)
def test_what_does_not_end_is_rounded(number: str, told: str) -> None:
    assert rounded(number) == told


def test_people_are_shown_a_wording_that_rounds_or_the_number_rounded() -> None:
    assert shown_as([LONG, "66.67 km/h"], [], "How fast?") == "66.67 km/h"
    assert shown_as([LONG], [LONG], "How fast?") == "66.67"
    assert shown_as(["66.7", LONG], [LONG], "How fast?") == "66.7"


def test_digits_that_somebody_wrote_or_asked_for_stay() -> None:
    assert shown_as(["3.1415926536"], [], "What is pi?") == "3.1415926536"
    assert shown_as([LONG], [LONG], "What is 200/3 to ten decimal places?") == LONG
