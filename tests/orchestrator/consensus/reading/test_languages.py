import re

import pytest

from orchestrator.consensus.reading.languages import LANGUAGES, language_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The answer is 5.", "en"),
        ("Die Antwort ist 3,5 Meter.", "de"),
        ("La réponse est 3,2 mètres.", "fr"),
        ("La respuesta es 5 y no hay más.", "es"),
        ("A resposta não é 5.", "pt"),
        ("La risposta è 5 metri.", "it"),
        ("Ответ: 5", "ru"),
        ("答案是5", "zh"),
        ("答えは5です", "ja"),
        ("정답은 5입니다", "ko"),
        ("उत्तर 5 है", "hi"),
        ("الجواب هو 5", "ar"),
        ("5", "en"),
        ("x = 3,5", "en"),
        ("The German word Antwort is a noun.", "en"),
    ],
)
def test_a_language_is_told_by_its_script_and_its_small_words(text: str, code: str) -> None:
    assert language_of(text).code == code


def test_every_language_has_months_in_full_or_none_and_patterns_that_compile() -> None:
    for each in LANGUAGES:
        assert len(each.months.split()) in (0, 12)
        for pattern in (each.nouns, each.after, each.verbs, each.result, each.ends, each.refusals):
            re.compile(pattern)
