"""Which part of a sentence, and which of its figures, is meant."""

from __future__ import annotations

import pytest

from orchestrator.consensus.extraction import extract_claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        # what is affirmed
        ("The answer is not 4 but 5.", "5"),
        ("It is 5, not 4.", "5"),
        ("All real numbers except 3.", "All real numbers except 3"),
        # a clause without figures
        ("With p = 0.27, the conclusion is that we reject it.", "the conclusion is that we reject it"),
        ("There is no solution, because D = -16 < 0.", "There is no solution"),
        ("$x=7$, so there are seven notebooks.", "seven notebooks"),
        ("91 = 7·13, hence yes, it is composite.", "yes"),
        # what only accompanies the answer
        ("Mia ends up with 53 stickers, 5 more than the 48 she had.", "53 stickers"),
        ("408 bottles were shipped, on 17 pallets.", "408 bottles"),
        ("So the traveller gets 450 euros for her 500 dollars.", "450 euros"),
        ("97 is the smallest prime above 90. (The next one is 101.)", "97"),
        ("36 hours are needed.", "36 hours"),
        ("At least 15 players are needed.", "At least 15 players"),
        # what its value depends on
        ("5 students failed.", "5 students failed"),
        ("It takes 6 workers to finish in 10 days.", "It takes 6 workers to finish in 10 days"),
        ("The price fell by 5%.", "down by 5%"),
        ("The price rose to $5.", "to $5"),
        ("The loss was $20.", "a loss of $20"),
        ("He owes $2,500.", "owes $2,500"),
        ("He is owed $2,500.", "is owed $2,500"),
        ("Final answer: > 5000 m", "> 5000 m"),
        ("It contains 2 mol of H2O.", "2 mol of H2O"),
        ("The table is 5 m wide.", "5 m wide"),
        ("The chance is 1 in a million.", "1 in a million"),
        ("It takes three quarters of an hour.", "three quarters of an hour"),
        ("He rises at half past ten in the morning.", "half past ten in the morning"),
        ("The call is on Monday at 5 pm.", "Monday at 5 pm"),
        ("It is 9 am New York time.", "9 am New York time"),
        ("It was World War 2.", "World War 2"),
        ("He was Louis 14.", "Louis 14"),
        ("The answer is 4. Juli 1776", "4. Juli 1776"),
        ("It was signed on the fourth of July 1776.", "fourth of July 1776"),
        ("There are C(5,2) ways.", "C(5,2)"),
        ("It runs in O(n log n).", "O(n log n)"),
        ("The solutions are x = 2, -2.", "x = 2, -2"),
        ("所以一共有 5 个以上。", "at least 5"),
        ("Il faut au moins 15 joueurs.", "at least 15"),
        ("速度是每小时60公里。", "60 km/h"),
    ],
)
def test_a_figure_is_taken_with_what_it_depends_on_and_no_more(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("La respuesta no es cinco.", "La respuesta es cinco."),
        ("Non sono cinque.", "Sono cinque."),
        ("El precio bajó un 5%.", "El precio subió un 5%."),
        ("减少了5%。", "增加了5%。"),
        ("全部で5個未満です。", "全部で5個です。"),
        ("5番目です。", "5です。"),
        ("Das sind 5 Prozentpunkte.", "Das sind 5 Prozent."),
        ("Loss: $20", "Profit: $20"),
        ("It is on Friday at noon.", "It is on Sunday at noon."),
        ("The rate rose by 5%.", "The rate rose to 5%."),
        ("The price is $80 before tax.", "The price is $80 after tax."),
    ],
)
def test_what_differs_is_in_the_claims(one: str, other: str) -> None:
    first, second = extract_claim(one), extract_claim(other)
    assert first is not None
    assert second is not None
    assert first.text != second.text
