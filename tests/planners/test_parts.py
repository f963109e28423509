from __future__ import annotations

from time import thread_time

import pytest

from planners.parts import compared, has_parts, restates, uncovered

QUESTION = "How much older is Bob than Ann?"


@pytest.mark.parametrize(
    ("question", "text", "same"),
    [
        (QUESTION, QUESTION, True),
        (QUESTION, "how much older is Bob than is Ann", True),
        (QUESTION, "How old is Bob?", False),
        ("Add up the ages of Ann, Bob, Cyd and Eve.", "Add up the ages of Ann, Bob and Cyd.", False),
        ("What is 3 times 12 plus 7 times 8?", "What is 3 times 12?", False),
        ("Who is it?", "", False),
        ("", "", False),
    ],
)
def test_whether_a_text_asks_the_whole_again(question: str, text: str, same: bool) -> None:
    assert restates(question, text) is same


@pytest.mark.parametrize(
    ("question", "arguments", "names"),
    [
        (QUESTION, [{"question": "How old is Ann?"}], ["Bob"]),
        (QUESTION, [{"question": "How old is ann?"}, {"question": "Bob's age"}], []),
        ("Is Paris or New York larger?", [{"city": "Paris"}, {"city": "York"}], []),
        ("Is Paris or New York larger?", [{"city": "paris"}], ["New York"]),
        ("Which is highest: Ollo, Vurm, or Mount Tan?", [{"of": ["Ollo", {"Vurm": 1}]}], ["Mount Tan"]),
        ("Are there more people in Rome than in Oslo?", [{"city": "Rome"}], ["Oslo"]),
        ('Who wrote "the sea" and "the sky"?', [{"q": "the sea"}], []),  # a word in common is enough
        ('Who wrote "Waves" and "Clouds"?', [{"q": "waves"}], ['"Clouds"']),
        ("What is the capital of France?", [{"q": "x"}], []),
        ("Wie viele Einwohner haben Ulm und Trier?", [{"q": "Einwohner von Ulm"}], ["Trier"]),
        (QUESTION, [], ["Bob", "Ann"]),
    ],
)
def test_names_that_no_step_mentions(question: str, arguments: list[object], names: list[str]) -> None:
    assert uncovered(question, arguments) == names


@pytest.mark.parametrize(
    ("question", "names"),
    [
        (QUESTION, ["Bob", "Ann"]),
        ("Which is highest: Ollo, Vurm, or Mount Tan?", ["Ollo", "Vurm", "Mount Tan"]),
        ("What do Ann and Bob earn together?", ["Ann", "Bob"]),
        ("Tell me about Ann and Bob.", []),
        ("Who is older than Ann?", []),
    ],
)
def test_what_is_compared(question: str, names: list[str]) -> None:
    assert compared(question) == names


@pytest.mark.parametrize(
    ("question", "several"),
    [
        (QUESTION, True),
        ("In which town was the line founded to which the Calypso belongs?", True),
        ("How old is the keeper of the wells of Vurm?", True),
        ("What is Ann's father's name?", True),
        ("In which year was Ann born?", False),
        ("What is the capital of Portugal?", False),
        ("Who was it?", False),
    ],
)
def test_whether_a_question_shows_several_parts(question: str, several: bool) -> None:
    assert has_parts(question) is several


@pytest.mark.parametrize("word", ["Aa ", "12 ", "a's ", "of the x ", "A, ", "A and "])
def test_a_long_question_is_looked_at_soon(word: str) -> None:
    question = word * 20_000
    began = thread_time()
    for look in (compared, has_parts, lambda text: uncovered(text, ["x"]), lambda text: restates(text, text)):
        look(question)
    assert thread_time() - began < 5
