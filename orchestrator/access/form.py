"""What a key looks like: a prefix that scanners find, 256 random bits, and a checksum.

``anb_``, then 43 characters of base62, then 6 with the CRC-32 of all that stands before them. A text that is
none is refused without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "anb_"
"""What every key begins with."""

PATTERN = r"anb_[0-9A-Za-z]{49}"
"""What a secret scanner may look for."""

HINT = 8
"""How many characters of a key may be shown, beside the prefix."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECK = 43, 6  # 62 ** 43 > 2 ** 256, and 62 ** 6 > 2 ** 32
_KEY = re.compile(PATTERN, re.ASCII)


def new_key() -> str:
    """A key that nobody has seen."""
    body = PREFIX + _base62(secrets.randbits(256), _RANDOM)
    return body + _checksum(body)


def is_key(text: str) -> bool:
    """Whether it could be a key: it has the form, and its checksum is right."""
    return _KEY.fullmatch(text) is not None and text[-_CHECK:] == _checksum(text[:-_CHECK])


def hash_of(key: str) -> str:
    """What is stored of a key, in hexadecimal. 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint_of(key: str) -> str:
    """The beginning of a key, by which people know it again."""
    return key[: len(PREFIX) + HINT]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
