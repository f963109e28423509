"""What is known of one language: how it gives an answer, refuses one, counts and measures."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How one language speaks of answers. Texts without a list of words are regular expressions.

    ``words`` are frequent function words that tell the language from the others; ``script`` is a character
    that does so alone. ``nouns`` name an answer, ``after`` are adjectives that may follow the noun, and
    ``verbs`` join it with the answer. ``result`` are nouns that name an answer only where a text ends.
    ``labels`` are words before the label of a choice, ``ends`` what may close a sentence after the answer.
    ``comma`` says that decimals follow a comma, ``dots`` that a single dot before three figures groups them.
    ``units`` gives the plain English word for a word of measure or scale, ``before`` for a word that stands
    before a number and joins or bounds it; ``behind`` is the same for one behind it, and ``counters``
    only count; ``yes`` and ``no`` are the words for those answers,
    ``months`` the twelve names as dates have them.
    """

    code: str
    words: str = ""
    script: str = ""
    nouns: str
    after: str = ""
    verbs: str = ""
    result: str = ""
    labels: str = ""
    ends: str = ""
    refusals: str = ""
    yes: str = ""
    no: str = ""
    comma: bool = False
    dots: bool = False
    units: dict[str, str] = field(default_factory=dict)
    counters: str = ""
    behind: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    months: str = ""


def words_of(table: str) -> dict[str, str]:
    """``plain: word word, plain: word`` as a mapping from each word, in lower case, to the plain one."""
    pairs = (entry.split(":") for entry in table.split(","))
    return {
        word.replace("_", " "): plain.strip().replace("_", " ")
        for plain, words in pairs
        for word in words.split()
    }
