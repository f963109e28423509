# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

import pytest

from orchestrator.consensus.reading.languages import language_of
from orchestrator.consensus.reading.spelling import folded, plain


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("Ｘ＝５。", "X=5。"),
        ("٤٢٫٥", "42.5"),
        ("१२", "12"),
        ("③", "3"),
        ("plain 5", "plain 5"),
    ],
)
def test_figures_and_signs_of_other_scripts_are_folded(text: str, spelling: str) -> None:
    assert folded(text) == spelling


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("Das sind 1.234,50 Euro.", "Das sind 1234.50 euros."),
        ("Das Dorf hat 1.500 Einwohner.", "Das Dorf hat 1500 Einwohner."),
        ("Die Zahl ist 0,125.", "Die Zahl ist 0.125."),
        ("Der Punkt ist (3,5).", "Der Punkt ist (3,5)."),
        ("Die Werte sind 1,2,3.", "Die Werte sind 1,2,3."),
        ("La respuesta es 1,234.", "La respuesta es 1,234."),
        ("La réponse est 3,2 milliards d'euros.", "La réponse est 3.2 billion euros."),
        ("Es dauert mindestens 2 Stunden und 30 Minuten.", "Es dauert at least 2 h and 30 min."),
        ("Er wurde am 3. März 1847 geboren.", "Er wurde am 3 March 1847 geboren."),
        ("2023年5月6日", "2023-05-06"),
        ("人口是3万5000", "人口是35000"),
        ("The price is 3,5 of the value.", "The price is 3,5 of the value."),
    ],
)
def test_numbers_are_written_in_english_where_that_is_sure(text: str, spelling: str) -> None:
    assert plain(text, language_of(text)) == spelling
