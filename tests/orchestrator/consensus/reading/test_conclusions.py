import pytest

from orchestrator.consensus.reading.conclusions import LONGEST_SENTENCE, conclusion


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("So the sum of 3 and 4 is 7", "7"),
        ("there are 9 primes below 30", "9 primes"),
        ("5 workers need 10 days", "5 workers need 10 days"),
        ("the rope is 5 m long because 2 + 3 = 5", "5 m long"),
        ("since 2 is even, he needs 4 of them", "4"),
        ("he lost 5 marbles", "lost 5 marbles"),
        ("she has 5 unless it rains", "she has 5 unless it rains"),
        ("Paris is large", None),
    ],
)
def test_a_sentence_comes_to_a_figure_or_to_itself(sentence: str, value: str | None) -> None:
    assert conclusion(sentence) == value


def test_a_sentence_that_is_too_long_for_a_claim_comes_to_its_last_figure() -> None:
    sentence = "he does not have " + "very " * LONGEST_SENTENCE + "many, only 5"
    assert conclusion(sentence) == "5"
