"""The claim of a text as an answer to its question: one that asks for words is not answered by a figure."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from orchestrator.consensus.echoes import unechoed
from orchestrator.consensus.extraction import LONGEST_WHOLE, Claim, extract_claim
from orchestrator.consensus.given import as_asked, new_figure
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.endings import MARKDOWN
from orchestrator.consensus.restating import restated
from orchestrator.consensus.thinking import split_thinking
from orchestrator.consensus.yes_or_no import asks_yes_or_no, begins_like_one

Form = Literal["prose", "text", "words", "any"]
"""What a question asks for: a text that is written for it; a sentence or more, most likely; a name, a word,
yes or no; or a figure, or it does not say."""

MOST_WORDS = 8
"""The longest part of a sentence that is taken for its answer."""

LONGEST_SENTENCE = 600
"""Characters beyond which a sentence is not looked at, neither one that asks nor one that answers."""

WORDS_ALONE = 3
"""Words of a first sentence that is an answer alone, before others explain it."""

_SENTENCE = lazily(r"(?<=[.!?])(?<!\b[A-Z]\.)\s+(?=\S)|\n+")
_OF_FIGURES = (
    "age|amount|angle|area|average|change|circumference|cost|date|day|decade|difference|digit|discount|distance"
    "|fraction|height|interest|length|mass|mean|median|month|number|percent|percentage|perimeter|point|population"
    "|price|probability|product|profit|quotient|ratio|remainder|root|size|speed|sum|temperature|time|total|value"
    "|volume|weight|year|century"
)
"""Nouns whose value is a figure."""

_FIGURE = lazily(
    r"\bhow (?:many|much|long|far|old|tall|big|large|fast|high|deep|heavy|wide|often|hot|cold|late|early)\b"
    rf"|\b(?:what|which) (?:{_OF_FIGURES})s?\b|\b(?:{_OF_FIGURES}) of\b|^\W*when\b"
    rf"|\b(?:find|what (?:is|are|was|were)) (?:its|his|her|their|the) (?:\w+ )?(?:{_OF_FIGURES})\b"
    r"|\b(?:calculate|compute|evaluate|solve|convert|simplify|factor|integrate|differentiate)\b"
    r"|\d\s*[-+*/×÷^=%]\s*\d|%",
    re.IGNORECASE,
)
_BEFORE = lazily(
    r",\s+(?=(?:who|which|what|where|how|why|is|are|was|were|do|does|did|can|will)\b[^,]*\?)", re.I
)
_SEVERAL = lazily(
    r"\b(?:who|which|what|where|when|why|how)\b.*\band\s+(?:who|when|where|why|how|(?:in )?(?:what|which))\b",
    re.IGNORECASE,
)
_PROSE = lazily(
    r"^\W*(?:(?:please|can you|could you)\s+)?(?:why\b|explain|describe|summari[sz]e|define\b|discuss|justify"
    r"|elaborate|write|compose|rephrase|paraphrase|rewrite|correct\b|improve|argue|tell me (?:about|why|how)"
    r"|(?:compare|contrast)\b(?!.*\b(?:which|who)\b)"
    r"|(?:give|list|suggest)\s+(?:me\s+)?"
    r"(?:some|several|a few|[2-9]|two|three|four|five|six|seven|eight|ten)\s\w+s\b)"
    r"|\bin (?:one|two|three|a|\d+)(?: or \w+)?(?: \w+)? sentences?\b|\b(?:one|a)[- ]sentence\b",
    re.IGNORECASE,
)
_TEXT = lazily(
    r"^\W*(?:how (?:do|does|did|can|could|would|should|to|is|are)\b(?! (?:you|i|we) (?:say|spell|call|write))"
    r"|compare\b|what (?:happens|happened|should (?:i|we|you))\b|what does .+ mean\b)",
    re.IGNORECASE,
)
_WORDS = lazily(r"^\W*(?:(?:who|whom|whose|which|where)\s+\w|(?:can|could|will|would) you\b)", re.IGNORECASE)
_NAMES = lazily(
    r"^\W*(?:(?:please|now|so|and|in|of|from|for|on|at|to)\s+)*"
    r"(?:what|how do (?:you|i|we)|name|give|tell|list|say|translate|spell)\b",
    re.IGNORECASE,
)
_COMPARED = lazily(
    r"^\W*what(?:['’]s| is| are| was| were)?\s+(?:the\s+)?(?:\w+er|more|less|(?:more|less)\s+\w+)\b.*\bor\b",
    re.IGNORECASE,
)
_FIGURES_OR = lazily(r"\d[^?,]*\bor\s+(?:the\s+)?[$€£]?\d", re.IGNORECASE)
_WORD = lazily(r"[^\W_]+(?:['’][^\W_]+)?")
_ASIDE = lazily(r",\s+(?:with|at|about|which|who|whose|having|including|of)\b[^,]*(?:,\d{3}[^,]*)*,(?=\s)")
_MORE = lazily(
    r"(?:,\s+|\s+)(?:because|since|which|who|whose|whereas|while|although|though|serving|covering|having)\b"
    r"|,\s+(?:with|at|as|about|so|and (?:it|he|she|they)|but|in|from|by|an?|the|it|known)\b|;|:\s|\s[—–(]"
    r"|\s+(?:around|about|in|on|from|between|since|at)\s+(?:about\s+|around\s+)?"
    r"(?=[\d$€£]|(?-i:(?:January|February|March|April|May|June|July|August|September|October|November|December)\b))"
    r"|,\s+(?=[\d$€£])|,?\s+and\s+(?:is|was|are|were|has|have|had)\b",
    re.IGNORECASE,
)
_QUANTITY = lazily(r"(?:[a-z]+\s+)*[$€£]?\d")
_LEAD = lazily(r"^\W*(?:so|thus|hence|therefore|well|sure|certainly)\b[,:!]?\s+", re.IGNORECASE)
_BY = lazily(
    r"^(?:(?:\w+\s+){0,3}by|called|known as|named|spelled|spelt|located|situated|found)\s+", re.IGNORECASE
)
_IS = lazily(r"\s(?:is|are|was|were|has|have|had)\s", re.IGNORECASE)
_MARK = lazily(r"answer|result|solution|####|\*\*", re.IGNORECASE)
_STATED_LINE = lazily(r"\n\W*(?:final\s+)?answer\W*:[^\n]*\Z", re.IGNORECASE)
_STATED = lazily(r"^\W*(?:final\s+)?answers?\W*:\W*", re.IGNORECASE)
_NAMED = lazily(
    r"(?:^|[,;]\s+|\band\s+)(?:[-*•]\s+)?(?P<name>[^\W\d_][^:=,;\n]{0,40})(?::|\s=)\s+"
    r"(?P<value>[^,;\n]+)"
)
"""A value behind its name: "Area: 24 cm²"."""
_QUOTED = lazily(r"(?:[^\W\d_]+\s+){1,3}[\"“‘](?P<what>[^\"“”‘’]+)[\"”’][.,;:!]*")
"""A name in quotes behind what it is: the word "under"."""

_IN_QUOTES = lazily(r"[\"“‘][^\"“”‘’]+[\"”’][.,;:!]*")
_SAID = lazily(r"\S+\s.*\s(?:is|are|was|were|has|have|had)\s+\S.*", re.DOTALL)
"""A sentence with a verb."""

_FENCED = lazily(r"\s*(?P<fence>`{3,}|~{3,})(?:(?!(?P=fence)).)*(?P=fence)\s*", re.DOTALL)
_EDGES = " \t\n\"'“”‘’«»`*_.,;:!"
_LISTED = re.compile(
    r"\W*(?:\w+\W*:\W*)?(?P<items>\(?1[.)]\s+[^\W\d](?:(?!\s2[.)]\s).)*\s\(?2[.)]\s+\S.*)", re.DOTALL
)
"""A numbered list, perhaps behind a mark such as "Answer:"."""

_ECHOES = frozenset(
    each
    for line in (
        "answer,the answer,the answer alone,final answer,the final answer,your answer,short answer",
        "the short answer,yes or no,letter,the letter,the letter of the right choice,the right choice",
        "letter of the right choice",
        "the letter of a choice,the letter of the choice",
        "the answers to all parts in their order with commas in between,the answers to all parts",
    )
    for each in line.split(",")
)
"""What prompts say is asked for."""

_ABOUT_WORDS = lazily(
    r"[\"“‘«`]|(?<!\w)'|\b(?:words?|synonyms?|antonyms?|opposite|translat\w+|means?|meaning|verbs?|nouns?|spell\w*"
    r"|unscramble|anagrams?|rhymes?|english|wort|übersetz\w+|mots?|tradui\w+|palabras?|traduc\w+|parol[ae])\b"
    r"|\bor answer\b|\banswer or\b",
    re.IGNORECASE,
)

_NEITHER = lazily(
    r"^\W*(?:(?:and|so|but|now|of|from|for|on|at|to)\s+)*(?:which|who|whom|whose|what(?:['’]s)?"
    r"|how (?:many|much|long|far|old|tall|big|large|fast|high|deep|heavy|wide|often))\b",
    re.IGNORECASE,
)
_ABOUT_YES = lazily(
    r"\b(?:yes|no|true|false|correct|agree|decide|whether|verdict|claim|think|symbols?|abbreviat\w+|elements?|formula"
    r"|letters?|notes?|languages?|say|name[ds]?|called)\b",
    re.IGNORECASE,
)
_CLAUSE = lazily(r"[,:;.?!(\[—–]\s*|\s-\s|\s+and\s+")
_DENIED = lazily(
    r"\b(?:no|not true|false|wrong|incorrect|myth|misconception|untrue|disagree|claims?)\b", re.I
)

_EMPTY = frozenset(
    each
    for line in (
        "a an and are as at be been by called did do does for from had has have he in is it its known",
        "named of on one or she than that the there these they this those to was we were with you",
    )
    for each in line.split()
)
"""Words that neither repeat a question nor answer it."""


def _asking(question: str) -> str:
    """The last sentence of a question that asks; empty if it is too long to be looked at."""
    sentences = [sentence for sentence in _SENTENCE.split(question.strip()) if sentence.strip()]
    asking = [sentence for sentence in sentences if sentence.rstrip("\"') ").endswith("?")]
    asked = (asking or sentences or [""])[-1]
    return asked if len(asked) <= LONGEST_SENTENCE else ""


def _clause(question: str) -> str:
    """The clause of that sentence that asks, without what it supposes."""
    return _BEFORE.split(_asking(question))[-1]


def form_of(question: str) -> Form:
    """What a question asks for, judging by its last sentence that asks; only English ones are known."""
    asked = _clause(question)
    if _FIGURE.search(asked) and not _SEVERAL.search(asked):
        return "any"
    if _PROSE.search(asked):
        return "prose"
    if _TEXT.search(asked) or _SEVERAL.search(asked):
        return "text"
    if _FIGURES_OR.search(asked):
        return "any"
    if begins_like_one(asked) or _WORDS.match(asked):
        return "words"
    is_named = _NAMES.match(asked) and not re.search(r"\d", question)
    return "words" if is_named or _COMPARED.match(asked) else "any"


def claim_for(
    question: str, text: str, *, choices: Sequence[str] = (), truncated: bool = False, alone: bool = False
) -> Claim | None:
    """The claim of ``text`` (:func:`extract_claim`) in the form that the question asks for.

    Where a text gives several parts that it asks for, the claim has all of them. Where it asks for words, a
    figure that is found in a sentence without any mark claims nothing: the part of the sentence that does not
    repeat the question does, or else all of a short text. ``alone`` says that the text is compared with no
    other. Where the question asks for a text, it is then the claim as a whole if it is short, and claims
    nothing if it is long; so is a numbered list, and a text with a program, unless it is all of it. Nothing
    is claimed by asking the question again, nor by tags of the prompt. Of several figures, a new one counts.
    """
    if _asks_again(text, question):
        return None
    text = unechoed(text)
    claim = extract_claim(text, choices=choices, truncated=truncated)
    if claim is None or choices:
        return claim
    if says_nothing(question, claim.text):
        return None
    body = split_thinking(text).answer.strip()
    is_told = claim.how in ("marker", "number", "whole")
    if is_told and (verdict := restated(question, claim.text)) and not _DENIED.search(body):
        return Claim(verdict, "whole")
    if (listed := _LISTED.match(body)) and (alone or claim.text == "1"):
        return _whole(listed["items"])
    if claim.how == "code":
        return claim if not alone or _FENCED.fullmatch(body) else _whole(body)
    if claim.how in ("marker", "number", "whole") and (parts := _parts(body, question, claim)):
        return Claim(parts, "whole")
    if (form := form_of(question)) == "any":
        asked = _clause(question)
        new = new_figure(asked, body) if claim.how in ("number", "whole") else None
        return replace(claim, text=as_asked(asked, new or claim.text), how="number" if new else claim.how)
    if form != "words":
        return _as_text(body, claim, form) if alone else claim
    has_figure = re.search(r"\d", claim.text) is not None
    is_found = claim.how in ("number", "whole") or (
        claim.how == "marker"
        and (_SAID.fullmatch(claim.text) or (has_figure and not _MARK.search(body)))  # after some colon
    )
    if not is_found or "\n" in claim.text or claim.text.casefold() in ("yes", "no"):
        return claim
    if (new := _new(body, question, claim)) is not None:
        return Claim(new, "whole")
    is_all = claim.how == "whole" or len(claim.text) >= len(body.strip(_EDGES))
    return _whole(body) if has_figure and not is_all else claim


def says_nothing(question: str, claim: str) -> str:
    """Why a claim says nothing, for people: it gives back what is asked for, or leaves it open; or empty.

    What is asked for are the words of prompts, such as "the answer", which a question about words may have as
    its answer. Yes or no is nothing where which, who or how many is asked for. "It depends" leaves open what
    is asked for as yes or no, or as a figure.
    """
    said = " ".join(_WORD.findall(claim.casefold()))
    if said in _ECHOES and not _ABOUT_WORDS.search(question):
        return f"it gives back what is asked for: {claim}"
    if said in ("yes", "no") and _asks_neither(question):
        return f"it says {said} where something else is asked for"
    is_open = said.startswith("it depends") and len(said.split()) <= MOST_WORDS
    if is_open and (asks_yes_or_no(question) or _FIGURE.search(_asking(question))):
        return f"it leaves the answer open: {claim}"
    return ""


def _asks_neither(question: str) -> bool:
    """Whether a question asks for something other than yes or no, in all of its clauses."""
    asking = _NEITHER.match(_asking(question)) and not _ABOUT_YES.search(question)
    return bool(asking) and not any(begins_like_one(each) for each in _CLAUSE.split(question))


def _parts(body: str, question: str, claim: Claim) -> str | None:
    """The end of a text that gives several parts that a question asks for, where the claim has not all of it.

    These are the last line, or lines, with values behind names that the question has, of which none is given
    in it; or all of a short text, where the question plainly asks for several things.
    """
    end = MARKDOWN.sub("", body[-LONGEST_SENTENCE:])
    lines = [_STATED.sub("", line.strip(f"{_EDGES}-•")) for line in end.splitlines()]
    last: list[str] = []
    for line in filter(None, reversed(lines)):
        if not _NAMED.match(line):
            break
        last.insert(0, line)
    told = ", ".join(last[-1:] if last and len(_asked_for(last[-1], question)) > 1 else last)
    if len(_asked_for(told, question)) < 2:
        is_short = claim.how == "number" and len(body) <= LONGEST_WHOLE
        told = " ".join(body.split()) if is_short and _SEVERAL.search(_asking(question)) else ""
    return told.strip(_EDGES) if len(claim.text) <= len(told) <= LONGEST_SENTENCE else None


def _asked_for(told: str, question: str) -> set[str]:
    """The names in a text that stand in the question as well, but not with the same value."""
    given = {_stem(word) for word in _WORD.findall(question)}
    return {
        part["name"].casefold()
        for part in _NAMED.finditer(told)
        if not given.isdisjoint(map(_stem, _WORD.findall(part["name"])))
        and given.isdisjoint(re.findall(r"\d+", part["value"]))
    }


def _asks_again(text: str, question: str) -> bool:
    said = split_thinking(text).answer.strip()
    if not said.endswith(("?", "？")) or len(said) > len(question) + len(_EDGES):
        return False
    words, asked = (_WORD.findall(each.casefold()) for each in (said, question))
    return len(words) > 1 and words == asked[-len(words) :]


def _as_text(body: str, claim: Claim, form: Form) -> Claim | None:
    """A text as the claim; where it is written for the question, without a word that repeats "the answer"."""
    if claim.how in ("boxed", "json", "marker") and (form != "prose" or len(claim.text.split()) > 3):
        return claim
    if claim.how == "whole" and len(claim.text) >= len(body) - 1:
        return claim
    return _whole(_STATED_LINE.sub("", body).strip() or body)


def _whole(body: str) -> Claim | None:
    return Claim(body.strip(), "whole") if len(body) <= LONGEST_WHOLE else None


def _new(body: str, question: str, claim: Claim) -> str | None:
    """What the first or the last sentence says that the question does not; None if that is not clear."""
    sentences = [sentence for sentence in _SENTENCE.split(body) if sentence.strip()]
    given = {_stem(word) for word in _WORD.findall(question)}
    ends = (*sentences[:1], *sentences[-1:])
    if _LEAD.match(ends[-1]):  # it concludes
        ends = ends[::-1]
    for sentence in dict.fromkeys((*ends, claim.text)):
        if len(sentence) <= LONGEST_SENTENCE and (found := _answering(_main_clause(sentence), given)):
            return found
    is_alone = len(sentences) > 1 and len(_WORD.findall(sentences[0])) <= WORDS_ALONE
    return _subject(sentences[0]) if is_alone else None


def _main_clause(sentence: str) -> str:
    clause = _ASIDE.sub("", _LEAD.sub("", sentence.strip()))
    more = _MORE.search(clause, 1)
    return clause[: more.start()] if more else clause


def _answering(clause: str, given: set[str]) -> str | None:
    """The part of a clause that is not given, where another part is: the one before the verb, or after it.

    If all of it is given, it compares, and what it is about answers: "Paris is larger than Lyon".
    """
    verb = _IS.search(clause)
    if "=" in clause:
        return None
    if verb is None:
        return _without_verb(clause, given)
    left, right = clause[: verb.start()], clause[verb.end() :]
    about = [is_given for word, is_given in _told(left, given) if not word[0].isdecimal()]
    said = _told(right, given)
    flags = [is_given for _, is_given in said]
    if not about or not flags:
        return None
    if all(about) and not all(flags):
        first = flags.index(False)
        begins = said[first - 1][0].end() if first else 0
        return None if any(flags[first:]) else _trimmed(_BY.sub("", right[begins:].lstrip(_EDGES)))
    if all(about) and _IN_QUOTES.fullmatch(right.strip()):
        return _trimmed(right)
    if all(about):
        return _trimmed(left) if not said[0][0][0].isdecimal() else None
    return _subject(left) if any(flags) and not any(about) else None


def _without_verb(clause: str, given: set[str]) -> str | None:
    """What is new at the beginning of a clause that then repeats the question, or a name that it offers."""
    told = _told(clause, given)
    flags = [is_given for _, is_given in told]
    if flags and all(flags):
        return _trimmed(clause)
    first = flags.index(True) if True in flags else 0
    return _subject(clause[: told[first - 1][0].end()]) if first and all(flags[first:]) else None


def _told(text: str, given: set[str]) -> list[tuple[re.Match[str], bool]]:
    """The words of a text that say something, and whether the question has them."""
    words = ((match, _stem(match[0])) for match in _WORD.finditer(text))
    return [(match, stem in given) for match, stem in words if stem not in _EMPTY]


def _subject(text: str) -> str | None:
    """A text as what a sentence is about; None if it is a quantity."""
    return None if _QUANTITY.match(text.strip(_EDGES)) else _trimmed(text)


def _trimmed(text: str) -> str | None:
    """A short text without what stands around it; of one that ends with a word in quotes, that word."""
    quoted = _QUOTED.fullmatch(text.strip())
    text = (quoted["what"] if quoted else text).strip(_EDGES)
    return text if text and len(text.split()) <= MOST_WORDS else None


def _stem(word: str) -> str:
    """A word as it is compared: without case, the plural's or the possessive's s."""
    bare = re.sub(r"['’]s$", "", word.casefold())
    return bare[:-1] if len(bare) > 3 and bare.endswith("s") and not bare.endswith("ss") else bare
