"""Whether the words of a task show that its pieces depend on each other, or that each is done alone.

The operations on lists that break when an item is handled without the others are sorting, ranking, counting,
adding up, comparing, shuffling, whatever has to be consistent or to come in an order. What is done within
each item, as in "sort each line", is none of them. No list of such words is complete, so words that say that
a task is done item by item are looked for, too.
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

_CLAUSE: Final = (
    r"(?:^|(?<=[.!?:;,\n]) ?|\b(?:and|then|please|to|you|und|bitte|et|y|must|should) )(?:then |please )?"
)

_ON_LISTS: Final = (
    r"(?:sort|rank|reorder|rearrange|arrange|shuffle|permute|scramble|prioriti[sz]e|dedup\w*|deduplicate"
    r"|cluster|intersect|interleave|zip)\b",
    r"(?:order|reverse|group|partition|combine|merge|join|concatenate|chain|link|swap|rotate|shift|insert"
    rf"|aggregate|average|sum|count|total) {_SOME}",
    r"(?:sortiere|ordne|mische|summiere|addiere|zähle)\b",
    r"(?:trie[rz]?|classe[rz]? par|mélange[rz]?|additionne[rz]?)\b",
    r"(?:ordena|clasifica por|mezcla|suma)\b",
    r"(?:ordina|mescola|somma)\b",
    r"(?:add|sum) (?:up|together)\b",
    r"(?:add|multiply) (?:all|these|those|the (?:following|numbers))\b",
    r"(?:pick|choose|select) (?:\w+ ){0,3}(?:of|from|among)\b",
    r"(?:divide|split|distribute|allocate) (?:these|those|them|the|all|it)\b",
    r"(?:pick|choose|select|find|remove|delete|replace|keep|drop|insert) (?:one|two|the (?:best|worst|most"
    r"|least|duplicates?|outlier|odd|\w{2,}est)|an? random|some|any|all duplicates?|duplicates?)\b",
    r"summari[sz]e (?:them|all|everything|both|these|the following) (?:in|into|as) (?:a|one)\b",
)
"""What is done to a whole list, at the beginning of a clause."""

_OPERATIONS: Final = (*_ON_LISTS, r"(?:compare[rz]?|contrast|vergleiche|compara|confronta)\b")
"""What is asked for at the beginning of a clause."""

_ORDERED: Final = (
    r"\b(?:in|by|into) (?:\w+ ){0,2}(?:alphabetical|numerical|chronological|ascending|descending|reverse"
    r"|logical|increasing|decreasing|order)(?: order)?\b"
    r"(?! to\b)(?! (?:that )?(?:is |as |they )?(?:given|listed|above))",
    r"\balphabetisch|\balphabétique|\balfabétic|\balfabetic|\bReihenfolge\b|\bpar ordre\b|\bpor orden\b",
    r"\b(?:ordered|sorted|ranked|arranged|grouped) (?:by|from|in)\b",
    r"\b(?:number|order|sort|arrange|list) (?:these|those|them|the)\b.{0,40}\b(?:by|from)\b",
    r"\b(?:keep|keeping|preserv\w+|maintain\w*) (?:the|their) (?:same |original |relative )?order\b",
    r"\b(?:running|cumulative) (?:totals?|sums?|counts?|averages?|products?)\b",
)
"""An order, or what is added up item by item."""

_ANYWHERE: Final = (
    *_ORDERED,
    # A rank, chance.
    r"\b(?:increasing|decreasing|growing|rising|progressive(?:ly)?) (?:in )?(?:difficulty|length|order|size)",
    r"\brandom(?:ly)?\b|\bpermutations?\b|\bzufällig|\bau hasard\b|\bal azar\b",
    # What is made of all of them.
    r"\b(?:total|sum|average|mean|median|maximum|minimum|combined|union|intersection|ranking)(?: \w+)? "
    r"(?:of|among|across|for|amount|price|cost)\b",
    r"\b(?:overall|in total|altogether|as a whole|in common|insgesamt|au total|en total)\b",
    r"\binto (?:one|a single|an?|two|three|four|\d+|(?:equal|different|several) \w+|categories|groups|teams) "
    r"?(?:\w+ ){0,2}(?:lists?|texts?|story|summary|paragraph|sentence|table|essay|teams?|groups?|categories"
    r"|sets?|parts?|classes|clusters?|pairs?|piles?|poem|song|report)\b",
    r"\b(?:us(?:e|es|ing)|contain(?:s|ing)?|with|includ(?:e|es|ing)|from|featur\w+|mention\w*) all\b"
    r"|\ball (?:of )?(?:these|those|them) (?:appear|occur|are (?:used|mentioned|in)|come)",
    r"\b(?:a|one) (?:\w+ )?(?:story|poem|song|sentence|text|paragraph|table|report|dialogue|conversation|play"
    r"|essay|playlist|menu|route|tour|itinerary|trip|schedule|timetable|agenda|plan|budget) "
    r"(?:\w+ ){0,2}(?:from|of|out of|through|that (?:uses|has|includes)|with|for|using) "
    r"(?:all|these|those|them|the (?:following|items|words))\b",
    r"\b(?:latin square|sudoku|crossword|seating|timetable|bracket|tournament|itinerary|route)\b",
    # How they stand to each other.
    r"\b(?:with|to|from|against|of|than|on|for|by|and) (?:each |one an)other\b|\bmiteinander\b|\bzueinander\b"
    r"|\bentre eux\b|\bentre sí\b|\bmutual(?:ly)?\b",
    r"\bbetween\b(?! \d)|\bzwischen\b|\bentre\b(?! \d)",
    r"\b(?:relation(?:s|ship|ships)?|connections?|links?|overlaps?) (?:of|among|across)\b",
    r"\bconsisten(?:t|tly|cy)\b(?! with the (?:text|passage|context))|\bthroughout\b|\beinheitlich",
    r"\b(?:give|assign|use|choose|find|get)\b.{0,40}\b(?:a different|unique|distinct|all different)\b"
    r"|\b(?:used?|appear\w*|repeated) (?:\w+ )?(?:twice|once|only once)\b"
    r"|\b(?:no two|no repeats?|no repetitions?|no duplicates?)\b"
    r"|\bwithout (?:repeat\w*|repetition\w*|duplicat\w*)\b",
    r"\bpairs? (?:them|these|up|each)\b|\bmatch (?:them|these|the following|each)\b",
    # Which or how many of them.
    r"\b(?:how many|which|what|any|some|one|two|three|none|most|half) (?:one |ones )?(?:of|from|among) "
    r"(?:these|those|them|the (?:following|list|items|words))\b",
    r"\bevery (?:second|third|other|\d+\w*)\b|\b(?:share|proportion|percentage|fraction) of\b|\btogether\b",
    r"\bwho of\b|\bthe (?:two|three|four|five|\d+) (?:\w{2,}est|best|worst|most|least)\b|\bcontradict",
    r"\bhow many (?:different|distinct|of)\b|\bvote\b|\bfavou?rite\b|\bodd one\b|\bmissing\b",
    r"\bwhich (?:one |ones )?(?:is|are|was|were|has|have|comes?|do(?:es)? not|would|should) "
    r"(?:the )?(?:best|worst|most|least|more|less|first|last|odd|fit|belong|\w{2,}est)\b",
    r"\bwelche[rsn]? (?:dieser|der|von)\b|\b(?:le|la)quel(?:le)? (?:de|est)\b|\bcuál de\b"
    r"|\bquale (?:di|tra)\b",
    # One after the other.
    r"\b(?:build(?:s|ing)? on|depend(?:s|ing)? on|follow(?:s|ing)? from|continu(?:e|es|ing|ation)"
    r"|refer\w* to) (?:the |each |what )?(?:previous|last|one|other|others|before|came)\b",
    r"\b(?:progressively|one after (?:the other|another)|in turn|step by step|in sequence|sequel|sequence of"
    r"|series of|turns? (?:of|in) a|the one before|the previous)\b|\bcontinue the\b",
)
"""What may stand anywhere in the task."""

_ALONE: Final = re.compile(
    # For each of them.
    r"\b(?:each|every|individually|separately|one by one|respective(?:ly)?"
    r"|per (?:item|line|word|sentence|entry)|jede[rsnm]?|jeweils|einzeln|chacune?|chaque|cada|ogni"
    r"|ciascun[oa]?|кажд\w+)\b|每|それぞれ|각"
    # What is done to a word, a sentence, a text.
    rf"|{_CLAUSE}(?:translat|transliterat|transcrib|defin|explain|describ|paraphras|rephras|reword|rewrit"
    r"|correct|proofread|fix|spell|pronounc|conjugat|capitali[sz]|convert|expand|abbreviat|classif|tag|label"
    r"|annotat|answer|respond|reply|solv|evaluat|simplif|summari[sz]|shorten|extract|identif|analy[sz]e|stat"
    r"|say whether|detect|read|look up|turn|improv|polish|edit|encod|decod)\w*\b"
    rf"|{_CLAUSE}(?:übersetz|erklär|definier|beschreib|korrigier|verbesser|beantwort|klassifizier|trad(?:ui|uc"
    r"|uz)|expli|défini|corrig|répond|respond|descri|clasific|classifi)\w*\b|翻译|翻譯|解释|解釋|訳し|번역"
    # Something that each of several has: the plural of, a slogan for, what they mean.
    r"|\b(?:an?|the|its|their|alt|one-\w+|short) "
    r"(?:(?!\w+est\b|best|worst|most|least|two|three|four|five|\d|all|single)\w+ ){1,3}?(?:of|for|about|on) "
    r"(?:these|those|the (?:following|\w+ below|items?)|the item below)\b"
    r"|\b(?:what (?:is|are|do(?:es)?)|how (?:do|does|is|are)) .{0,30}\b(?:these|they|following|item below)\b"
    r"|\b(?:sentiment|part of speech|etymology|synonyms?|antonyms?|plural|past tense)\b",
    re.IGNORECASE,
)
"""What is said of a task that is done for each item alone."""

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
_MARKED: Final = re.compile(r"\s*(?:[-*+•–]|\(?(?:\d{1,3}|[A-Za-z])[.):])\s*\S")
_LISTED: Final = re.compile(rf"{_MARKED.pattern}|.*[?？]\s*$")
_ASKED: Final = re.compile(rf"{_CLAUSE}(?P<what>(?:{'|'.join(_OPERATIONS)}){_WITHIN})", re.IGNORECASE)
_SAID: Final = re.compile(rf"(?P<what>(?:{'|'.join(_ANYWHERE)}){_WITHIN})", re.IGNORECASE)
_WHOLE_LIST: Final = re.compile(
    rf"{_CLAUSE}(?P<asked>(?:{'|'.join(_ON_LISTS)}){_WITHIN})|(?P<said>(?:{'|'.join(_ORDERED)}){_WITHIN})",
    re.IGNORECASE,
)
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


def alone_words(task: str) -> str:
    """The words of a task, without its items, that show that it is done for each item alone; or empty."""
    found = _ALONE.search(task)
    return found.group().strip() if found else ""


def dependent_at_sight(text: str) -> str:
    """Those words in what is not listed in a text, as far as that shows before anybody has read it."""
    lines = (line for line in _QUOTED.sub(" ", text).split("\n") if not _LISTED.match(line))
    return dependent_words("\n".join(re.split(r"[:：]", line)[0] for line in lines))


def whole_list_at_sight(text: str) -> str:
    """The words of any question that ask for an operation on a whole list, as sorting; or empty.

    Fewer words than those of :func:`dependent_at_sight`, which is asked of tasks for several items: of free
    questions, "together" or "between" say nothing.
    """
    for line in _QUOTED.sub(" ", text).split("\n"):
        if _MARKED.match(line):
            continue
        for sentence in _SENTENCE.split(line):
            if found := _WHOLE_LIST.search(re.split(r"[:：]", sentence)[0]):
                return (found["asked"] or found["said"]).strip()
    return ""


def refers_to_another(items: Sequence[str]) -> str:
    """The words by which an item refers to another one, as in "and what of the previous one"; or empty."""
    found = (_REFERS.search(item) for item in items)
    return next((match.group() for match in found if match), "")
