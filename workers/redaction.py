"""Takes keys out of texts for people: what servers say about a key that they refuse often quotes it."""

from __future__ import annotations

import re

HIDDEN = "***"

_START = r"(?:\b|(?<=\\[nrt]))"  # of a word, also after a line end that JSON has spelled
_LETTERS = r"[\w.~+/=*-]"  # of a token (RFC 6750), and the stars with which servers shorten one
_VALUE = r"""[^&\s"',;)\]}\\]"""
_SECRETS = re.compile(
    rf"""
    (?P<url>://)[^/\s@"']+(?=@)
    | (?P<bearer>{_START}bearer\s+)(?=\S{{0,99}}[\d*]){_LETTERS}{{6,}}
    | (?P<prefix>{_START}(?:sk-|anb_|whsec_))(?=\S{{0,99}}[\d*]){_LETTERS}{{4,}}
    | (?P<field>{_START}(?:api[-_]?key|access[-_]?token|password)=){_VALUE}+
    | (?P<short>{_START}(?:token|key)=)(?={_VALUE}{{0,99}}[\d*]){_VALUE}{{8,}}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SHORTEST, _SHORTEST_WORD = 6, 8  # a key that is shorter hides nothing, such as the "ollama" for Ollama
_BEGINNING = 8  # characters by which a key is known where the rest of it is left out


def redacted(text: str, *keys: str | None) -> str:
    """The text without these keys, and without what looks like a key or like the password in a URL."""
    for key in keys:
        if key is None or len(key) < (_SHORTEST_WORD if key.isalpha() else _SHORTEST):
            continue
        if key[:_BEGINNING] in text:
            text = re.sub(rf"{re.escape(key[:_BEGINNING])}{_LETTERS}*", HIDDEN, text.replace(key, HIDDEN))
    return _SECRETS.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{HIDDEN}"
