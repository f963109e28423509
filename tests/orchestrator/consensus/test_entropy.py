import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.analysis import (
    chao1,
    chao_shen,
    coverage,
    miller_madow,
    monte_carlo,
    predictive,
    rao_blackwell,
)
from orchestrator.consensus.copies import Draw
from orchestrator.consensus.entropy import Sample, discrete, guarded

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=12)

# Made with semantic-entropy-gate 0.8.0 (PyPI) in an environment of its own: clusters drawn by a seeded
# generator, log-probabilities per sample; its semantic_entropy with both estimators, predictive_entropy,
# miller_madow_correction and chao1_alphabet_size.
REFERENCE = [
    ([0, 0], [-0.441985, -0.008128], 0.0, 0.0, 0.22505650000000002, 0.0, 1.0),
    (
        [0, 1, 0, 0, 0],
        [-0.046107, -0.407848, -0.185875, -0.384492, -2.165221],
        0.5004024235381879,
        0.5071170726892977,
        0.6379085999999999,
        0.6004024235381878,
        2.0,
    ),
    (
        [0, 1, 0, 0, 0, 2, 1, 2],
        [-0.266055, -0.25609, -1.586949, -1.904793, -0.493106, -0.989492, -1.390766, -0.710625],
        1.0397207708399179,
        1.051825008346914,
        0.9497345,
        1.1647207708399179,
        3.0,
    ),
    (
        [0, 1, 2, 3, 2, 0, 1, 1, 3, 1, 3, 2],
        [
            *(-2.162599, -1.083, -5.228938, -1.608136, -0.851607, -2.006053),
            *(-2.650409, -3.516518, -1.452849, -0.173608, -0.281225, -0.178887),
        ],
        1.3579778549873245,
        1.2634064720581468,
        1.7661524166666667,
        1.4829778549873245,
        4.0,
    ),
    (
        [0, 1, 2, 3, 4, 5, 0, 6, 3, 5, 0, 3, 0, 7, 2, 5, 0, 8, 9, 4],
        [
            *(-1.452422, -1.12661, -2.4665, -0.696847, -0.787434, -0.504623, -0.796899, -1.048599, -0.871855),
            *(
                -3.138853,
                -2.695251,
                -3.24625,
                -0.275345,
                -0.526607,
                -0.202144,
                -0.517113,
                -0.717452,
                -0.687471,
            ),
            *(-0.278949, -1.974023),
        ],
        2.1251596727330435,
        2.15388867615043,
        1.2005623499999998,
        2.3501596727330436,
        16.25,
    ),
]


@pytest.mark.parametrize(
    ("clusters", "logprobs", "plain", "rao", "naive", "corrected", "distinct"), REFERENCE
)
def test_an_independent_implementation_agrees(
    clusters: list[int],
    logprobs: list[float],
    plain: float,
    rao: float,
    naive: float,
    corrected: float,
    distinct: float,
) -> None:
    samples = [Sample(cluster, "", (logprob,)) for cluster, logprob in zip(clusters, logprobs, strict=True)]
    counts = [clusters.count(cluster) for cluster in sorted(set(clusters))]
    assert discrete(counts).nats == pytest.approx(plain, abs=1e-9)
    assert rao_blackwell(samples).nats == pytest.approx(rao, abs=1e-9)
    assert predictive(samples) == pytest.approx(naive, abs=1e-9)
    assert miller_madow(counts) == pytest.approx(corrected, abs=1e-9)
    assert chao1(counts) == pytest.approx(distinct, abs=1e-9)


@given(COUNTS)
def test_the_entropy_lies_between_zero_and_the_log_of_the_clusters(counts: list[int]) -> None:
    entropy = discrete(counts)
    assert entropy.nats is not None
    assert 0 <= entropy.nats <= math.log(len(counts)) + 1e-12
    assert entropy.counts == tuple(counts)
    normalised = entropy.normalised
    assert (normalised is None) == (sum(counts) < 2)
    assert normalised is None or 0 <= normalised <= 1


@given(COUNTS)
def test_the_order_of_the_clusters_does_not_matter(counts: list[int]) -> None:
    assert discrete(counts).nats == pytest.approx(discrete(sorted(counts)).nats, abs=1e-12)


@given(COUNTS)
def test_splitting_a_cluster_never_lowers_the_entropy(counts: list[int]) -> None:
    split = [1, counts[0] - 1, *counts[1:]] if counts[0] > 1 else counts
    before, after = discrete(counts).nats, discrete(split).nats
    assert before is not None
    assert after is not None
    assert after >= before - 1e-12


@given(COUNTS)
def test_corrections_raise_the_plug_in(counts: list[int]) -> None:
    plain = discrete(counts).nats
    assert plain is not None
    assert (miller_madow(counts) or 0) >= plain
    assert 0 <= (coverage(counts) or 0) <= 1
    shen = chao_shen(counts)
    assert shen is None or shen >= 0
    assert chao1(counts) >= len(counts)


def test_coverage_counts_what_was_seen_once() -> None:
    assert coverage([4, 4]) == 1
    assert coverage([1, 1, 1]) == 0
    assert coverage([3, 1]) == pytest.approx(1 - 1 / 4)
    assert coverage([]) is None
    assert chao_shen([1, 1]) is None


def test_equal_likelihoods_give_the_discrete_entropy_and_kuhn_its_own_form() -> None:
    samples = [Sample(cluster, "", (-1.0, -3.0)) for cluster in (0, 0, 0, 1)]
    assert rao_blackwell(samples).nats == pytest.approx(discrete([3, 1]).nats)
    assert monte_carlo(samples).nats == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_tiny_likelihoods_do_not_underflow() -> None:
    samples = [Sample(0, "", (-2000.0,)), Sample(1, "", (-2000.0,))]
    assert rao_blackwell(samples).nats == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "bad",
    [(), (float("nan"),), (-1.0, float("-inf")), (0.5,), (-1.7e308, -1.7e308)],
    ids=["missing", "nan", "inf", "positive", "least"],
)
def test_bad_logprobs_are_undefined_not_certain(bad: tuple[float, ...]) -> None:
    samples = [Sample(0, "", (-1.0,)), Sample(0, "", bad)]
    assert rao_blackwell(samples).nats is None
    assert monte_carlo(samples).nats is None
    assert predictive(samples) is None
    assert rao_blackwell(samples).counts == (2,)


@pytest.mark.parametrize(
    ("samples", "temperature", "doubt"),
    [
        ([], 1.0, "no branch gave an answer"),
        ([Sample(None)] * 4, 1.0, "no branch gave an answer"),
        ([Sample(0, "7"), Sample(0, "7"), *[Sample(None)] * 3], 1.0, "most branches gave no answer"),
        ([Sample(0, "7")], 1.0, "one answer cannot disagree"),
        ([Sample(0, "7"), Sample(0, "7")], 0.0, "temperature 0"),
    ],
)
def test_what_could_not_have_disagreed_is_no_agreement(
    samples: list[Sample], temperature: float, doubt: str
) -> None:
    entropy = guarded(samples, temperature=temperature)
    assert entropy.nats is None
    assert entropy.normalised is None
    assert doubt in (entropy.doubt or "")


@pytest.mark.parametrize("text", ["72", "Half of 48 is 24, and 48 and 24 are 72. " * 4])
def test_equal_texts_are_agreement(text: str) -> None:
    entropy = guarded([Sample(0, text, draw=Draw(seed=at)) for at in range(5)], temperature=0.7)
    assert (entropy.nats, entropy.doubt) == (0.0, None)


def test_copies_are_no_agreement() -> None:
    entropy = guarded([Sample(0, "72", draw=Draw(seed=4))] * 2, temperature=0.7)
    assert entropy.nats is None
    assert "same seed" in (entropy.doubt or "")


def test_runs_from_before_calls_were_asked_take_long_equal_texts_for_copies() -> None:
    long = [Sample(0, "Half of 48 is 24. " * 5, draw=Draw(seed=at)) for at in range(3)]
    assert guarded(long, temperature=0.7, by_text=True).nats is None
    short = [Sample(0, "72", draw=Draw(seed=4))] * 3
    assert guarded(short, temperature=0.7, by_text=True).nats == 0.0


def test_an_abstention_agrees_with_nobody() -> None:
    assert discrete([3], abstained=2).nats == pytest.approx(discrete([3, 1, 1]).nats)
    assert discrete([2], abstained=2).normalised == pytest.approx(0.75)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        discrete([3, -1])


def test_an_answer_without_likelihood_leaves_the_monte_carlo_form_undefined() -> None:
    samples = [Sample(0, "a", (-1.0,)), Sample(1, "b", (-9999.0,))]
    assert monte_carlo(samples).nats is None
    assert monte_carlo(samples).doubt == "an answer has no likelihood"
    assert rao_blackwell(samples).nats == 0.0
