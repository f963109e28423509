from __future__ import annotations

import pytest

from planners.stated import ASIDE, likeliest, name_in, unit_text, values_in

ONE_VALUE = {
    "Paris has 2,102,650 inhabitants (2023).": (2_102_650, ""),
    "about 3.7 million": (3_700_000, ""),
    "The population of Berlin is about 3.7 million.": (3_700_000, ""),
    "12 km": (12_000, "m"),
    "1,234.5 €": (1234.5, "€"),
    "$5": (5, "$"),
    "USD 1,299": (1299, "$"),
    "The price is 19.99 euros.": (19.99, "€"),
    "GDP of $4.3 trillion in 2023": (4.3e12, "$"),
    "Mount Everest (8,849 m) is the highest mountain.": (8849, "m"),
    "The river Rhine is 1,233 km (766 mi) long.": (1_233_000, "m"),
    "The Danube is 2,850 km long and flows through ten countries.": (2_850_000, "m"),
    "It opened in 1889 and is 330 metres tall.": (330, "m"),
    "The tower was completed in 1889.": (1889, ""),
    "The 2023 census counted 3,755,251 people.": (3_755_251, ""),
    "The Boeing 747 has a range of 13,450 km.": (13_450_000, "m"),
    "About three million people live there.": (3_000_000, ""),
    "Paris is home to over 2 million people.": (2_000_000, ""),
    "The flight takes 2 hours 30 minutes.": (9000, "s"),
    "Population (2021): 2,102,650": (2_102_650, ""),
    "Berlin hat 3.755.251 Einwohner.": (3_755_251, ""),
    "La tour mesure 330,5 m de haut.": (330.5, "m"),
    "So 12 + 30 = 42. The total is 42 apples.": (42, ""),
    "48 / 2 = 24": (24, ""),
    "Answer: 42": (42, ""),
    r"It is \boxed{42}, not 41.": (42, ""),
    "<think>5 or 6?</think>7": (7, ""),
    "12%": (0.12, "share"),
    "x = 5": (5, ""),
    "-5 °C": (268.15, "K"),
    '{"price": "$5"}': (5, "$"),
}


@pytest.mark.parametrize("text", ONE_VALUE)
def test_the_value_that_prose_states(text: str) -> None:
    [value] = likeliest(values_in(text))
    assert value.quantity is not None
    assert (float(value.quantity.amount), value.kind) == ONE_VALUE[text]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("4 July 1776", ("date", (1776, 7, 4))),
        ("It was founded on July 4, 1776, in Philadelphia.", ("date", (1776, 7, 4))),
        ("The train leaves at 15:45.", ("clock", (56_700, None))),
        ("The meeting is at 3 pm.", ("clock", (54_000, None))),
        ("44 BC", ("year", (-44,))),
    ],
)
def test_a_date_or_a_time(text: str, moment: object) -> None:
    [value] = likeliest(values_in(text))
    assert (value.moment, value.kind) == (moment, "moment")


@pytest.mark.parametrize(
    "text",
    [
        "The Amazon is 6,400 km long, and the Nile is 6,650 km.",
        "He is 1.85 m tall and weighs 80 kg.",
        "The tower, opened in 1889, is 330 m high; it has 1,665 steps.",
        "Between 1914 and 1918",
        "10-12",
        "[1, 2]",
    ],
)
def test_several_values_are_several(text: str) -> None:
    assert len(likeliest(values_in(text))) > 1


@pytest.mark.parametrize(
    "nothing", ["not found", "Catch-22", "21st century", "one of the cities", "", None, True, []]
)
def test_nothing_is_made_of_what_states_no_value(nothing: object) -> None:
    assert values_in(nothing) == []


def test_a_number_in_a_title_and_the_year_of_a_figure_are_asides() -> None:
    assert [value.weight for value in values_in("Toy Story 2")] == [ASIDE]
    assert [value.text for value in values_in("Paris has 2,102,650 inhabitants (2023).")] == [
        "2,102,650 inhabitants",
        "2023",
    ]


def test_a_record_gives_its_value_with_its_unit_and_its_name() -> None:
    for record, amount in (
        ({"city": "Paris", "population": 2_102_650, "year": 2023}, 2_102_650),
        ({"name": "Everest", "height": "8,849 m", "id": 7}, 8849),
        ({"route": "A to B", "distance": 12.5, "unit": "km"}, 12_500),
        ({"route": "A to B", "distance_km": 12.5}, 12_500),
    ):
        [value] = likeliest(values_in(record))
        assert value.quantity is not None
        assert value.quantity.amount == amount
        assert name_in(record) in ("Paris", "Everest", "A to B")
    assert name_in({"Ollo": "It is 5 km long.", "Vurm": 7}) == name_in({"Ollo": "It is long."}) == ""
    assert name_in({"a": 1}) == name_in({"a": "x", "b": "y"}) == name_in("x") == ""


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("12 km", "km"),
        ("4,806 m high", "m"),
        ("$5", "$"),
        ("about 3.7 million", ""),
        ("3.7 million people", "people"),
        ("2 hours 30 minutes", "hours"),
        ("643,801 square kilometres", "square kilometres"),
    ],
)
def test_the_unit_as_it_is_written(text: str, unit: str) -> None:
    [value] = values_in(text)
    assert unit_text(value) == unit


def test_a_very_long_text_is_not_searched() -> None:
    assert values_in("It is 5 km. " * 5_000) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("In 1820, Ollo had 5,300 inhabitants", 5300),
        ("The town of Ollo had 5,300 inhabitants in 1820.", 5300),
        ("The temperature was -5 °C in Ollo.", -5),
        ("It is 5 degrees below zero there.", -5),
        ("3 Mrd. Euro", 3_000_000_000),
        ("5,3 Millionen", 5_300_000),
        ("It is 5 ft 11 in tall.", None),
        ("The tower was finished in 1889 and 330 m high.", 330),
    ],
)
def test_one_value_is_read_from_prose(text: str, number: int | None) -> None:
    [value] = likeliest(values_in(text))
    assert value.quantity is not None
    assert number is None or value.quantity.value == number


def test_what_comes_after_a_unit_is_no_part_of_it() -> None:
    degrees, inhabitants = values_in("It was -5 °C in Ollo.")[0], values_in("Ollo had 300 people in 1820.")[0]
    assert degrees.quantity is not None
    assert degrees.quantity.unit == "K"
    assert inhabitants.text == "300 people"


@pytest.mark.parametrize(
    "text",
    [
        "about 2 to 3 hours",
        "It takes between 2 and 3 hours.",
        "It weighs 5 +/- 1 kg.",
        "It is 2 or 3 km long.",
    ],
)
def test_of_two_numbers_that_share_a_unit_neither_is_taken_alone(text: str) -> None:
    assert len(likeliest(values_in(text))) == 2
