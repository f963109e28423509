from __future__ import annotations

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
    ],
)
def test_where_nothing_tells_the_values_apart_none_is_chosen(question: str, result: str) -> None:
    assert value_wanted(question, result) is None


STORES = "A holds 328 lamps and 518 ropes.\n\nB holds 273 lamps, 254 ropes and 1,239 kettles."


@pytest.mark.parametrize("claim", ["254 lamps", "254 lamps.", "254", "254 ropes"])
def test_the_number_of_something_else_is_misread(claim: str) -> None:
    why = "254 is a number of ropes, not of lamps"
    assert misread(claim, "How many lamps does B hold?", STORES) == why


def test_it_is_misread_however_it_is_written() -> None:
    for claim in ("1,239 lamps", "1239"):
        assert "of kettles, not of lamps" in misread(claim, "How many lamps does B hold?", STORES)
    assert "not of lamps" in misread("254 lamps", "How many does B hold?", STORES)


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
