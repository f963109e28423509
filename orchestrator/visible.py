"""Text from elsewhere, with the characters that would steer a terminal made visible.

A question, an answer, an error of a server or a row of a database may hold anything. Sent to a terminal as it
is, it could move the cursor, hide what came before, or look like a line of our own.
"""

from __future__ import annotations

import re

_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
"""Controls but for tab and newline, what separates or turns lines, and what is no character."""

_STEERING = re.compile(f"[{_UNSAFE}]")
_LINE = re.compile(f"[\t\n{_UNSAFE}]")
_NAMES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    r"""The text, with ``\x1b`` for an escape and the like; tabs and newlines stay."""
    return _STEERING.sub(_spelled, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    r"""The text, with ``\n`` and ``\t`` for newlines and tabs as well."""
    return _LINE.sub(_spelled, text)


def json_spelled(text: str) -> str:
    """JSON that means the same and steers no terminal."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _NAMES.get(found[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
