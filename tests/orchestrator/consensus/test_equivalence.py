import csv
from pathlib import Path
from statistics import median
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.equivalence import Clusters, Pair, canonical, compare, read_form
from orchestrator.consensus.extraction import Claim

PAIRS = Path(__file__).parents[3] / "benchmarks" / "data" / "equivalence_pairs.tsv"


def claim(text: str) -> Claim:
    return Claim(text, "boxed")


def labelled() -> list[tuple[str, bool, str, str, str]]:
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["kind"], row["same"] == "1", row["left"], row["right"], row["question"]) for row in rows]


def cheaply(left: str, right: str) -> bool:
    outcome = compare(read_form(left), read_form(right))
    return outcome is not None and outcome[1]


@pytest.mark.parametrize(("kind", "same", "left", "right", "question"), labelled())
def test_the_cheap_methods_never_join_what_differs(
    kind: str, same: bool, left: str, right: str, question: str
) -> None:
    if not same:
        assert not cheaply(left, right)
        assert not cheaply(right, left)
    elif kind != "symbolic" and not question:  # what has a question is a sentence, for a judge
        assert cheaply(left, right)
        assert cheaply(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1 1/2", "11/2"),
        ("1½", "11/2"),
        ("2²", "22"),
        ("10²³", "10"),
        ("x²", "x2"),
        ("101₂", "1012"),
        ("5 mg", "5 Mg"),
        ("5 mW", "5 MW"),
        ("n!", "n"),
        ("3 dozen", "3"),
        ("300 BC", "300"),
        ("> 5", "5"),
        (r"\text{yes}", r"\text{no}"),
        ("[0,1)", "[0,1]"),
        ("2024-01-02", "2024-02-01"),
        ("42,5", "425"),
        ("None of the above", "All of the above"),
        ("1990s", "1990"),
        ("1h30", "1"),
        ("1.5M", "1.5"),
        ("2B", "2"),
        ("5 Mb", "5 MB"),
        ("x'", "x"),
        ("5'", '5"'),
        ("25 ft^2", "25 ft"),
        ("25 square feet", "25 square meters"),
        ("1, 2, 3", "1, 3, 2"),
        ("A and B", "B"),
        ("100,200", "100, 200"),
    ],
)
def test_small_marks_that_change_the_value_keep_claims_apart(left: str, right: str) -> None:
    assert not cheaply(left, right)
    assert not cheaply(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\text{Evelyn}", "Evelyn"),
        (r"\mathrm{Paris}", "paris"),
        ("½", "0.5"),
        ("1½", "3/2"),
        ("x²", "x^2"),
        ("x_{1}", "x_1"),
        ("H₂O", "H2O"),
        ("5 m²", "5 m^2"),
        (r"5,\!000", "5000"),
        ("3 dozen eggs", "36 eggs"),
        ("1, 2, 3", "1,2,3"),
        ("1, 2 and 3", "1, 2, 3"),
        ("Tom, Ann, and Bob", "tom, ann and bob"),
        (r"\{1, 2\}", r"\{1,2\}"),
        (r"(-\infty, 5]", "(-∞, 5]"),
        (r"2\pi r", "2πr"),
        (r"x \leq 5", "x ≤ 5"),
        ("1'000", "1000"),
        ("1.000.000", "1000000"),
        ("1,00,000", "100000"),
        ("USD 5", "$5"),
        ("US$5", "5 dollars"),
        ("EUR 5", "5 €"),
        ("negative 3", "-3"),
        ("1.5M", "1.5 million"),
        (r"25 \text{ square centimeters}", "25 cm^2"),
        ("25 sq ft", "25 ft²"),
        ("2 cubic meters", "2000 liters"),
        ("3 m3", "3 m^3"),
    ],
)
def test_dress_keeps_no_claims_apart(left: str, right: str) -> None:
    assert cheaply(left, right)
    assert cheaply(right, left)


def test_a_claim_in_other_words_joins_its_cluster() -> None:
    clusters = Clusters()
    found = [
        clusters.add(at, claim(text))
        for at, text in enumerate(["72", "73", "seventy-two", "72 clips", "73.0"])
    ]
    assert found == [0, 1, 0, 0, 1]
    assert clusters.counts() == (3, 2)
    assert clusters.members[0].text == "72"


def test_a_claim_meets_every_wording_of_a_cluster() -> None:
    # Neither decimal is the other, but each rounds 1/3, so the third wording finds the first cluster.
    assert placed("0.333", "1/3", "0.3333") == [0, 0, 0]


def test_one_moment_in_two_zones_is_one_answer() -> None:
    assert placed("5 pm UTC", "12 pm EST", "5 pm") == [0, 0, 1]


@pytest.mark.parametrize(
    "texts",
    [
        ("5 km", "5", "5 miles"),
        ("5:00", "at 5:00", "5"),
        ("50%", "0.5", "50"),
        ("5 km", "5000 m", "5000", "5"),
        ("72", "72 apples", "72 paper clips"),
    ],
)
def test_no_wording_makes_one_of_two_that_differ(texts: tuple[str, ...]) -> None:
    *joined, last = placed(*texts)
    assert set(joined) == {0}
    assert last == 1


def placed(*texts: str) -> list[int]:
    clusters = Clusters()
    return [clusters.add(at, claim(text)) for at, text in enumerate(texts)]


def test_of_several_matches_the_larger_cluster_takes_it() -> None:
    clusters = Clusters()
    for at, text in enumerate(["50", "0.5", "0.5"]):
        clusters.add(at, claim(text))
    assert clusters.add(3, claim("50%")) == 1


def test_costly_pairs_are_asked_once_and_verdicts_are_kept() -> None:
    clusters = Clusters(costly=("symbolic",))
    clusters.add(0, claim(r"\sqrt{8}+1"))
    clusters.add(1, claim("Paris"))
    pair = Pair.of(r"2\sqrt{2}+1", r"\sqrt{8}+1", "symbolic")
    assert clusters.open_pairs(claim(r"2\sqrt{2}+1")) == (pair,)
    assert clusters.add(2, claim(r"2\sqrt{2}+1"), {pair: True}) == 0
    assert clusters.open_pairs(claim(r"2\sqrt{2}+1")) == ()
    assert [(each.method, each.same) for each in clusters.verdicts] == [
        ("open", False),
        ("symbolic", True),
        ("open", False),
    ]


def test_the_cluster_that_would_take_a_claim_is_asked_about_first() -> None:
    clusters = Clusters(costly=("semantic",))
    for at, text in enumerate(["small dog", "big cat", "red fox", "red fox", "big cat", "old cow"]):
        clusters.add(at, claim(text))
    pairs = clusters.open_pairs(claim("large cat"))
    assert [({pair.left, pair.right} - {"large cat"}).pop() for pair in pairs] == [
        "big cat",
        "red fox",
        "small dog",
        "old cow",
    ]


def test_a_pair_left_open_counts_as_different() -> None:
    clusters = Clusters(costly=("symbolic", "semantic"))
    clusters.add(0, claim("due to gravity"))
    assert len(clusters.open_pairs(claim("because of gravity"))) == 1
    assert clusters.add(1, claim("because of gravity")) == 1


def test_sets_are_compared_as_mathematics_but_not_with_tuples() -> None:
    clusters = Clusters(costly=("symbolic",))
    clusters.add(0, claim(r"\{a,b\}"))
    assert clusters.open_pairs(claim(r"\{b,a\}")) == (Pair.of(r"\{a,b\}", r"\{b,a\}", "symbolic"),)
    assert clusters.open_pairs(claim("(b,a)")) == ()


def test_free_text_is_only_open_to_a_semantic_method() -> None:
    clusters = Clusters(costly=("symbolic",))
    clusters.add(0, claim("due to gravity"))
    assert clusters.open_pairs(claim("because of gravity")) == ()
    semantic = Clusters(costly=("semantic",))
    semantic.add(0, claim("due to gravity"))
    assert [pair.method for pair in semantic.open_pairs(claim("because of gravity"))] == ["semantic"]


def test_a_sentence_with_a_measure_in_it_is_no_formula() -> None:
    clusters = Clusters(costly=("symbolic", "semantic"))
    clusters.add(0, claim("he ran a hundred metres in ten seconds"))
    clusters.add(1, claim("5 km"))
    pairs = clusters.open_pairs(claim("he ran 100 m in 10 s"))
    assert [pair.method for pair in pairs] == ["semantic", "semantic"]


def test_labels_of_a_multiple_choice_question_are_never_judged() -> None:
    clusters = Clusters(choices="AB", costly=("symbolic", "semantic"))
    clusters.add(0, claim("A"))
    assert clusters.open_pairs(claim("B")) == ()
    assert [clusters.add(1, claim("B")), clusters.add(2, claim("a"))] == [1, 0]


def test_programs_are_compared_by_their_outputs_alone() -> None:
    clusters = Clusters(costly=("symbolic", "semantic"))
    programs = [
        ("x*2", "[2, 4]"),
        ("2 * x", "[2, 4]"),
        ("x * 2 ", "[2, 5]"),
        ("2*x", "[2, 5]"),
        ("x*2", "[]"),
    ]
    found = []
    for at, (text, outputs) in enumerate(programs):
        program = Claim(text, "code", outputs)
        assert clusters.open_pairs(program) == ()
        found.append(clusters.add(at, program))
    assert found == [0, 0, 1, 1, 0]  # the last is the first once more, whatever it puts out now
    assert {each.method for each in clusters.verdicts} == {"outputs"}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"b": 1, "a": [1.0]}, {"a": [1], "b": 1}, True),
        (0.1 + 0.2, 0.3, True),
        (1e22, 10**22, True),
        (1, True, False),
        (0.3, 0.30001, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_values_have_one_spelling(left: object, right: object, same: bool) -> None:
    assert (canonical(left) == canonical(right)) is same


TEXTS = st.lists(
    st.sampled_from(["72", "72.0", "seventy-two", "73", "Paris", "paris", "x^2", "1/2", "0.5", "London"]),
    max_size=20,
)


@given(TEXTS)
def test_the_partition_does_not_depend_on_the_order(texts: list[str]) -> None:
    def partition(order: list[int]) -> set[frozenset[int]]:
        clusters = Clusters()
        for branch in order:
            clusters.add(branch, claim(texts[branch]))
        return {frozenset(cluster.branches) for cluster in clusters.members}

    order = list(range(len(texts)))
    assert partition(order) == partition(order[::-1])


@given(st.text(max_size=40), st.text(max_size=40))
def test_comparing_is_symmetric_and_reflexive(left: str, right: str) -> None:
    a, b = read_form(left), read_form(right)
    assert compare(a, a) == ("exact", True)
    one, other = compare(a, b), compare(b, a)
    assert one == other


def test_adding_does_not_slow_down_with_64_distinct_answers() -> None:
    forms = [claim(f"{at} km") for at in range(32)] + [claim(rf"\frac{{{at}}}{{7}}") for at in range(1, 33)]
    clusters = Clusters(costly=("symbolic",))
    reading, adding = [], []
    for at, each in enumerate(forms):
        began = thread_time()
        read_form(each.text)
        read = thread_time()
        clusters.open_pairs(each)
        clusters.add(at, each)
        reading.append(read - began)
        adding.append(thread_time() - read)
    assert median(adding) < 20 * median(reading)  # it is 3 to 5 times as much, whatever the machine does
