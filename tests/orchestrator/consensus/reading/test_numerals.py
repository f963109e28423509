import pytest

from orchestrator.consensus.reading.numerals import display, figures, formula_spans, right_side


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from 3 to 5", ["3", "5"]),
        ("on 2024-01-02 at 10:30 pm", ["2024-01-02", "10:30 pm"]),
        ("on March 5, 2020", ["March 5, 2020"]),
        ("it is 1 234 567 or 3 1/2", ["1 234 567", "3 1/2"]),
        ("it is 3 × 10^8 or 1e-10", ["3 × 10^8", "1e-10"]),  # noqa: RUF001
        ("$x = \\frac{3}{5}$ and 5!", ["\\frac{3}{5}", "5!"]),
        ("it costs $5 and then another $6", ["$5", "$6"]),
        ("x = 1 and y = -3", ["x = 1 and y = -3"]),
        ("{1, 2, 3} in (2, 5]", ["{1, 2, 3}", "(2, 5]"]),
        ("CO2 and carbon-12", []),
        ("three quarters of one", ["three quarters"]),
        ("seven of the first", ["seven", "first"]),
        ("two of 5", ["5"]),
    ],
)
def test_figures_are_taken_with_what_is_written_together_with_them(text: str, found: list[str]) -> None:
    assert [figure.text for figure in figures(text)] == found


def test_a_formula_of_several_lines_comes_to_the_right_side_of_the_last() -> None:
    assert display("x + y &= 5\\\\\n x &= 3\n") == ("3", "x = 3")
    assert (
        display("a = \\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}")[0]
        == "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"
    )


def test_money_is_no_formula() -> None:
    assert formula_spans("it costs $5, or $6 a day, $ 7") == []
    assert [content for *_, content in formula_spans("$5!$ and \\(x\\)")] == ["5!", "x"]


def test_several_equations_are_kept_whole() -> None:
    assert right_side("48/2 = 24") == " 24"
    assert right_side("x = 1, y = 2") == "x = 1, y = 2"
    assert right_side("x >= 5") == "x >= 5"
