from __future__ import annotations

import pytest

from workers.redaction import redacted

KEY = "my-own-key-of-some-length"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-abc***. You can", "Incorrect API key provided: sk-*** You can"),
        ("Incorrect API key provided: sk-proj-ab********7fQA.", "Incorrect API key provided: sk-***"),
        (f"the key {KEY} is wrong", "the key *** is wrong"),
        (f"the key {KEY[:10]}****, which is wrong", "the key ***, which is wrong"),
        ('{"error": "Bearer abc123def", "a": 1}', '{"error": "Bearer ***", "a": 1}'),
        ("https://me:secret@host/v1 is down", "https://***@host/v1 is down"),
        ("http://host:1/x?api_key=abcdef&y=1", "http://host:1/x?api_key=***&y=1"),
        ("http://host:1/x?key=AIzaSy123&y=1", "http://host:1/x?key=***&y=1"),
        ("my key is anb_4Df1jRSZaTL8PXrM, mind", "my key is anb_***, mind"),
        ("signed with whsec_QUJDQUJDQ1==.", "signed with whsec_***"),
        (r'{"error": "wrong:\nsk-abc123"}', r'{"error": "wrong:\nsk-***"}'),
        # What only looks like it.
        ("the bearer token is missing", "the bearer token is missing"),
        ("max_tokens=16 is too large for a risk-averse task on disk-1", None),
        ("install sk-learn; sorted(rows, key=len) found no row with key=42, token=none", None),
        ("me@host.example wrote to http://host/@here", None),
    ],
)
def test_keys_are_taken_out_and_the_rest_stays(text: str, shown: str | None) -> None:
    assert redacted(text, KEY) == (text if shown is None else shown)


def test_a_key_that_may_be_a_word_stays() -> None:
    assert redacted("EMPTY is no key", "none", "", None) == "EMPTY is no key"
    assert redacted("no one", "no") == "no one"
    assert redacted("ollama:11434 is down", "ollama") == "ollama:11434 is down"
    assert redacted("who is hunter2", "hunter2") == "who is ***"
