import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.quantities.moments import ordinal, read_moment


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31)))
def test_a_date_is_one_in_every_order(date: datetime.date) -> None:
    written = (
        "%d %B %Y",
        "%B %d, %Y",
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%A, %d %b %Y",
        "%b. %d %Y",
        "%Y/%m/%d",
        "%Y %B %d",
    )
    found = {read_moment(date.strftime(form)) for form in written}
    assert found == {("date", (date.year, date.month, date.day))}


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31)))
def test_figures_are_a_date_only_where_they_can_be_one_alone(date: datetime.date) -> None:
    found = read_moment(date.strftime("%m/%d/%Y"))
    assert found is not None
    assert (found[0] == "date") == (date.day > 12 or date.day == date.month)


@given(st.times())
def test_a_time_is_one_in_both_notations(time: datetime.time) -> None:
    time = time.replace(second=0, microsecond=0)
    twelve = f"{time.hour % 12 or 12}:{time:%M} {'am' if time.hour < 12 else 'pm'}"
    assert read_moment(twelve) == ("clock", (time.hour * 3600 + time.minute * 60, None))
    if time.hour == 0 or time.hour >= 12 or time.hour < 10:
        assert read_moment(f"{time:%H:%M}") == read_moment(twelve)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5.30",
        "25:00",
        "32 May 1990",
        "5 apples",
        "May",
        "13:00 pm",
        "half",
        "3/4",
        "1.2.3",
    ],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert read_moment(text) is None


@pytest.mark.parametrize("text", ["5:30", "10:45", "half past five"])
def test_a_time_without_its_half_of_the_day_is_neither(text: str) -> None:
    found = read_moment(text)
    assert found is not None
    assert found[0] == "clock of either half"


def test_zones_shift_the_time() -> None:
    assert read_moment("17:00 UTC") == read_moment("12:00 EST") == read_moment("18:00 +01:00")
    assert read_moment("17:00 UTC") != read_moment("17:00")


@pytest.mark.parametrize(
    ("word", "number"), [("first", 1), ("twelfth", 12), ("twentieth", 20), ("ninety-ninth", 99)]
)
def test_ordinals_in_words(word: str, number: int) -> None:
    assert ordinal(word) == number


@pytest.mark.parametrize("word", ["one", "twenty", "twenty-tenth", "", "fiftieth-first", "firsth"])
def test_other_words_are_no_ordinals(word: str) -> None:
    assert ordinal(word) is None
