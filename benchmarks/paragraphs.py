"""A search over paragraphs, as a tool: the paragraphs that share the rarest words with the query."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from workers.tools.declaration import tool
from workers.tools.tool import Tool

MOST = 4
"""Paragraphs that one search returns at most."""

NEAR = 0.75
"""A paragraph is returned if it scores at least this share of the best score."""

NOTHING = "Nothing was found."

_WORD = re.compile(r"[^\W_]+")


class Collection:
    """Paragraphs that can be searched.

    A paragraph scores the sum over the words that it shares with the query of their inverse document
    frequency (Sparck Jones 1972); of equal scores, the shorter paragraph comes first.
    """

    def __init__(self, paragraphs: Sequence[str]) -> None:
        self._paragraphs = tuple(dict.fromkeys(paragraphs))
        self._words = [_words(each) for each in self._paragraphs]
        found = Counter(word for words in self._words for word in words)
        self._weights = {word: math.log(len(self._paragraphs) / n) for word, n in found.items()}

    def search(self, query: str) -> list[str]:
        """The paragraphs that match best, the best first; none if they share no word with the query."""
        wanted = _words(query)
        scores = [sum(self._weights[word] for word in wanted & words) for words in self._words]
        best = max(scores, default=0.0)
        ranked = sorted(range(len(scores)), key=lambda at: (-scores[at], len(self._paragraphs[at])))
        return [self._paragraphs[at] for at in ranked[:MOST] if 0 < NEAR * best <= scores[at]]


def search_tool(paragraphs: Sequence[str]) -> Tool:
    """A tool ``search`` over these paragraphs."""
    collection = Collection(paragraphs)

    @tool
    async def search(query: str) -> str:
        """Look up what is known about a name: a town, a company, a person or a depot."""
        return "\n".join(collection.search(query)) or NOTHING

    return search


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))
