from time import thread_time

import pytest

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.latex import as_latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("sqrt(2)", r"\sqrt{2}"),
        ("3√2", r"3\sqrt{2}"),
        ("√(x + 1)", r"\sqrt{x + 1}"),
        ("2**3", "2^3"),
        ("0.\\overline{3}", r"\frac{3}{9}"),
        ("x = 2 (double root)", "x = 2"),
        (r"x = 1 \pm \sqrt{5}", r"\{1 + \sqrt{5}, 1 - \sqrt{5}\}"),
        ("x = a or x = b", r"\{a, b\}"),
        ("x = a or y = b", "x = a or y = b"),
        ("(1, 2)", "(1, 2)"),
    ],
)
def test_a_formula_is_spelt_for_the_one_who_compares(text: str, latex: str) -> None:
    assert as_latex(text) == latex


def opened(left: str, right: str) -> int:
    clusters = Clusters(costly=("symbolic",))
    clusters.add(0, Claim(left, "boxed"))
    return len(clusters.open_pairs(Claim(right, "boxed")))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"x = 1 \pm \sqrt{5}", r"x = 1 + \sqrt{5} or x = 1 - \sqrt{5}"),
        (r"\frac{1 \pm i}{2}", r"\frac{1 + i}{2} and \frac{1 - i}{2}"),
    ],
)
def test_as_many_values_may_be_the_same(left: str, right: str) -> None:
    assert opened(left, right) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"x = 1 + \sqrt{5} or x = 1 - \sqrt{5}", r"x = 1 + \sqrt{5}"),
        (r"\frac{\sqrt{8}}{2} \text{ cm}^2", r"\frac{2\sqrt{2}}{2} \text{ cm}"),
    ],
)
def test_another_number_of_values_or_another_power_of_a_unit_is_not_asked_about(
    left: str, right: str
) -> None:
    assert opened(left, right) == 0


@pytest.mark.parametrize("text", ["√(" * 200, r"\pm " * 200, "x = 1 or " * 200, "sqrt(" * 99 + ")" * 99])
def test_hostile_formulas_are_spelt_in_little_time(text: str) -> None:
    began = thread_time()
    as_latex(text)
    assert thread_time() - began < 1
