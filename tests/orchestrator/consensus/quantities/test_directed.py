import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("pH 5", "5 pH"),
    ("pH = 5", "pH 5"),
    ("a pH of 5", "pH 5"),
    ("pH 7.4", "pH of 7.4"),
    ("twice", "2 times"),
    ("double", "2x"),
    ("3x", "3 times"),
    ("3-fold", "3 times"),
    ("a factor of 3", "3 times"),
    ("threefold", "3x"),
    ("150% increase", "a 150% increase"),
    ("an increase of 20%", "20% increase"),
    ("a 20% rise", "increased by 20%"),
    ("decreased by 20%", "a 20% decrease"),
    ("-20%", "a 20% decrease"),
    ("+20%", "20% increase"),
    ("20% off", "20% discount"),
    ("down by 5", "-5"),
    ("up by 5 kg", "5 kg"),
    ("1% lower", "down by 1%"),
    ("90° clockwise", "90 degrees clockwise"),
    ("5 cm taller", "5 cm more"),
    ("5 km farther", "5000 m farther"),
    ("3 fewer", "three less"),
    ("2 dollars cheaper", "$2 less"),
    ("20% more", "up by 20%"),
    ("5 years older", "5 years more"),
)
DIFFERENT = (
    ("5x", "5"),
    ("pH 5", "5"),
    ("pH 5", "pH 6"),
    ("20% increase", "20% decrease"),
    ("20% off", "20% more"),
    ("3x", "3%"),
    ("double", "half"),
    ("-20%", "20% increase"),
    ("pH 3", "pH 4"),
    ("up by 5", "down by 5"),
    ("up by 5", "to 5"),
    ("a loss of $5", "a profit of $5"),
    ("a loss of $5", "$5"),
    ("owes $5", "is owed $5"),
    ("20% increase", "20% decrease"),
    ("20% higher", "20% lower"),
    ("down by 5", "5"),
    ("90° clockwise", "90° counterclockwise"),
    ("90° clockwise", "90°"),
    ("3 times", "3"),
    ("twice", "2"),
    ("pH 5", "5"),
    ("pH 5", "pH 5.5"),
    ("$5 more", "$5 less"),
    ("$5 more", "$5"),
    ("$5 less", "$5"),
    ("5 cm taller", "5 cm shorter"),
    ("5 cm taller", "5 cm"),
    ("5 min later", "5 min earlier"),
    ("3 more", "3"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
