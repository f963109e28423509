import pytest

from orchestrator.consensus.reading.forms import boxed, json_answer, label, last_marked, marked, tagged


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (r"\boxed{1}, \boxed{2}", "1 and 2"),
        (r"first \boxed{1} and, much later in the text, then also \boxed{2}", "2"),
        (r"\boxed{5}\%", r"5 \%"),
        (r"\boxed{a", None),
        (r"\boxed 5.", "5"),
    ],
)
def test_boxes_that_are_listed_are_one_answer(body: str, found: str | None) -> None:
    assert boxed(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<answer>1</answer> no <answer>2</answer>", "2"),
        ("<answer>1</answer> no <answer>2", "2"),
        ("answer", None),
    ],
)
def test_the_last_tag_counts(body: str, found: str | None) -> None:
    assert tagged(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"result": 1, "answer": 2}', "2"),
        ("{'Answer': \"it's\", }", "it's"),
        ("{final_answer: [1, 2]}", "[1, 2]"),
        ('{"答案": "B"}', "B"),
        ('{"other": 1}', None),
    ],
)
def test_an_answer_is_read_from_what_is_almost_json(body: str, found: str | None) -> None:
    assert json_answer(body) == found


def test_what_follows_a_marker_ends_with_its_sentence() -> None:
    assert marked("The answer is 5. More.") == ("5", 15)
    assert marked("Final answer: the final answer is 6") == ("6", 35)
    assert marked("no marker") is None
    assert last_marked("It is long. Result: 7") == "7"
    assert last_marked("72 is the answer.") == "72"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("(C) Paris", "C"),
        ("c) 24", "C"),
        ("option B", "B"),
        ("la B", "B"),
        ("C. Darwin", None),
        ("A and B", None),
    ],
)
def test_only_a_clear_label_is_one(answer: str, found: str | None) -> None:
    assert label(answer) == found
