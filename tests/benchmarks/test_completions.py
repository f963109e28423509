"""Whole completions come to one cluster where they say the same, and the report counts as a person would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import completions
from benchmarks.completions import OURS, PEER, Outcome, Pair, Tally, load
from orchestrator.voting import symbolic

needs_math = pytest.mark.skipif(not symbolic.AVAILABLE, reason="needs the extra math")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    if not symbolic.AVAILABLE:
        pytest.skip("needs the extra math")
    return completions.measured()


def ours(outcomes: list[Outcome], file: str) -> Outcome:
    return next(each for each in outcomes if (each.file, each.method) == (file, OURS))


@pytest.mark.parametrize("file", completions.FILES)
def test_completions_are_joined_where_they_say_the_same(outcomes: list[Outcome], file: str) -> None:
    """At least 0.99 of the joins are right, and at least 0.9 of the pairs that say the same are joined."""
    outcome = ours(outcomes, file)
    tally = outcome.tally()
    assert tally.precision is not None
    assert tally.recall is not None
    assert tally.precision >= 0.99, outcome.wrong(joined=True)
    assert tally.recall >= 0.9, outcome.wrong(joined=False)


@pytest.mark.parametrize("kind", sorted({pair.kind for pair in load(completions.FILES["reported"])}))
def test_no_two_answers_that_differ_are_joined(outcomes: list[Outcome], kind: str) -> None:
    reported = ours(outcomes, "reported")
    assert not [pair for pair in reported.wrong(joined=True) if pair.kind == kind]


def test_nine_of_ten_reported_pairs_are_read_rightly(outcomes: list[Outcome]) -> None:
    reported = ours(outcomes, "reported")
    assert reported.tally().pairs == 60
    assert reported.tally().right >= 54, reported.wrong(joined=False)


def test_the_documentation_says_what_the_command_prints(outcomes: list[Outcome]) -> None:
    page = completions.PAGE.read_text()
    written = page.partition(completions.BEGIN)[2].partition(completions.END)[0].strip()
    assert written == completions.summary(outcomes), "python -m benchmarks.equivalence --document writes it"


def test_pairs_are_counted_by_what_they_are_and_what_was_said() -> None:
    pairs = (
        Pair("units", True, "5 km", "5000 m"),
        Pair("units", False, "5 km", "5 m"),
        Pair("signs", True, "-2", "minus two"),
        Pair("signs", False, "-2", "2"),
    )
    outcome = Outcome("some", OURS, pairs, (True, True, False, False))
    assert outcome.tally() == Tally(4, 2, 1, 1)
    assert (outcome.tally().precision, outcome.tally().recall, outcome.tally().right) == (0.5, 0.5, 2)
    assert outcome.tally("units") == Tally(2, 2, 1, 0)
    assert outcome.tally("signs").precision is None
    assert outcome.wrong(joined=True) == [pairs[1]]
    assert outcome.wrong(joined=False) == [pairs[2]]
    assert [check["passed"] for check in completions.checks([outcome])] == [False, False]
    assert "| some: 4, 2 the same | extraction and equivalence | 2 | 1 | 1 | 0.500 | 0.500 |" in (
        completions.summary([outcome])
    )
    assert "| signs | 2 | 0 + 1 |" in completions.by_kind([outcome])
    assert completions.mistakes([outcome]).splitlines() == [
        "false join, some, units: '5 km' | '5 m'",
        "missed join, some, signs: '-2' | 'minus two'",
    ]


@needs_math
def test_math_verify_alone_reads_numbers_and_drops_what_they_count(tmp_path: Path) -> None:
    rows = [("It is 0.5.", r"\boxed{\frac{1}{2}}", True), ("It weighs 4 kg.", "It weighs 4 g.", False)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps({"a": a, "b": b, "same": same, "kind": "x"}) for a, b, same in rows))
    measured = completions.measured({"two": file})
    (alone,) = (outcome for outcome in measured if outcome.method == PEER)
    assert alone.joined == (True, True)
    assert completions.report([alone])[0]["false_joins"] == 1


def test_the_two_sets_of_our_own_have_equal_kinds_and_no_text_in_common() -> None:
    seen, unseen = (load(completions.FILES[name]) for name in ("seen", "unseen"))
    texts = [{text for pair in pairs for text in (pair.a, pair.b)} for pairs in (seen, unseen)]
    assert not texts[0] & texts[1]
    kinds = [{pair.kind for pair in pairs} for pairs in (seen, unseen)]
    assert kinds[0] == kinds[1]
    for pairs in (seen, unseen):
        assert 0.4 < sum(pair.same for pair in pairs) / len(pairs) < 0.6
        assert len({(pair.a, pair.b) for pair in pairs}) == len(pairs)


def test_the_table_is_written_between_the_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{completions.BEGIN}\nold\n{completions.END}\nafter\n")
    outcome = Outcome("some", OURS, (Pair("x", True, "1", "1"),), (True,))
    completions.document([outcome], page)
    completions.document([outcome], page)
    table = completions.summary([outcome])
    assert page.read_text() == f"before\n{completions.BEGIN}\n{table}\n{completions.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="needs the lines"):
        completions.document([outcome], page)
