"""Which lines of a reply are quotes: those that stand in the material, where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.documents.citing import Cited, cited, joined

MATERIAL = (
    "The blue gauge weighs 7 g.\nIt was made\n  in 1921 by “Ollo & Sons”. Nobody knows why.\n"
    "青い計器は七グラムです。赤い計器は軽い。\n<note>The red gauge, 3 < 4, is lost.</note> The end."
)
ALL = [(0, len(MATERIAL))]


def quotes(reply: str) -> list[str]:
    return [MATERIAL[start:end] for start, end in cited(reply, MATERIAL, ALL).quotes]


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("The blue gauge weighs 7 g.", ["The blue gauge weighs 7 g."]),
        ("- The blue gauge weighs 7 g.", ["The blue gauge weighs 7 g."]),
        ('1. "The blue gauge weighs 7 g."', ["The blue gauge weighs 7 g."]),
        ("[2] The blue gauge weighs 7 g", ["The blue gauge weighs 7 g"]),
        ('It was made in 1921 by "Ollo & Sons".', ["It was made\n  in 1921 by “Ollo & Sons”."]),
        ("青い計器は七グラムです。", ["青い計器は七グラムです。"]),
        ("* 赤い計器は軽い。", ["赤い計器は軽い。"]),
        ("&lt;note>The red gauge, 3 &lt; 4, is lost.", ["<note>The red gauge, 3 < 4, is lost."]),
        ("The blue gauge weighs 7 g. Nobody knows why.", ["The blue gauge weighs 7 g.", "Nobody knows why."]),
        ("The blue gauge weighs 7 g. It is heavy, too.", ["The blue gauge weighs 7 g."]),
        ("The blue gauge weighs ... Nobody knows why.", ["The blue gauge weighs", "Nobody knows why."]),
    ],
)
def test_what_stands_there_is_a_quote(reply: str, found: list[str]) -> None:
    assert quotes(reply) == found
    assert cited(reply, MATERIAL, ALL).dropped == ()


@pytest.mark.parametrize(
    "reply",
    [
        "The blue gauge weighs 8 g.",
        "the blue gauge weighs 7 g.",
        "The gauge",
        "g. is",
        "Here are the quotes:",
    ],
)
def test_what_does_not_is_dropped_and_told(reply: str) -> None:
    reply = reply if reply != "The gauge" else "The gauge is blue"
    assert cited(reply, MATERIAL, ALL) == Cited((), (reply,))


@pytest.mark.parametrize(
    "reply", ["", "nothing", "Nothing.", "- none", "Nothing in this part helps.", "---", "…"]
)
def test_a_reply_that_there_is_nothing_is_no_quote_and_nothing_dropped(reply: str) -> None:
    assert cited(reply, MATERIAL, ALL) == Cited((), ())


def test_only_the_given_pieces_are_searched() -> None:
    assert cited("Nobody knows why.", MATERIAL, [(0, 27)]).quotes == ()
    start = MATERIAL.index("Nobody")
    assert cited("Nobody knows why.", MATERIAL, [(0, 27), (start, start + 17)]).quotes == (
        (start, start + 17),
    )


def test_a_quote_of_a_thousand_lines_is_cut_for_the_trace() -> None:
    (told,) = cited("x" * 5000, MATERIAL, ALL).dropped
    assert len(told) == 200


def test_spans_that_overlap_are_one() -> None:
    assert joined([(5, 9), (0, 3), (2, 4), (5, 7)]) == ((0, 4), (5, 9))
    assert joined([(0, 3), (4, 6)], gap=2) == ((0, 6),)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_reply_is_read_and_every_quote_stands_there(reply: str, material: str) -> None:
    for start, end in cited(reply, material, [(0, len(material))]).quotes:
        assert 0 <= start < end <= len(material)


@given(st.integers(0, len(MATERIAL)), st.integers(0, len(MATERIAL)))
def test_any_piece_of_a_line_is_found(a: int, b: int) -> None:
    piece = MATERIAL[min(a, b) : max(a, b)]
    if "\n" in piece or len(piece.strip().encode()) < 8:
        return
    assert any(piece.strip(" …") in each or each in piece for each in quotes(piece))
