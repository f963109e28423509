import pytest

from orchestrator.consensus.reading.sentences import first_sentence, masked, sentences, without_notes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The winner was Gen. Grant. He won.", ["The winner was Gen. Grant", " He won"]),
        ("It is J. S. Bach. He was", ["It is J. S. Bach", " He was"]),
        ("It is C. It is blue.", ["It is C", " It is blue"]),
        ("See No. 5 for more. No. It is", ["See No. 5 for more", " No", " It is"]),
        ("George W. Bush won", ["George W. Bush won"]),
        ("Alphabet Inc. and Co. won. The end", ["Alphabet Inc. and Co. won", " The end"]),
        ("It is 5! = 120. So", ["It is 5! = 120", " So"]),
        ("答案是B。因为", ["答案是B", "因为"]),
        ("x is 3.5 m. So", ["x is 3.5 m", " So"]),
    ],
)
def test_a_sentence_does_not_end_after_an_abbreviation(text: str, found: list[str]) -> None:
    assert [text[begin:end] for begin, end in sentences(text)] == found
    assert first_sentence(text) == found[0]


def test_what_is_masked_keeps_the_places_of_the_rest() -> None:
    text = "## 2. Sum\n1. take 3\n- add 4\n```\nStep 5: as in Figure 6, 7"
    bare = masked(text)
    assert len(bare) == len(text)
    assert [char for char in bare if char.isdigit()] == ["3", "4", "7"]


def test_notes_and_the_marks_that_refer_to_them_are_left_out() -> None:
    assert without_notes("It is 5.[1] Or so.[^a]\n\n[1] Atlas, 2019\n[^a]: p. 41") == "It is 5. Or so."
