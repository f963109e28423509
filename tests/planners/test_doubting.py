from __future__ import annotations

import pytest

from orchestrator.runtime.values import Answer, Question
from planners.doubting import ANOTHER, agrees, computed_in_short, doubts, in_short

LOOKED_UP = '1. weight("Ollo") = 5 kg\n2. weight("Vurm") = 7 kg\n'
COMPARED = (
    LOOKED_UP + '3. compare({"Ollo": $1, "Vurm": $2}) = Vurm (7 kg) is more than Ollo (5 kg), by 2 kg\n'
)
COMPUTED = LOOKED_UP + '3. argmax({"Ollo": $1, "Vurm": $2}) = Vurm\n'


@pytest.mark.parametrize(
    ("question", "claim", "results"),
    [
        ("Which is heavier, Ollo or Vurm?", "Vurm", COMPUTED),
        ("How heavy is Ollo?", "5 kg", '1. weight("Ollo") = Ollo weighs 5,000 g.\n'),
        ("Who wrote it?", "Émile Zola", '1. search("it") = It was written by Emile Zola.\n'),
        ("How heavy are both together?", "12", LOOKED_UP + "3. add($1, $2) = 12\n"),
        ("How heavy are both together?", "12", LOOKED_UP + '3. calculator("5 + 7") = 12\n'),
    ],
)
def test_what_the_results_say_is_not_doubted(question: str, claim: str, results: str) -> None:
    assert doubts(Question(question), Answer(claim, claim), results, []) == []


@pytest.mark.parametrize(
    ("question", "claim", "results", "why"),
    [
        ("Which is heavier?", "Vurm", LOOKED_UP, "no step has compared"),
        (
            "Which is heavier?",
            "Vurm",
            LOOKED_UP + '3. ask("Which?", [$1, $2]) = Vurm\n',
            "no step has compared",
        ),
        ("Which is heavier?", "Ollo", COMPUTED, "the last step has computed something else"),
        ("How heavy is Ollo?", "6 kg", LOOKED_UP, "the answer is not in the results"),
        ("How heavy is Ollo?", "Ollo", LOOKED_UP, "the question asks for a number"),
        ("Is Ollo green?", "yes", '1. colour("Ollo") = green, yes\n', "the answer is not in the results"),
        (
            "Who wrote it?",
            "Balzac",
            '1. search("it") = It was written by Emile Zola.\n',
            "not in the results",
        ),
    ],
)
def test_what_speaks_against_an_answer(question: str, claim: str, results: str, why: str) -> None:
    [doubt] = doubts(Question(question), Answer(claim, claim), results, [])
    assert why in doubt


def test_steps_that_lack_a_result_are_named() -> None:
    [doubt] = doubts(Question("Which is heavier?"), Answer("Vurm", "Vurm"), COMPUTED, [1, 2])
    assert doubt == "steps without a certain result: 1, 2"


def test_a_label_is_looked_for_as_what_it_stands_for() -> None:
    question = Question("Which weighs 7 kg?", choices=("Ollo", "Vurm"))
    results = '1. search("7 kg") = Vurm weighs 7 kg.\n'
    assert doubts(question, Answer("B", "B"), results, []) == []
    assert doubts(question, Answer("A", "A"), results, []) != []


def test_prose_cannot_be_counted_and_is_not_doubted() -> None:
    text = "Ollo and Vurm have a long history, of which a great deal could be said here and more elsewhere."
    assert doubts(Question("Tell me more."), Answer(text, text), LOOKED_UP, [1]) == []
    assert doubts(Question("Tell me more."), Answer(text), LOOKED_UP, [1]) == []


@pytest.mark.parametrize(
    ("question", "claim", "agree"),
    [
        ("Which is heavier?", "Vurm", True),
        ("Which is heavier, and by how much?", "Vurm is heavier than Ollo by 2 kg.", True),
        ("Which is heavier, and by how much?", "Vurm, by 2 kg", True),
        ("Which is heavier, and by how much?", "Vurm, by 3 kg", False),
        ("Which is heavier, and by how much?", "Ollo is heavier by 2 kg.", False),
        ("Which is heavier?", "Ollo", False),
        ("Which is heavier?", "Vurmling", False),
        ("Which is lighter?", "Ollo", True),
        ("Which is lighter?", "Ollo is lighter than Vurm.", True),
        ("Which is lighter?", "Vurm", False),
        ("Which is heavier?", "the second", False),
        ("How much heavier is Vurm?", "2 kg", True),
        ("How much heavier is Vurm?", "3 kg", False),
    ],
)
def test_a_claim_may_say_in_other_words_what_a_comparison_came_to(
    question: str, claim: str, agree: bool
) -> None:
    assert agrees(claim, Question(question), COMPARED) is agree
    assert (doubts(Question(question), Answer(claim, claim), COMPARED, []) == []) is agree


def test_only_a_comparison_in_the_last_step_speaks_for_a_claim() -> None:
    for results in (LOOKED_UP, COMPUTED, COMPARED + '4. weight("Zab") = 9 kg\n', ""):
        assert not agrees("Vurm", Question("Which is heavier?"), results)


WEIGHED = "Vurm is the heavier one, with 7 kg compared to the 5 kg of Ollo, by 2 kg."
FILTERED = LOOKED_UP + '3. filter({"Ollo": $1, "Vurm": $2}, "> 6") = {"count":1,"names":["Vurm"]}\n'
ADDED = LOOKED_UP + '3. calculate("$1 + $2") = 12 kg\n'


@pytest.mark.parametrize(
    ("question", "claim", "results", "short"),
    [
        ("Which is heavier, Ollo or Vurm?", WEIGHED, COMPARED, "Vurm"),
        ("Which is lighter, Ollo or Vurm?", "Ollo is lighter than Vurm.", COMPARED, "Ollo"),
        ("How much heavier is Vurm than Ollo?", "Vurm is heavier than Ollo by 2 kg.", COMPARED, "2 kg"),
        ("Which is heavier, Ollo or Vurm?", "The heavier one is Vurm.", COMPUTED, "Vurm"),
        ("How many weigh more than 6 kg?", "There is 1 that does: Vurm.", FILTERED, "1"),
        ("Which weighs more than 6 kg?", "It is Vurm that weighs more.", FILTERED, "Vurm"),
        ("How heavy are both together?", "Together, they weigh 12 kg.", ADDED, "12 kg"),
    ],
)
def test_a_sentence_that_says_what_was_computed_is_short(
    question: str, claim: str, results: str, short: str
) -> None:
    answer = in_short(Answer(claim, claim), Question(question), results)
    assert (answer.claim, answer.text) == (short, claim)


@pytest.mark.parametrize(
    ("question", "claim", "results"),
    [
        ("Which is heavier, and by how much?", WEIGHED, COMPARED),  # asks for two things
        ("Compare Ollo with Vurm.", WEIGHED, COMPARED),
        ("Which is heavier, Ollo or Vurm?", "Ollo is heavier than Vurm.", COMPUTED),  # it says something else
        ("How heavy are both together?", "Together, they weigh 13 kg, not 12 kg.", ADDED),
        ("How heavy are both together?", "They weigh quite a lot.", ADDED),
        ("Which is heavier, Ollo or Vurm?", "The heavier one is Vurm.", LOOKED_UP),  # nothing is computed
        ("How heavy are both together?", "12 kg together", ADDED),  # short enough
        ("How heavy is the heavier one?", "Vurm weighs 7 kg, which is 2 kg more than Ollo.", COMPARED),
        ("Which is heavier, and what is its colour?", "Vurm, which is red.", COMPARED),
        ("Who is heavier? How does it feel?", "Vurm, and it feels well.", COMPARED),
    ],
)
def test_all_else_stays_as_it_was_said(question: str, claim: str, results: str) -> None:
    assert in_short(Answer(claim, claim), Question(question), results) == Answer(claim, claim)


BORN = '3. compare({"Ann": $1, "Bob": $2}) = Bob (1 June 1990) is later than Ann (3 May 1980), by 3681 days\n'
FOUNDED = '3. compare({"Ann": $1, "Bob": $2}) = Bob (1990) is more than Ann (1980), by 10\n'
AGED = '3. compare({"Ann": $1, "Bob": $2}) = Bob (46) is more than Ann (36), by 10\n'


@pytest.mark.parametrize(
    ("question", "results", "name"),
    [
        ("Who is older, Ann or Bob?", BORN, "Ann"),
        ("Who is younger, Ann or Bob?", BORN, "Bob"),
        ("Which is the older firm, Ann or Bob?", FOUNDED, "Ann"),
        ("Which is the newest firm, Ann or Bob?", FOUNDED, "Bob"),
        ("Who is older, Ann or Bob?", AGED, "Bob"),
        ("Who is younger, Ann or Bob?", AGED, "Ann"),
        ("Which of the first two firms is larger?", AGED, ""),
        ("Which was larger before the war?", AGED, ""),
    ],
)
def test_what_a_comparison_says_of_the_question(question: str, results: str, name: str) -> None:
    found = computed_in_short(Question(question), LOOKED_UP + results)
    assert (found.claim if found else "") == name
    assert {each for each in ("Ann", "Bob") if agrees(each, Question(question), results)} == {name} - {""}


@pytest.mark.parametrize("question", ["How should I get there?", "Explain how plants grow.", "How come?"])
def test_not_all_that_is_asked_with_how_is_a_number(question: str) -> None:
    results = '1. search("it") = by bus\n'
    assert doubts(Question(question), Answer("by bus", "by bus"), results, []) == []


def test_a_number_is_asked_for_in_other_languages_too() -> None:
    answer, question = Answer("Ollo", "Ollo"), Question("Wie viele Lampen hat Ollo?")
    assert doubts(question, answer, '1. search("x") = Ollo\n', []) == ["the question asks for a number"]


def test_where_there_are_choices_the_letter_stays() -> None:
    question = Question("Which is heavier?", choices=("Ollo", "Vurm"))
    assert in_short(Answer("B", "B"), question, COMPUTED).claim == "B"


def test_a_long_sentence_that_says_something_else_is_doubted() -> None:
    question = Question("Which is heavier, Ollo or Vurm?")
    sentence = "Ollo is the heavier one of the two, as 7 kg is more than 5 kg are, so Ollo it is."
    assert doubts(question, Answer(sentence, sentence), COMPUTED, []) == [ANOTHER]
    assert doubts(question, Answer(WEIGHED, WEIGHED), COMPUTED, []) == []


def test_a_number_for_a_name_is_the_name_whose_number_it_is() -> None:
    answer = in_short(Answer("7 kg", "7 kg"), Question("Which is heavier, Ollo or Vurm?"), LOOKED_UP)
    assert (answer.claim, answer.text) == ("Vurm", "Vurm (7 kg)")
    for question, said in (
        ("How heavy is Vurm?", "7 kg"),
        ("Which is it?", "7 kg"),
        ("Which of them?", "8 kg"),
    ):
        assert in_short(Answer(said, said), Question(question), LOOKED_UP).claim == said
