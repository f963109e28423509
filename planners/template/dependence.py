"""Whether the words of a task show that its pieces depend on each other, so that they cannot be done alone.

These are the operations on lists that break when each item is handled without the others: sorting, ranking,
counting, adding up, comparing, shuffling, whatever has to be consistent or to come in an order. What is done
within each item, as in "sort each line", is none of them.
"""

# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from planners.listing import LONG

_WITHIN = (
    r"(?! (?:the \w+ |\w+ )?(?:of |in |for |within )?(?:each|every|jede[rnms]?|chaque|cada|ogni)\b)"
    r"(?![^.\n]{0,40}\b(?:of|in|for|within) (?:each|every)\b)"
)
"""What follows an operation that is done within each item is that item."""

_SOME = (
    r"(?:(?:all|both|of|out|the|these|those|this|them|following|my|given|items?|words?|numbers?|names?|list"
    r"|lists?|elements?|sentences?|by|in|from|into|according to|alphabetical\w*|descending|ascending"
    r"|random\w*)\b ?)"
)

_OPERATIONS: Final = (
    r"(?:sort|rank|reorder|rearrange|arrange|shuffle|permute|scramble|prioriti[sz]e|dedup\w*|deduplicate"
    r"|cluster|intersect|interleave|zip)\b",
    r"(?:order|reverse|group|partition|combine|merge|join|concatenate|chain|link|swap|rotate|shift|insert"
    rf"|aggregate|average|sum|count|total) {_SOME}",
    r"(?:sortiere|ordne|mische|vergleiche|summiere|addiere|zähle)\b",
    r"(?:trie[rz]?|classe[rz]? par|mélange[rz]?|compare[rz]?|additionne[rz]?)\b",
    r"(?:ordena|clasifica por|mezcla|compara|suma)\b",
    r"(?:ordina|mescola|confronta|somma)\b",
    r"(?:add|sum) (?:up|together)\b",
    r"(?:add|multiply) (?:all|these|those|the (?:following|numbers))\b",
    r"(?:compare|contrast)\b",
    r"(?:pick|choose|select|find|remove|delete|replace|keep|drop) (?:one|two|the (?:best|worst|largest|"
    r"smallest|longest|shortest|most|least|duplicates?|outlier|odd)|an? random|some|any|all duplicates?|"
    r"duplicates?)\b",
    r"summari[sz]e (?:them|all|everything|both|these|the following) (?:in|into|as) (?:a|one)\b",
)
"""What is asked for at the beginning of a clause."""

_ANYWHERE: Final = (
    r"(?:in|by|into) (?:\w+ ){0,2}(?:alphabetical|numerical|chronological|ascending|descending|reverse|random"
    r"|logical|increasing|decreasing|order)(?: order)?\b(?! of (?:each|every))",
    r"alphabetisch|alphabétique|alfabétic|alfabetic",
    r"(?:ordered|sorted|ranked|arranged|grouped) (?:by|from|in)\b",
    r"(?:the|their|its|an?) (?:\w+ )?(?:sum|total|average|mean|median|maximum|minimum|union|intersection"
    r"|difference|ranking|order) (?:of|between|among|across) (?:all|the|these|those|them|both)\b",
    r"\b(?:with|to|from|against|of|between|than) (?:each|one an)other\b|\bmiteinander\b|\bentre eux\b",
    r"\bconsisten(?:t|tly|cy)\b(?! with the (?:text|passage|context))",
    r"\b(?:how many|which|what) (?:of|one of|ones of|among) "
    r"(?:these|those|them|the (?:following|items|words))",
    r"\bhow many (?:different|distinct|of)\b",
    r"\bwhich (?:one |ones )?(?:is|are|was|were|has|have) (?:the )?(?:best|worst|larg\w+|small\w+|long\w+"
    r"|short\w+|old\w+|most|least|more|less|bigg\w+|high\w+|low\w+|odd)\b",
    r"\b(?:latin square|sudoku|crossword|seating|timetable|bracket|tournament)\b",
    r"\b(?:build(?:s|ing)? on|depend(?:s|ing)? on|follow(?:s|ing)? from|continu(?:e|es|ing|ation)) "
    r"(?:the |each )?(?:previous|last|one|other)\b",
    r"\b(?:increasing|decreasing|growing|rising|progressive(?:ly)?) (?:in )?(?:difficulty|length|order|size)",
    r"\b(?:progressively|one after (?:the other|another)|in turn|step by step|in sequence|sequel|sequence of"
    r"|series of|turns? (?:of|in) a)\b",
    r"\bpairs? (?:them|these|up|each)\b|\bmatch (?:them|these|the following|each)\b",
    r"\b(?:no (?:two|repeats?|repetitions?|duplicates?)|without (?:repeat\w*|repetition\w*|duplicat\w*))\b",
    r"\b(?:overall|in total|altogether|as a whole|in common|insgesamt|au total|en total)\b",
    r"\binto (?:one|a single|an?) (?:\w+ ){0,2}(?:list|text|story|summary|paragraph|sentence|table|essay)\b",
)
"""What may stand anywhere in the task."""

_OF_SAMPLES: Final = (
    r"\b(?:chapters?|acts?|scenes?|verses?|stanzas?|episodes?|steps?|parts?|stages?|phases?|paragraphs?|days?"
    r"|weeks?|months?|lines?|rounds?|sentences? (?:story|summary)|kapitel|schritte?|étapes?|pasos)\b",
    r"\b(?:the|top|first|last|next) (?:\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty)\b",
    r"\b(?:largest|smallest|highest|lowest|longest|shortest|oldest|youngest|biggest|fastest|richest|best|worst"
    r"|most (?:popular|famous|common|important)|main)\b",
)
"""What several samples are that are made one after the other, or that are the first of a ranking."""

_REFERS: Final = re.compile(
    r"\b(?:previous|preceding|last|next|first|second|other|above) (?:questions?|answers?|items?|results?)\b"
    r"|\b(?:question|answer|item) (?:no\. ?|number )?\d+\b|\b(?:your|that|this) answers?\b"
    r"|\bsame (?:as (?:above|before)|question|for)\b|\A\W*(?:and|what about|how about)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?]) ")
_QUOTED: Final = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|`[^`\n]*`")
_LISTED: Final = re.compile(r"\s*(?:[-*+•–]|\(?(?:\d{1,3}|[A-Za-z])[.):])\s*\S|.*[?？]\s*$")
_CLAUSE: Final = (
    r"(?:^|(?<=[.!?:;,\n]) ?|\b(?:and|then|please|to|you|und|bitte|et|y|must|should) )(?:then |please )?"
)
_ASKED: Final = re.compile(rf"{_CLAUSE}(?P<what>(?:{'|'.join(_OPERATIONS)}){_WITHIN})", re.IGNORECASE)
_SAID: Final = re.compile(rf"(?P<what>(?:{'|'.join(_ANYWHERE)}){_WITHIN})", re.IGNORECASE)
_SAMPLES: Final = re.compile("|".join(_OF_SAMPLES), re.IGNORECASE)


def dependent_words(task: str, *, samples: bool = False) -> str:
    """The words of a task, without its items, that show that pieces depend on each other; empty if none do.

    Of a long paragraph, which tells of something, only its first and its last sentence are looked at.
    ``samples`` says that several of one thing are asked for.
    """
    for paragraph in filter(str.strip, task.split("\n")):
        text = re.sub(r"\s+", " ", paragraph).strip()
        sentences = _SENTENCE.split(text)
        told = (text,) if len(text) <= LONG else (sentences[0], sentences[-1])
        for each in told:
            if found := _ASKED.search(each) or _SAID.search(each):
                return found["what"].strip()
            if samples and (of := _SAMPLES.search(each)):
                return of.group().strip()
    return ""


def dependent_at_sight(text: str) -> str:
    """Those words in what is not listed in a text, as far as that shows before anybody has read it."""
    lines = (line for line in _QUOTED.sub(" ", text).split("\n") if not _LISTED.match(line))
    return dependent_words("\n".join(re.split(r"[:：]", line)[0] for line in lines))


def refers_to_another(items: Sequence[str]) -> str:
    """The words by which an item refers to another one, as in "and what of the previous one"; or empty."""
    found = (_REFERS.search(item) for item in items)
    return next((match.group() for match in found if match), "")
