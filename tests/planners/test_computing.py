from __future__ import annotations

from typing import Any

import pytest

from planners.computing import COMPUTING, as_number, as_operand, as_value, reading_for, with_names
from workers.errors import ToolError

TOOLS = {tool.name: tool for tool in COMPUTING}


async def call(name: str, *values: Any, **arguments: Any) -> Any:
    return await TOOLS[name].invoke(arguments or list(values))


@pytest.mark.parametrize(
    ("value", "number", "operand"),
    [
        ("Paris has 2,102,650 inhabitants (2023).", "2102650", "2102650"),
        ("about 3.7 million", "3700000", "3700000"),
        ("12 km", "12", "12 km"),
        ("1,234.5 €", "1234.5", "€1234.5"),
        ("$5", "5", "$5"),
        (-5, "(-5)", "(-5)"),
        ("-5 °C", "(-5)", "(-5 °C)"),
        ("12%", "0.12", "0.12"),
        ("1/3", "(1/3)", "(1/3)"),
        ("2 hours 30 minutes", "2.5", "2.5 hours"),
        ({"city": "Paris", "population": 5}, "5", "5"),
        (0.1, "0.1", "0.1"),
        ("three", "3", "3"),
    ],
)
def test_the_number_of_a_result(value: object, number: str, operand: str) -> None:
    assert (as_number(value), as_operand(value)) == (number, operand)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("not found", "no number can be made out in 'not found'"),
        (None, "no number"),
        (True, "no number"),
        ("6,400 km, and in flood 6,650 km", "several values stand in .*: 6,400 km, 6,650 km"),
        ("4 July 1776", "is a date or a time"),
        ("2π", "no number in figures"),
    ],
)
def test_what_states_no_number_is_refused_in_words(value: object, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        as_number(value)


def test_a_list_of_numbers_is_what_a_function_takes() -> None:
    assert as_operand([1, "2 km"]) == "1, 2 km"


@pytest.mark.parametrize("value", ["It is 5 km long.", "4 July 1776", {"a": 1, "b": 2}, [1, 2], 5])
def test_what_is_compared_keeps_its_unit_its_date_and_its_names(value: object) -> None:
    assert as_value(value) is value


@pytest.mark.parametrize("value", ["not found", "6,400 km, and in flood 6,650 km", [], None])
def test_what_cannot_be_compared_is_refused(value: object) -> None:
    with pytest.raises(ToolError):
        as_value(value)


def test_only_an_expression_is_given_numbers() -> None:
    assert (reading_for("calculate"), reading_for("argmax")) == (as_operand, as_value)


def test_results_without_names_are_called_by_what_tells_their_calls_apart() -> None:
    calls = {"$1": 'weight("Ollo")', "$2": 'weight("Vurm")'}
    assert with_names({"a": "$1", "b": "$2"}, calls.get)["names"] == ["Ollo", "Vurm"]
    assert with_names({"values": ["$1", "$2"]}, calls.get)["names"] == ["Ollo", "Vurm"]
    for named in (
        {"a": "$1", "b": "5"},
        {"values": {"Ollo": "$1", "Vurm": "$2"}},
        {"values": ["$1", "$2"], "names": ["x", "y"]},
        {"values": "$1"},
        {"values": ["$1"]},
        {"expression": "$1 + $2"},
    ):
        assert with_names(named, calls.get) == named


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(2102650 + 1,000) / 2", "1051825"),
        ("(5 km + 4000 m) / 2", "4.5 km"),
        ("5 km / 500 m", "10"),
        ("120 km / 2 h", "60"),
        ("$5 + $3.50", "$8.5"),
        ("3 * 5 km", "15 km"),
        ("5 km + 3", "8 km"),
        ("2102650 people + 5 people", "2102655"),
        ("2 million * 3", "6000000"),
        ("sum(1, 2, 3)", "6"),
        ("average([1, 2, 3])", "2"),
        ("round(10/3, 2)", "3.33"),
        ("3 x 4 =", "12"),
        ("10 % 3", "1"),
        ("12% * 50", "6"),
        ("(-5 °C) - 3 °C", "-8 °C"),
        ("2^10 + sqrt(16)", "1028"),
    ],
)
async def test_calculate(expression: str, value: str) -> None:
    assert await call("calculate", expression) == value


@pytest.mark.parametrize("expression", ["5 km + 3 kg", "5 + x", "1 / 0", ""])
async def test_calculate_refuses_what_has_no_value(expression: str) -> None:
    with pytest.raises(ToolError):
        await call("calculate", expression)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (2_102_650, 2_748_109, "2748109 is more than 2102650, by 645459"),
        ({"Ollo": 5}, {"Vurm": "7"}, "Vurm (7) is more than Ollo (5), by 2"),
        ("5 km", "4,000 m", "5 km is more than 4,000 m, by 1 km"),
        ("12 km", 15, "15 is more than 12 km, by 3 km"),
        ("$1,299", "$1,199.50", "$1,299 is more than $1,199.50, by $99.5"),
        ("-5 °C", "68 °F", "68 °F is more than -5 °C, by 45 °F"),
        (
            "4 July 1776",
            "14 July 1789",
            "14 July 1789 is later than 4 July 1776, by 4758 days (13 full years)",
        ),
        ("July 1789", "4 July 1776", "July 1789 is later than 4 July 1776, by 13 years"),
        ("15:45", "3:50 pm", "3:50 pm is later than 15:45, by 5 minutes"),
        ({"city": "Ollo", "size": 5}, {"city": "Vurm", "size": 7}, "Vurm (7) is more than Ollo (5), by 2"),
        ("1 km", "1,000 m", "Equal: 1 km = 1,000 m"),
    ],
)
async def test_compare(a: Any, b: Any, says: str) -> None:
    assert await call("compare", a, b) == says


async def test_names_may_be_the_names_of_arguments_or_stand_in_a_list() -> None:
    assert await call("compare", Ollo=5, Vurm=7) == "Vurm (7) is more than Ollo (5), by 2"
    assert await call("compare", a={"Ollo": 5}, Vurm=7) == "Vurm (7) is more than Ollo (5), by 2"
    assert await call("compare", a={"Ollo": 5, "Vurm": 7}) == "Vurm (7) is more than Ollo (5), by 2"
    assert await call("compare", 5, 7, ["Ollo", "Vurm"]) == "Vurm (7) is more than Ollo (5), by 2"
    assert await call("argmax", Ollo=5, Vurm=7) == "Vurm"
    assert await call("compare", Ollo=5, Vurm=7, Zab=6) == "From the largest: Vurm (7) > Zab (6) > Ollo (5)"
    with pytest.raises(ToolError, match="nothing to compare"):
        await call("argmax")
    with pytest.raises(ToolError, match="compare takes two values"):
        await call("compare", Ollo=5)


async def test_the_largest_the_smallest_and_the_order() -> None:
    values = {"Ollo": "about 3.7 million", "Vurm": 2_000_000, "Zab": "4,000,000 people"}
    assert await call("argmax", values) == "Zab"
    assert await call("argmin", values) == "Vurm"
    assert await call("sort", values) == "Zab, Ollo, Vurm"
    assert await call("sort", values, "ascending") == "Vurm, Ollo, Zab"
    assert await call("argmin", {"Ollo": "4 July 1776", "Vurm": "1 May 1707"}) == "Vurm"


async def test_ties_are_said() -> None:
    assert await call("argmax", {"Ollo": 3, "Vurm": 3, "Zab": 1}) == "Ollo and Vurm (tied)"
    assert await call("sort", {"Ollo": 1, "Vurm": 3, "Zab": 3}) == "Vurm = Zab, Ollo"


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("> 100", ["Vurm", "Zab"]),
        ("above 100", ["Vurm", "Zab"]),
        ("at least 101", ["Vurm", "Zab"]),
        ("is greater than 100", ["Vurm", "Zab"]),
        ({"above": 100}, ["Vurm", "Zab"]),
        ({"at_least": 101}, ["Vurm", "Zab"]),
        (["<", 101], ["Ollo"]),
        ("≤ 101", ["Ollo", "Vurm"]),
        ("between 100 and 150", ["Vurm"]),
        ("before 100", ["Ollo"]),
        ("= 101", ["Vurm"]),
        ("not 101", ["Ollo", "Zab"]),
        ("< 5", []),
    ],
)
async def test_filter_names_and_counts(condition: Any, names: list[str]) -> None:
    found = await call("filter", {"Ollo": 99, "Vurm": 101, "Zab": 200}, condition)
    assert found == {"count": len(names), "names": names}


async def test_filter_converts_and_refuses() -> None:
    assert await call("filter", {"Ollo": "5 km", "Vurm": "7 km"}, "longer than 6,000 m") == {
        "count": 1,
        "names": ["Vurm"],
    }
    assert (await call("filter", {"Ollo": "1 May 1899", "Vurm": 1905}, "before 1900"))["names"] == ["Ollo"]
    with pytest.raises(ToolError, match="is no condition"):
        await call("filter", {"Ollo": 1}, "large")


def test_what_a_model_is_told_is_short() -> None:
    told = [f"{tool.name}({', '.join(tool.parameters)}): {tool.description}" for tool in COMPUTING]
    assert sum(len(each) for each in told) < 900


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("greater than or equal to 100", ["b", "c"]),
        ("less than or equal to 100", ["a", "b"]),
        ("not more than 100", ["a", "b"]),
        ("not less than 100", ["b", "c"]),
        ("not > 100", ["a", "b"]),
        ("not equal to 100", ["a", "c"]),
        ("=> 100", ["b", "c"]),
        ("!= 100", ["a", "c"]),
        ("100 or more", ["b", "c"]),
        ("100 or less", ["a", "b"]),
        ("exceeds 100", ["c"]),
        ({"min": 100, "max": 120}, ["b"]),
    ],
)
async def test_a_condition_means_what_its_words_say_at_the_limit_too(
    condition: object, names: list[str]
) -> None:
    found = await call("filter", values={"a": 50, "b": 100, "c": 150}, condition=condition)
    assert found["names"] == names


@pytest.mark.parametrize(
    "condition", ["> 100 or < 10", ">= 60 and < 120", "> not 100", "x > 100", ">" * 9_000]
)
async def test_a_condition_that_is_more_than_one_is_refused(condition: str) -> None:
    with pytest.raises(ToolError):
        await call("filter", values={"a": 50, "b": 100, "c": 150}, condition=condition)


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("from smallest to largest", "a"),
        ("largest to smallest", "b"),
        ("by population, ascending", "a"),
        ("by population, descending", "b"),
    ],
)
async def test_an_order_is_read_where_it_stands(order: str, first: str) -> None:
    assert (await call("sort", values={"a": 1, "b": 3, "c": 2}, order=order)).startswith(first)


async def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(ToolError, match='give "ascending" or "descending"'):
        await call("sort", values={"a": 1, "b": 3}, order="as it comes")


async def test_the_oldest_is_the_largest_of_ages_and_the_earliest_of_dates() -> None:
    assert await call("sort", values={"a": "3 years", "b": "9 years"}, order="oldest first") == "b, a"
    assert await call("sort", values={"a": 1903, "b": 1999}, order="oldest first") == "a, b"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("March 2020", "May 2019", "March 2020 is later than May 2019, by 10 months"),
        ("1999", "12 May 1998", "1999 is later than 12 May 1998"),
        ("3 Mrd. Euro", "5 Mio. Euro", "3 Mrd. Euro is more than 5 Mio. Euro, by 2995000000 Euro"),
    ],
)
async def test_how_far_two_are_apart_is_said_only_as_exactly_as_they_are_given(
    a: str, b: str, said: str
) -> None:
    assert await call("compare", a, b) == said


async def test_the_scale_of_a_number_is_not_also_in_its_unit() -> None:
    assert await call("calculate", "3.5 million km * 2") == "7000000 km"
    assert await call("calculate", "2 million dollars + 1 million dollars") == "3000000 dollars"


async def test_dates_are_not_subtracted_as_numbers() -> None:
    with pytest.raises(ToolError, match="is a date"):
        await call("calculate", "2020-03-04 - 2019-03-04")


async def test_names_with_numbers_in_them_are_names() -> None:
    assert await call("argmax", ["Apollo 11", 1969, "Apollo 12", 1970]) == "Apollo 12"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12% of 400", "48"),
        ("15% of $80", "12"),
        ("400 * (1 + 10%)", "440"),
        ("50% + 20%", "0.7"),
        ("400 + 10% of 400", "440"),
        ("10 % 3", "1"),
    ],
)
async def test_shares(expression: str, value: str) -> None:
    assert await call("calculate", expression) == value


@pytest.mark.parametrize("expression", ["400 + 10%", "(2 * 40) - 5 %", "80 - 20%"])
async def test_a_share_that_is_added_to_something_else_is_refused(expression: str) -> None:
    with pytest.raises(ToolError, match="is not clear"):
        await call("calculate", expression)


@pytest.mark.parametrize(
    ("result", "twice"),
    [
        ("3 hours and 20 minutes", "6.6666666667 hours"),
        ("2 h 40 min", "5.3333333333 h"),
        ("2½ hours", "5 hours"),
        ("½ hour", "1 hour"),
        ("30 km2", "60 km2"),
        ("5 ft 11 in", "11.8333333333 ft"),
        ("1.2e-7 m", "0.00000024 m"),
        ("1.2 \u00d7 10^6 km", "2400000 km"),
    ],
)
async def test_every_result_with_a_unit_can_be_computed_with(result: str, twice: str) -> None:
    assert await call("calculate", f"{as_operand(result)} * 2") == twice


CALLS = {"$1": 'ask("How tall is Ollo?")', "$2": 'ask("How tall is Vurm?")', "$3": 'ask("And $1?")'}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"values": {"Ollo": "$2", "Vurm": "$1"}}, {"values": {"Ollo": "$1", "Vurm": "$2"}}),
        ({"Ollo": "$2", "Vurm": "$1"}, {"Ollo": "$1", "Vurm": "$2"}),
        (
            {"a": "$2", "b": "$1", "names": ["Ollo", "Vurm"]},
            {"a": "$1", "b": "$2", "names": ["Ollo", "Vurm"]},
        ),
        ({"values": {"Ollo": "$3", "Vurm": "$1"}}, {"values": {"Ollo": "$3", "Vurm": "$1"}}),
        ({"values": {"Ollo": "$1", "Ol": "$2"}}, {"values": {"Ollo": "$1", "Ol": "$2"}}),
        ({"values": {"tall": "$1", "Vurm": "$2"}}, {"values": {"tall": "$1", "Vurm": "$2"}}),
        ({"values": {"Ollo": 5, "Vurm": 7}}, {"values": {"Ollo": 5, "Vurm": 7}}),
    ],
)
def test_names_go_with_the_results_of_the_calls_that_speak_of_them(given: Any, meant: Any) -> None:
    assert with_names(given, CALLS.get) == meant
