"""Last sentences whose figures are not what they say."""

import pytest

from orchestrator.consensus.extraction import extract_claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Therefore, in 10 days from Wednesday, it will be a **Saturday**.", "Saturday"),
        (
            "7 days later it is Wednesday again.\n\nSo in 10 days from Wednesday, it will be Saturday.",
            "Saturday",
        ),
        ("If today is Wednesday, in 10 days it will be Saturday.", "Saturday"),
        ("So the day 100 days from Tuesday is Thursday.", "Thursday"),
        ("Therefore, 5 months after March, it will be August.", "August"),
        ("So 3 weeks after Monday it will be **Monday**.", "Monday"),
        ("After 3 hours, the train is in **Berlin**.", "Berlin"),
        ("Of the 4 planets, the largest is **Jupiter**.", "Jupiter"),
    ],
)
def test_a_day_or_a_word_in_bold_is_said_not_the_figure_before_it(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("After 3 hours, the train has gone **240 km**.", "240 km"),
        ("The new price of the jacket after a 25% reduction is 60 euros.", "60 euros"),
        ("The value after the increase is 110.", "110"),
        ("The reduction is 20 euros.", "down by 20 euros"),
        ("It takes 3 days until it is Monday.", "It takes 3 days until it is Monday"),
        ("So 17 is **the answer**.", "17"),
        ("The sum is 42, which is **even**.", "42"),
        ("In 10 days, it will not be Monday.", "In 10 days, it will not be Monday"),
        ("In 10 days, it can't be Monday.", "In 10 days, it can't be Monday"),
        ("In 10 days, it may be Monday.", "In 10 days, it may be Monday"),
        ("Each of the 4 people who came paid 15 dollars.", "15 dollars"),
        ("Subtracting the 8 apples that were eaten leaves 12.", "12"),
        ("Tom multiplies 6 by 7 to get 42.", "42"),
        ("The area of a square with side 6 turns out to be 36.", "36"),
        ("It is **exactly** 12 km in all, which is **far**.", "12 km"),
    ],
)
def test_figures_count_where_no_day_is_said(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim
