"""Takes keys out of texts for people: what servers say about a key that they refuse often quotes it."""

from __future__ import annotations

import re

HIDDEN = "***"

_LETTERS = r"[\w.~+/=*-]"  # of a token (RFC 6750), and the stars with which servers shorten one
_SECRETS = re.compile(
    rf"""
    (?P<url>://)[^/\s@"']+(?=@)
    | (?P<bearer>\b[Bb]earer\s+)(?=\S*[\d*]){_LETTERS}{{6,}}
    | (?P<prefix>\bsk-){_LETTERS}{{4,}}
    | (?P<field>\b(?:api[-_]?key|access[-_]?token|token|key|password)=)[^&\s"',;)\]}}\\]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SHORTEST = 6  # a key that is shorter hides nothing, and may be an ordinary word
_BEGINNING = 8  # characters by which a key is known where the rest of it is left out


def redacted(text: str, *keys: str | None) -> str:
    """The text without these keys, and without what looks like a key or like the password in a URL."""
    for key in keys:
        if key is not None and len(key) >= _SHORTEST and key[:_BEGINNING] in text:
            text = re.sub(rf"{re.escape(key[:_BEGINNING])}{_LETTERS}*", HIDDEN, text.replace(key, HIDDEN))
    return _SECRETS.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{HIDDEN}"
