"""Formulas as people are shown them."""

# ruff: noqa: RUF001 -- the look-alike characters are what people read

from __future__ import annotations

import pytest

from orchestrator.consensus.equivalence import compare, read_form
from orchestrator.consensus.readable import asks_for_latex, readable, readable_text


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        (r"\frac{2}{5}", "2/5"),
        (r"\dfrac12", "1/2"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"\frac{a+b}{c}", "(a+b)/c"),
        (r"\frac{1}{2x}", "1/(2x)"),
        (r"\frac{4}{3}\pi r^3", "(4/3)πr^3"),
        (r"\frac{1}{2} \text{ cup}", "1/2 cup"),
        (r"\frac{\sqrt{3}}{2}", "√3/2"),
        (r"\frac{\text{km}}{\text{h}}", "km/h"),
        (r"x^{10}", "x^10"),
        (r"x^{n+1}", "x^(n+1)"),
        (r"3\times4", "3 × 4"),
        (r"1.5 \times 10^{-3}", "1.5 × 10^-3"),
        (r"x \leq 5", "x ≤ 5"),
        (r"x = \pm 2", "x = ±2"),
        (r"50\%", "50%"),
        (r"\$1{,}200.50", "$1,200.50"),
        (r"80\text{km/h}", "80 km/h"),
        (r"\text{No, } \frac{3}{8} < \frac{2}{5}", "No, 3/8 < 2/5"),
        (r"90^\circ", "90°"),
        (r"25^{\circ}\text{C}", "25°C"),
        (r"5^{th}", "5th"),
        (r"\sqrt[3]{5}", "∛5"),
        (r"\{1, 2\}", "{1, 2}"),
        (r"(-\infty, 3] \cup [5, \infty)", "(-∞, 3] ∪ [5, ∞)"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "[[1, 2], [3, 4]]"),
        (r"\begin{cases} x=1 \\ y=2 \end{cases}", "x=1; y=2"),
        (r"\sin x + \cos\theta", "sin x + cos θ"),
        (r"\mathrm{Ca^{2+}}", "Ca^2+"),
        (r"$x^2$", "x^2"),
        (r"\boxed{\text{(B)}}", "(B)"),
    ],
)
def test_formulas_are_shown_without_latex(formula: str, told: str) -> None:
    assert readable(formula) == told
    assert readable(told) == told


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "$5 and $6",
        "$HOME",
        "snake_case",
        r"\d{3}-\d{4}",
        r"^\d{5}$",
        r"\bpi\b",
        r"C:\times\text",
        r"\\server\frac",
        r"`\frac{a}{b}`",
        'print("\\theta")',
        "s = r'\\theta'\nprint(s)",
        r"\unknown{2} \times 3",
        r"\frac{1}",
        r"2^{x",
        "\\",
        "{" * 100 + "^{" * 100,
    ],
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_deep_nesting_is_left_alone() -> None:
    deep = r"\sqrt{" * 300 + "2" + "}" * 300
    assert readable(deep) == deep


@pytest.mark.parametrize(
    "claim", [r"\frac{2}{5}", r"80 \text{ km/h}", r"50\%", r"x^{2}", r"90^\circ", r"\$5"]
)
def test_what_is_shown_is_the_same_answer(claim: str) -> None:
    assert (compare(read_form(claim), read_form(readable(claim))) or ("", False))[1]


def test_a_text_has_readable_formulas_and_its_code_as_it_is() -> None:
    text = "As \\( a^{2}+b^{2}=c^{2} \\) and \\[ c = \\sqrt{25} \\] it costs $5 or $6; `\\frac` and $x=2$."
    assert readable_text(text) == "As a^2+b^2=c^2 and c = √25 it costs $5 or $6; `\\frac` and x=2."
    code = "```python\nprint('\\(x^{2}\\)')\n```"
    assert readable_text(code) == code


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("How do I write a fraction in LaTeX?", True),
        (r"What does \frac mean?", True),
        ("Which is larger, 3/8 or 2/5?", False),
        ("What is latex made of in gloves, and who invented it?", True),  # then nothing is lost
    ],
)
def test_who_asks_for_latex_gets_it(question: str, asks: bool) -> None:
    assert asks_for_latex(question) is asks
