from __future__ import annotations

from time import thread_time

import pytest

from planners.wanted import closest, misread, value_wanted

STOCK = "The store holds 744 lamps, 784 ropes and 775 kettles."
TOWN = "It is a town on the Pagaa. It was founded in 1286, and has 8,445 inhabitants."
MOUNTAIN = "The peak is 4,478 m high, and the hut 3,260 m."


@pytest.mark.parametrize(
    ("question", "result", "value"),
    [
        ("Which store holds the most kettles?", STOCK, "775 kettles"),
        ("How many more lamps are in A than in B?", STOCK, "744 lamps"),
        ("How many inhabitants have both together?", TOWN, "8,445 inhabitants"),
        ("Which town was founded earlier?", TOWN, "1286"),
        ("Which of them has a rope?", "It has 1 lamp and 2 ropes.", "2 ropes"),
        ("How high is the peak, in m?", MOUNTAIN, "4,478 m high"),
    ],
)
def test_the_words_beside_a_value_say_whether_it_is_wanted(question: str, result: str, value: str) -> None:
    found = value_wanted(question, result)
    assert found is not None
    assert found.text == value


@pytest.mark.parametrize(
    ("question", "result"),
    [
        ("Which store holds the most?", STOCK),  # no word
        ("Has it more lamps or more ropes?", STOCK),  # two are meant
        ("How many people live there?", TOWN),
        ("Which mountain is higher?", MOUNTAIN),
        ("How many lamps are there?", "There are 744 lamps."),  # one value needs no choice
        ("How many lamps are there?", "none"),
        ("Has the town founded in 1286 more pupils?", "It was founded in 1286, and has 300 children there."),
        ("How many more people has A than B?", "More than 300 shops serve the 8,445 residents."),
    ],
)
def test_where_nothing_tells_the_values_apart_none_is_chosen(question: str, result: str) -> None:
    assert value_wanted(question, result) is None


STORES = "A holds 328 lamps and 518 ropes.\n\nB holds 273 lamps, 254 ropes and 1,239 kettles."


@pytest.mark.parametrize("claim", ["254 lamps", "254 lamps.", "254", "254 ropes"])
def test_the_number_of_something_else_is_misread(claim: str) -> None:
    why = 'it says "254 ropes", which is no number of lamps'
    assert misread(claim, "How many lamps does B hold?", STORES) == why


def test_it_is_misread_however_it_is_written() -> None:
    for claim in ("1,239 lamps", "1239"):
        assert '"1,239 kettles"' in misread(claim, "How many lamps does B hold?", STORES)
    assert "no number of lamps" in misread("254 lamps", "How many does B hold?", STORES)
    assert "no number of Lampen" in misread("7", "Wie viele Lampen hat A?", "A hat 5 Lampen und 7 Seile.")


@pytest.mark.parametrize(
    ("claim", "question"),
    [
        ("273 lamps", "How many lamps does B hold?"),
        ("273", "How many lamps does B hold?"),
        ("254 ropes", "How many does B hold?"),
        ("527", "How many lamps and ropes does B hold?"),  # computed
        ("254", "How many does B hold?"),
        ("12 bottles", "How many bottles are in B?"),  # not counted there
        ("lamps", "What does B hold?"),
        ("254 lamps and more", "How many lamps does B hold?"),
    ],
)
def test_what_may_be_right_is_not(claim: str, question: str) -> None:
    assert misread(claim, question, STORES) == ""


@pytest.mark.parametrize(
    ("claim", "question", "text"),
    [
        ("300", "How many people work in the firm with 12 offices?", "It has 12 offices and 300 employees."),
        ("8,445", "How many people live there?", "It has 8,445 inhabitants.\n\n300 people work in the mill."),
        ("1", "How many boxes has A?", "A has 1 box, B has 2 boxes."),
        ("1 city", "How many cities has A?", "A has 1 city, B has 2 cities."),
        ("1", "How many children has A?", "A has 1 child, B has 3 children."),
        ("2", "Сколько ламп в A?", "A имеет 2 лампы, B имеет 5 ламп."),
        ("3 million", "How many inhabitants has A?", "A has 3 million inhabitants, B 800 inhabitants."),
        ("273", "How many lamps does B hold?", "B holds 273 brass lamps, and 12 lamps are broken."),
        ("254", "How many lamps does B hold?", "B holds 254 ropes and 12 lamps. Lamps in all of them: 254."),
        ("2 of the 3 boxes", "How many boxes are full?", "2 of the 3 boxes are full, and 7 lids are open."),
        ("2.5", "How many litres are left?", "Of 9 litres, 2.5 are left in 3 cans."),
        ("25%", "How many percent are red?", "Of 25 lamps, 40 percent are red."),
    ],
)
def test_nouns_that_differ_do_not_make_it_misread(claim: str, question: str, text: str) -> None:
    assert misread(claim, question, text) == ""


def test_a_long_material_is_searched_at_once() -> None:
    text = "\n\n".join(f"The depot D{at} holds {at} lamps and {3 * at} ropes." for at in range(20_000))
    started = thread_time()
    assert "ropes" in misread("30,000 lamps", "How many lamps does the depot D9 hold?", text)
    assert "depot D777 " in closest("How many lamps does the depot D777 hold?", text.split("\n\n"))
    assert thread_time() - started < 3


def test_the_closest_passage_has_what_few_others_have() -> None:
    ollo, vurm, zab = (
        "The depot Ollo holds 8 lamps.",
        "In Vurm there are 9 lamps.",
        "The depot Zab holds 7 lamps.",
    )
    assert closest("How many lamps does the depot Vurm hold?", [ollo, vurm, zab]) == vurm
    assert closest("How many lamps?", [ollo, vurm, zab]) == ""  # all are as close
    assert closest("Who?", [ollo, vurm]) == ""
    assert closest("How many lamps does the depot Ollo hold?", [ollo]) == ""
    assert closest("How many?", []) == ""
