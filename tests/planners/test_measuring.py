from __future__ import annotations

import pytest

from planners.measuring import MOST, difference, entries_of, measured, ranked, told_apart
from workers.errors import ToolError


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"Ollo": 1, "Vurm": 2}, None),
        ('{"Ollo": 1, "Vurm": 2}', None),
        ({"cities": [{"name": "Ollo", "size": 1}, {"name": "Vurm", "size": 2}]}, None),
        ([{"Ollo": 1}, {"Vurm": 2}], None),
        ([["Ollo", 1], ["Vurm", 2]], None),
        ([[1, "Ollo"], [2, "Vurm"]], None),
        (["Ollo", 1, "Vurm", 2], None),
        ([1, 2], ["Ollo", "Vurm"]),
        (["Ollo", "Vurm"], [1, 2]),
        ("Ollo: 1, Vurm: 2", None),
        ("Ollo=1", "Vurm=2"),
        ('Ollo": 1', 'Vurm": 2'),
        (["Ollo: 1", "Vurm: 2"], None),
    ],
)
def test_names_and_values_in_any_form(values: object, names: object) -> None:
    measures = measured(entries_of(values, names))
    assert [(each.name, each.value.text) for each in measures] == [("Ollo", "1"), ("Vurm", "2")]


def test_a_sentence_is_called_by_itself_and_a_value_by_its_text() -> None:
    sentence, value = measured(entries_of(["Ollo has 1,000 inhabitants.", "2,000"]))
    assert (sentence.called, value.called) == ("Ollo has 1,000 inhabitants", "2,000")
    assert sentence.with_value == "Ollo has 1,000 inhabitants"


def test_what_cannot_be_compared_is_refused_in_words() -> None:
    for values, names, why in (
        ({}, None, "nothing to compare"),
        ([1, 2], ["a"], "2 values, but 1 names"),
        (list(range(MOST + 1)), None, "too many"),
        ({"a": "unknown", "b": 1}, None, "in the value of a: 'unknown'"),
        ({"a": "5 km", "b": "3 kg"}, None, "cannot be compared: 5 km, 3 kg"),
        ({"a": "$5", "b": "4 €"}, None, "cannot be compared"),
        ({"a": "5 apples", "b": "3 kg"}, None, "cannot be compared"),
        ({"a": "4 July 1776", "b": "15:30"}, None, "cannot be compared"),
        ({"a": "10%", "b": 0.5}, None, "cannot be compared"),
        (["It is 5 km, or 7 km by road.", "6 km"], None, "several values stand in"),
    ):
        with pytest.raises(ToolError, match=why):
            measured(entries_of(values, names))


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("5 km", "4,000 m"),
        ("1 mile", "1.5 km"),
        ("68 °F", "-5 °C"),
        ("20 C", "60 °F"),
        ("2 hours", "90 minutes"),
        ("3 million people", "2,900,000 inhabitants"),
        ("7 oranges", "5 apples"),
        ("15", "12 km"),
        ("14 July 1789", "4 July 1776"),
        ("1789", "4 July 1776"),
        ("July 1776", "1775"),
        ("4:10 pm", "15:45"),
        ("12 BC", "44 BC"),
        ("1 May 1707", "44 BC"),
        ("It is 330 m tall and has 1,665 steps.", "The tower is 93 m high."),
    ],
)
def test_which_of_two_is_more(more: str, less: str) -> None:
    a, b = measured(entries_of([more, less]))
    assert difference(a, b) > 0 > difference(b, a)


def test_ties_and_dates_that_do_not_say_enough() -> None:
    groups = ranked(measured(entries_of({"a": "1 km", "b": "2 km", "c": "1,000 m"})))
    assert [[each.name for each in group] for group in groups] == [["b"], ["a", "c"]]
    with pytest.raises(ToolError, match="cannot be told apart"):
        ranked(measured(entries_of(["1776", "4 July 1776"])))


@pytest.mark.parametrize(
    ("texts", "apart"),
    [
        (['height("Mont Blanc")', 'height("K2")'], ["Mont Blanc", "K2"]),
        (['height("Ollo")', 'size("Vurm")'], ['height("Ollo")', 'size("Vurm")']),
        (['mayor("$1")', 'mayor("$2")'], ['mayor("$1")', 'mayor("$2")']),
        (["height of Mont Blanc", "height of K2"], ["Mont Blanc", "K2"]),
        (["How many people live in Ollo?", "How many people live in Vurm?"], ["Ollo", "Vurm"]),
        (["Ollo", "Ollo Town"], ["Ollo", "Ollo Town"]),
        (["same", "same"], ["same", "same"]),
        ([], []),
    ],
)
def test_what_tells_texts_apart(texts: list[str], apart: list[str]) -> None:
    assert told_apart(texts) == apart
