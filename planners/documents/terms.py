"""What texts are about, by their words alone: words, or pairs of characters where no spaces part words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_TERM: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_RUN: Final = re.compile(rf"[{_UNSPACED}]")
_GROUPING: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def terms_of(text: str) -> frozenset[str]:
    """The words of a text, without case; of runs in scripts without spaces, all pairs of neighbours."""
    found: set[str] = set()
    for match in _TERM.finditer(_GROUPING.sub("", text.casefold())):
        word = match.group()
        if _RUN.match(word) and len(word) > 1:
            found.update(word[at : at + 2] for at in range(len(word) - 1))
        else:
            found.add(word)
    return frozenset(found)


RARE: Final = 0.05
"""The share of the sentences of a material that have a term which names something in it, at most."""


class Rarity:
    """How much terms tell texts apart: their inverse document frequency (Sparck Jones 1972)."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._found: Counter[str] = Counter()
        self._texts = 0
        for each in texts:
            self._found.update(terms_of(each))
            self._texts += 1

    def of(self, term: str) -> float:
        """0 for a term that all texts have, and for one that none has."""
        found = self._found[term]
        return math.log(self._texts / found) if found else 0.0

    def telling(self, terms: Iterable[str]) -> frozenset[str]:
        """Those of the terms that some texts have, but fewer than half of them."""
        return frozenset(term for term in terms if 0 < 2 * self._found[term] < self._texts)

    def rare(self, terms: Iterable[str]) -> frozenset[str]:
        """Those of the terms that few texts have: a share of :data:`RARE`, or two of several."""
        most = max(min(2, self._texts - 1), RARE * self._texts)
        return frozenset(term for term in terms if 0 < self._found[term] <= most)

    def shared(self, wanted: Iterable[str], text: str) -> float:
        """The sum over the terms that a text has of those that are wanted."""
        # Sets have no order of their own that lasts, and sums of floats depend on it.
        return math.fsum(self.of(term) for term in terms_of(text).intersection(wanted))
