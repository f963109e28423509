"""What a key looks like, and that nothing else passes for one."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.access.form import PATTERN, hash_of, hint_of, is_key, new_key

KEY = new_key()


def test_keys_have_the_form_that_scanners_look_for() -> None:
    made = {new_key() for _ in range(200)}
    assert len(made) == 200
    for key in made:
        assert is_key(key)
        assert re.findall(PATTERN, f'token = "{key}" # secret') == [key]
        assert len(key) == 4 + 43 + 6


def test_random_part_is_all_of_256_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda bits: 2**bits - 1)
    largest = new_key()
    monkeypatch.setattr("secrets.randbits", lambda bits: 2**bits - 2)
    assert is_key(largest)
    assert new_key()[:47] != largest[:47]
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for character in largest[4:47]:
        number = 62 * number + digits.index(character)
    assert number == 2**256 - 1
    check = 0
    for character in largest[47:]:
        check = 62 * check + digits.index(character)
    assert check == zlib.crc32(largest[:47].encode())


@given(st.integers(4, len(KEY) - 1), st.sampled_from("0123456789ABCXYZabcxyz"))
def test_one_wrong_character_is_noticed(at: int, other: str) -> None:
    changed = KEY[:at] + other + KEY[at + 1 :]
    assert is_key(changed) == (changed == KEY)


@given(st.integers(4, len(KEY) - 2))
def test_two_swapped_characters_are_noticed(at: int) -> None:
    swapped = KEY[:at] + KEY[at + 1] + KEY[at] + KEY[at + 2 :]
    assert is_key(swapped) == (swapped == KEY)


@pytest.mark.parametrize(
    "text",
    [
        *("", "anb_", KEY[:-1], KEY + "0", f" {KEY}", f"{KEY}\n", KEY.upper(), KEY.replace("anb_", "sk-_")),
        *("anb_" + "0" * 49, "anb_" + "é" * 49, "anb_" + "٣" * 49, "anb_" + "\0" * 49, "a" * 1_000_000),
    ],
    ids=lambda text: f"{len(text)} characters",  # new keys may not be part of the names
)
def test_nothing_else_is_a_key(text: str) -> None:
    assert not is_key(text)


@given(st.text(max_size=60))
def test_any_text_can_be_asked_about(text: str) -> None:
    assert not is_key(text)
    assert not is_key(f"anb_{text}")


def test_what_is_kept_of_a_key_does_not_give_it_away() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_of(KEY))
    assert hint_of(KEY) == KEY[:12]
