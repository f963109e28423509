from __future__ import annotations

import pytest

from orchestrator.consensus.asked import claim_for, says_nothing
from orchestrator.consensus.restating import LONGEST, restated

BOILS = "Does water boil at a lower temperature on a high mountain than at sea level?"


@pytest.mark.parametrize(
    ("question", "sentence", "said"),
    [
        (BOILS, "water boils at a lower temperature on a high mountain than at sea level", "Yes"),
        (
            BOILS,
            "Therefore, water does not boil at a lower temperature on a high mountain than at sea level.",
            "No",
        ),
        (BOILS, "Water boils at a higher temperature on a high mountain than at sea level.", None),
        ("Do spiders have six legs?", "Spiders have six legs.", "Yes"),
        ("Do spiders have six legs?", "Spiders have eight legs.", None),
        ("Do spiders have six legs?", "No, spiders have six legs.", None),
        ("Is 91 a prime number?", "91 is not a prime number.", "No"),
        ("Is 91 a prime number?", "91 isn't a prime number.", "No"),
        ("Can a fly land on the box?", "A fly cannot land on the box.", "No"),
        ("Can a fly land on the box?", "A fly can\u2019t land on the box.", "No"),
        ("Will it rain in Rome?", "It won't rain in Rome.", "No"),
        ("Can a fly land on the box?", "The flies can land on the box.", "Yes"),
        ("I have 3 boxes. Is each box full?", "Each box is full.", "Yes"),
        ("Isn't 7 a prime number?", "7 is a prime number.", None),
        ("Is 7 not a prime number?", "7 is not a prime number.", None),
        ("Is it not so?", "It is so.", None),
        ("Is a whale a fish or a mammal?", "A whale is a fish.", None),
        ("Which is larger?", "Which is larger.", None),
        ("Are cats never not hungry?", "Cats are never not hungry.", None),
        ("Is Rome in Italy?", "Italy is in Rome.", None),
        ("Is 7 < 5?", "So 7 > 5.", None),
        ("Is 5 + 3 = 9?", "5 + 3 ≠ 9", None),
        ("Is -5 > 3?", "5 > 3", None),
        ("Is 4 + 4 > 9 - 2?", "4 - 4 > 9 + 2", None),
        ("Is a tomato a vegetable?", "Is a tomato a vegetable?", None),
        ("Is a tomato a vegetable?", "A tomato is a vegetable?", None),
        ("Is this rock larger than that rock?", "That rock is larger than this rock.", None),
        ("Could dogs fly?", "Dogs should fly.", None),
        ("Is " + "very " * LONGEST + "old?", "Very old.", None),
    ],
)
def test_a_sentence_that_restates_a_question_says_yes_or_no(
    question: str, sentence: str, said: str | None
) -> None:
    assert restated(question, sentence) == said


def test_a_text_that_ends_by_restating_its_question_claims_yes_or_no() -> None:
    text = (
        "At height the pressure is lower.\n"
        "Therefore, water boils at a lower temperature on a high mountain than at sea level."
    )
    claim = claim_for(BOILS, text)
    assert claim is not None
    assert claim.text == "Yes"
    for text in (
        "Answer: No\n\nWater boils at height?",
        "It is false that\nThe Earth is flat.",
        "**No**\n\nIs it flat?",
    ):
        claim = claim_for("Is the Earth flat?", text)
        assert claim is None or claim.text != "Yes"
    boxed = claim_for(BOILS, r"So it is. \boxed{No}")
    assert boxed is not None
    assert boxed.text == "No"


@pytest.mark.parametrize(
    ("question", "claim", "nothing"),
    [
        ("Which is longer, a mile or 1500 metres?", "No", True),
        ("How many legs has a spider?", "Yes", True),
        ("what is the capital of France?", "yes", True),
        ("Was ist größer, 3 oder 4?", "Nein", False),
        ("Is 7 prime?", "No", False),
        ("What is the opposite of yes?", "No", False),
        ("What is true of cats: do they bark?", "No", False),
        ("Which is longer?", "No mile is", False),
        ("When water freezes, does it expand?", "Yes", False),
        ("What's more, is 5 odd?", "Yes", False),
        ("Where there is smoke, is there fire?", "No", False),
        ("What is the chemical symbol of nobelium?", "No", False),
        ("What note follows la?", "Si", False),
        ("When n = 3 is n^2 = 9?", "Yes", False),
        ("What about whales — are they mammals?", "Yes", False),
        ("How much is 3 * 4 - is it 12?", "Yes", False),
        ("Is a tomato a fruit? What do you think?", "Yes", False),
        ("Is 91 prime? What are its factors?", "No", False),
        ("In what follows, decide if 7 is prime.", "Yes", False),
    ],
)
def test_yes_or_no_is_nothing_where_something_else_is_asked_for(
    question: str, claim: str, nothing: bool
) -> None:
    assert bool(says_nothing(question, claim)) is nothing
