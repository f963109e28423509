import pytest

from orchestrator.consensus.reading.phrases import phrases, trimmed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at least 5 and at most 7", ["at least 5 and at most 7"]),
        ("2 hours and 30 minutes", ["2 hours and 30 minutes"]),
        ("5 kg of 10 apples", ["5 kg", "10 apples"]),
        ("10% of 50", ["10% of 50"]),
        ("5 in the box", ["5"]),
        ("5 in long", ["5 in long"]),
        ("60 miles per hour", ["60 miles per hour"]),
        ("$5 per person", ["$5 per person"]),
        ("40 long red hair clips", ["40"]),
        ("40 very thin red clips", ["40"]),
        ("9 primes less than 30", ["9 primes", "30"]),
    ],
)
def test_figures_come_with_bounds_units_and_what_they_are_one_answer_with(
    text: str, found: list[str]
) -> None:
    assert [phrase.text for phrase in phrases(text)] == found


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("72 in total", "72"),
        ("72 clips in total", "72 clips"),
        ("5 if x is odd", "5 if x is odd"),
        ("Paris", "Paris"),
    ],
)
def test_only_what_says_nothing_of_the_value_is_trimmed(answer: str, value: str) -> None:
    assert trimmed(answer) == value
