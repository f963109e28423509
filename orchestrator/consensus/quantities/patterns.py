"""Regular expressions compiled at their first use: all of them together take longer than the imports.

May import nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast


class _Lazy:
    """A pattern that compiles itself when a method is first asked for, and then has that method itself."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._written = pattern, flags
        self.pattern = pattern

    def __getattr__(self, name: str) -> object:
        found = getattr(re.compile(*self._written), name)  # re keeps what it has compiled lately
        setattr(self, name, found)
        return found


def any_of(words: Iterable[str]) -> str:
    """The alternation of some words, the longest first, so that none hides another that it begins."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def lazily(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As :func:`re.compile`, which is called at the first use; an error in the pattern shows only then."""
    return cast("re.Pattern[str]", _Lazy(pattern, flags))
