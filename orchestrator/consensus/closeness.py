"""How close a text is to each of several domains, by the words that they share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

SHARPNESS = 0.5
"""The temperature of the shares: the lower, the more the nearest domain takes. It is ours, and not tuned: few
words tell of a domain, so that even one that shares most of them does not decide alone."""

_WORD = re.compile(r"\w+")


def closeness(text: str, domains: Mapping[str, str], *, sharpness: float = SHARPNESS) -> dict[str, float]:
    """The share of each domain in a text; they sum to 1, and are equal where no domain shares a word with it.

    c-BTM (arXiv 2303.14177) weighs an expert by exp(-d² / T), with d the distance of the text to the centre
    of its cluster in the space of tf-idf. Here a domain is one text, and words are weighed over the domains.

    Raises:
        ValueError: there is no domain, or the sharpness is not above 0.
    """
    if not domains or not sharpness > 0:
        given = f"{len(domains)} domains and a sharpness of {sharpness}"
        raise ValueError(f"closeness needs a domain and a sharpness above 0, not {given}")
    words = {name: _words(told) for name, told in domains.items()}
    rare = {
        word: math.log((1 + len(domains)) / (1 + sum(word in each for each in words.values())))
        for each in words.values()
        for word in each
    }
    asked = _direction(_words(text), rare)
    cosines = {}
    for name, each in words.items():
        direction = _direction(each, rare)
        cosines[name] = math.fsum(value * direction.get(word, 0.0) for word, value in asked.items())
    nearest = max(cosines.values())
    # Both have length 1, so that d² = 2 - 2 cos; only differences matter.
    raw = {name: math.exp(2 * (cosine - nearest) / sharpness) for name, cosine in cosines.items()}
    whole = math.fsum(raw.values())
    return {name: value / whole for name, value in raw.items()}


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _direction(words: Mapping[str, int], rare: Mapping[str, float]) -> dict[str, float]:
    """The words weighed by how few domains have them, as a vector of length 1; empty if it would be 0."""
    weighed = {word: (1 + math.log(count)) * rare.get(word, 0.0) for word, count in words.items()}
    length = math.sqrt(math.fsum(value * value for value in weighed.values()))
    return {word: value / length for word, value in weighed.items()} if length else {}
