"""Times of day in other languages."""

from __future__ import annotations

import pytest

from orchestrator.consensus.extraction import extract_claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Der Zug kommt um halb acht abends an.", "7:30 pm"),
        ("Der Zug fährt um 18 Uhr ab.", "18:00"),
        ("Es ist Viertel nach drei.", "3:15"),
        ("Le train arrive à 15h30.", "15:30"),
        ("Le trajet dure 2h30.", "2h30"),
        ("La reunión empieza a las cinco y media de la tarde.", "5:30 pm"),
        ("Встреча в 5 часов вечера.", "5:00 pm"),
        ("会議は午後4時に始まります。", "4:00 pm"),
        ("因此到达时间为晚上 10 点半。", "10:30 pm"),
        ("회의는 오후 4시에 시작합니다.", "4:00 pm"),
    ],
)
def test_a_time_of_day_is_read_in_its_language(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim
