from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.consensus.quantities.arithmetic import MOST_BITS, read_arithmetic


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5!", 120),
        ("2^10", 1024),
        ("2**10", 1024),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^3^2", 512),
        ("2^{-1}", Fraction(1, 2)),
        ("C(5,2)", 10),
        ("5 choose 2", 10),
        ("5C2", 10),
        ("3!·2", 12),
        ("3+4", 7),
        (r"\\sqrt{16}".replace("\\\\", "\\"), 4),
        ("2*(3+4)", 14),
        ("1/2+1/3", Fraction(5, 6)),
        ("0!", 1),
    ],
)
def test_reads(text: str, value: Fraction) -> None:
    found = read_arithmetic(text)
    assert found is not None
    assert found[:2] == (value, len(found[2]))


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "10-5",
        "x^2",
        "n!",
        "",
        "1e5",
        "1000000000!",
        "9^9^9^9",
        "2^0.5",
        "C(2,5)",
        "0^-1",
        "√2",
        "(" * 99 + "2^2",
    ],
)
def test_a_number_alone_letters_and_what_nobody_can_compute_are_none(text: str) -> None:
    found = read_arithmetic(text)
    assert found is None


@given(st.text(alphabet="0123456789!^*/+-()C,{}.√ ", max_size=60))
@example("9^9")
@example("170!")
@example("2^10 * 3! - 1/7")
def test_any_expression_is_read_in_bounded_size(text: str) -> None:
    found = read_arithmetic(text)
    if found is not None:
        assert max(found[0].numerator.bit_length(), found[0].denominator.bit_length()) <= 8 * MOST_BITS
