"""Numbers in words of other languages."""

from __future__ import annotations

import pytest

from orchestrator.consensus.reading.counting import in_figures


@pytest.mark.parametrize(
    ("code", "text", "figures"),
    [
        ("de", "zwei Drittel", "2/3"),
        ("de", "fünfundzwanzig Kilometer", "25 Kilometer"),
        ("de", "zweihundertfünfundvierzig", "245"),
        ("de", "eine Stunde", "eine Stunde"),
        ("fr", "quatre-vingt-dix-sept", "97"),
        ("fr", "vingt et un euros", "21 euros"),
        ("es", "treinta y cinco", "35"),
        ("es", "dos o tres", "2 o 3"),
        ("pt", "dois terços", "2/3"),
        ("it", "ventotto", "28"),
        ("ru", "сто двадцать рублей", "120 рублей"),
        ("zh", "三分之二", "2/3"),
        ("zh", "百分之五十", "50%"),
        ("zh", "三角形", "三角形"),
        ("ja", "答えは十二です", "答えは12です"),
        ("ko", "이십오입니다", "25입니다"),
        ("hi", "पच्चीस", "25"),
        ("ar", "خمسة وعشرون", "25"),
        ("en", "twenty-five", "twenty-five"),
        ("de", "zwei Züge fahren 5 km", "zwei Züge fahren 5 km"),
    ],
)
def test_words_become_figures_where_a_sentence_has_none(code: str, text: str, figures: str) -> None:
    assert in_figures(text, code) == figures
