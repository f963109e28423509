"""The benchmark counts as a person would, and asks judges as a vote does."""

from pathlib import Path

from benchmarks.equivalence import Pair, count, halves, load
from benchmarks.judges import Sentences, by_entailment
from tests.workers.tools.nli_export import expected, export


def test_what_was_said_is_held_against_the_labels() -> None:
    pairs = [Pair("x", True, "a", "b", ""), Pair("x", True, "c", "d", ""), Pair("y", False, "e", "f", "")]
    row = count("guess", pairs, [True, False, True], 0.6)
    assert (row.pairs, row.joined, row.precision, row.recall) == (3, 2, 0.5, 0.5)
    assert row.ms_a_pair == 200.0
    assert row.recall_by_kind == {"x": 0.5}
    assert row.wrong == ["e | f"]
    assert count("shy", pairs, [False] * 3, 0.6).precision is None


def test_half_of_the_pairs_of_each_kind_are_kept_for_the_report() -> None:
    pairs = [pair for pair in load() if pair.question]
    tuning, reported = halves(pairs)
    assert sorted(map(repr, tuning + reported)) == sorted(map(repr, pairs))
    for kind in {pair.kind for pair in pairs}:
        for same in (True, False):
            each = [
                sum((pair.kind, pair.same) == (kind, same) for pair in half) for half in (tuning, reported)
            ]
            assert each[0] - each[1] in (0, 1)


def test_an_entailment_model_is_asked_in_both_directions(tmp_path: Path) -> None:
    pairs = [("a small dog", "small a dog"), ("a small dog", "a dog"), ("it is safe", "it is not safe")]
    sentences = [Sentences("which is it ?", left, right) for left, right in pairs]
    (heard,) = by_entailment(str(export(tmp_path)), sentences)
    assert heard.same == (True, False, False)
    assert heard.same == tuple(expected(*pair) == expected(*pair[::-1]) == "entailment" for pair in pairs)
