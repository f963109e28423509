"""Characters that would steer a terminal are shown; all others stay as they are."""

from __future__ import annotations

import json

import pytest

from orchestrator.visible import json_spelled, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 日本, é, 🙂, a\tb\nc", "plain, 日本, é, 🙂, a\tb\nc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb\r\nc", "a\\rb\nc"),
        ("\0\x07\x08\x7f", r"\x00\x07\x08\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202eevil\u2066\u200f\u2028", r"\u202eevil\u2066\u200f\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_steers_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_line_stays_one() -> None:
    assert one_line("a\nerror [x]: b\tc") == r"a\nerror [x]: b\tc"


@pytest.mark.parametrize("value", [{"a\x9b": ["\x7f\u202e\x1b\n", "\ud800", "日本"]}, "plain"])
def test_json_means_the_same(value: object) -> None:
    text = json_spelled(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert visible(text) == text
