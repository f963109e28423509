"""What a sentence comes to: the phrase of one of its figures, or all of it where that is not clear."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.clauses import affirmed, main_part, without_figures
from orchestrator.consensus.reading.phrases import Phrase, after, phrases
from orchestrator.consensus.reading.predicates import predicate
from orchestrator.consensus.reading.words import (
    AMOUNTS,
    ASIDES,
    COMPARATIVES,
    CONDITIONS,
    DECREASES,
    GOVERNORS,
    INCREASES,
    LEADING,
    NEGATIONS,
    OCCURRING,
    OPENINGS,
    PARTICIPLES,
    SPENDING,
    TURNING,
    WEIGHTY,
    either,
)

LONGEST_SENTENCE = 160
"""Characters beyond which a sentence is no claim, so its last figure has to do."""

_GOVERNED = lazily(
    rf"\b(?:{either(GOVERNORS)})\s+"
    r"(?:the\s+|all\s+|a\s+|an\s+|its\s+|each\s+|every\s+|first\s+|last\s+|[A-Za-z]\s*=\s*)*$",
    re.IGNORECASE,
)
_AMOUNT = lazily(rf"\b(?:{either(AMOUNTS)})\s+(?:of|at|to|by|in)\s+$", re.IGNORECASE)
_LEADING = lazily(rf"=>?\s*$|\b(?:{either(LEADING + SPENDING)})\b", re.IGNORECASE)
_DEFINED = lazily(r"\s*(?:is|are|was|were)\s+the\s+(?:\w+\s+){0,4}of\b", re.IGNORECASE)
_THE = lazily(r"\s*(?:is|are|was|were)\s+the\s+(?:[a-z]+\s+){1,6}", re.IGNORECASE)
_RELATIVE = lazily(
    r"(?:\s+(?!means?\b|shows?\b|so\b|such\b|proves?\b|implies\b)[a-z-]+)?\s+(?:that|which|whose"
    r"|who)\s[^,;]*",
    re.IGNORECASE,
)
_PURPOSE = lazily(r"\bto\s+(?:make|get|give|leave|obtain|become|equal|total|yield|remain)\b", re.IGNORECASE)
_STEP = lazily(
    r"\W*(?:(?:then|now|next|finally|and|we|i|you|he|she|they|(?-i:(?!There\b)[A-Z][a-z]+))\s+)*(?!needs?\b"
    r"|ha(?:ve|s)\b|there\b|must\b|it\b)[a-z]+\s+",
    re.IGNORECASE,
)
_SAID = lazily(r"\b(?:is|are|was|were|equals?)\s+(?:(?:at|in|on)\s+)?[$(*]*$", re.IGNORECASE)
_BESIDES = lazily(
    r"[^,;]{0,20}?\s*(?:[,;]\s*(?:and|while|whereas|but)?|\s(?:and|while|whereas|but))\s+"
    r"(?:(?:the|its|his|her|their|our)\s[^,;]{1,60}?|(?-i:[A-Z])[\w'’]*\s(?:\w+\s)?)"
    r"(?:is|are|was|were|equals?)\s+(?:(?:at|in|on)\s+)?[$(*]*",
    re.IGNORECASE,
)
_TASK = lazily(r"\s+(?:[a-z]+\s+)?to\s+(?!the\b|an?\b)[a-z]+\s+(?:[a-z]+\s+){0,3}", re.IGNORECASE)
_BOUNDED = lazily(r"(?:above|below|under|over|between|less|greater|smaller|larger|after|before|up)\b", re.I)
_GIVEN = lazily(
    r"\b(?:of|for|from|in|on|over|against|out\s+of|pour|para|per|für|von)\s+(?:the|his|her|its|their"
    r"|these|those|all"
    r"|our|my|les|las|los|os|as|gli|die|den|das)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)
_CONDITION = lazily(rf"\b(?:{either(CONDITIONS)})\b", re.IGNORECASE)
_CONTRAST = lazily(rf"\b(?:{either(CONDITIONS)}|not|but)\b|n['’]t\b", re.IGNORECASE)
_OPENING = lazily(rf"^\W*(?:(?:{either(OPENINGS)})(?:\s+that)?[,:]?\s+)+", re.IGNORECASE)
_NEGATED = lazily(
    rf"\b(?:{either(NEGATIONS)})\b|n['’]t\b|\b(?:{either(DECREASES)})\s+(?:by|to|from|of|is"
    rf"|was)\b",
    re.IGNORECASE,
)
_CLAUSE = lazily(r"[,;:]\s|\b(?:so|then|thus|hence|therefore|and)\s", re.IGNORECASE)
_ASIDE = lazily(rf"(?:{either(ASIDES)})\b", re.IGNORECASE)
_WEIGHTY = lazily(rf"\b(?:{either(WEIGHTY)})\b|n['’]t\b", re.IGNORECASE)
_COMPUTED = lazily(r"\d[^=<>≤≥]{0,100}(?<![<>!])=\s*[$(]*\Z")
_EXCEPTED = lazily(r"\b(?:except|excluding|other\s+than|apart\s+from)\b", re.IGNORECASE)
_TWO_COMPUTED = lazily(r"=[^=,;]{1,60}\s(?:and|or)\s+\$?[A-Za-z]\w?\s*=[^=]{1,80}=\s*[$(]*\Z")
_DIRECTION = lazily(rf"\s(?:{either(COMPARATIVES)})\b.*$", re.IGNORECASE)
_COMPARED = lazily(
    rf"\s*((?:{either(COMPARATIVES)})\b(?:\s+\w+)??)?(?:\s*than\b[^\d,;]*)?[\s.]*", re.IGNORECASE
)
_HAPPENS = lazily(
    rf"(?:of\s+[a-z]+\s+)?(?:(?:is|are|was|were|be|been|being|has|have|had|will|must|should|can|could"
    rf"|may|might)\s+)+"
    rf"(?:(?:now|then|still|thus|therefore)\s+)?(?:\w{{2,}}ed|{either(PARTICIPLES)}|in|at|on|present"
    rf"|there|here)(?:\s[^,;\d]*)?"
    rf"|(?:of\s+[a-z]+\s+)?(?:can|could|may|might|must|should|will|would)\s+(?!not\b)[a-z]+(?:\s[^,;\d]*)?"
    rf"|(?:[a-z]+\s+)?(?:{either(OCCURRING)})(?:\s[^,;\d]*)?",
    re.IGNORECASE,
)
_NEGATED_UNSPACED = lazily(r"不是|没有|沒有|减少|減少|下降|降低|少了|亏|欠|減っ|下が|감소|줄었|줄어|빚")
_PARTICLE = lazily(
    r"(?:に|で|を|が|から始|です|である|的|에|이|가|을|를|입니다|है|हैं)[ぁ-ヿ一-鿿가-힣ऀ-ॿ\s、]{0,40}"
)
_COUNTER_WEIGHT = lazily(
    r"[多少超未満以上下内外前後不没]|ない|ません|않|아니|이상|이하|미만|초과|नहीं|अधिक|कम"
)
_TURNED = lazily(rf"\b(?:{either(TURNING)})\b", re.IGNORECASE)
_BY = r"(?:\s+\w+)?\s+by\s+(?:about\s+|exactly\s+)?$"
_OF = r"\b[^.,;:]{0,40}?\s(?:of|is|was|reached|equals|(?:amounts|amounted|comes|came)\s+to)\s+$"
_DIRECTIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), direction)
    for pattern, direction in (
        (rf"\b(?:{either(DECREASES)}|fallen|(?:went|gone|is|are)\s+down){_BY}", "down by"),
        (rf"\b(?:{either(INCREASES)}|(?:went|gone|is|are)\s+up){_BY}", "up by"),
        (
            rf"\b(?:{either(DECREASES + INCREASES)}|fallen|(?:went|gone)\s+(?:up"
            rf"|down))\b[^.,;:]{{0,30}}?\sto\s+$",
            "to",
        ),
        (r"\b(?:drop|fall|decline|decrease|reduction)\s+(?:of|is|was)\s+$", "down by"),
        (r"\b(?:rise|increase|growth)\s+(?:of|is|was)\s+$", "up by"),
        *((rf"\b{noun}{_OF}", f"a {noun} of") for noun in ("loss", "deficit", "debt", "profit", "surplus")),
        (r"\b(?:is|are|was|were)\s+owed\s+(?:\w+\s+){0,2}$", "is owed"),
        (r"\bowe[sd]?\s+(?:\w+\s+){0,2}$", "owes"),
        (r"\b(?:lost|loses?)\s+$", "lost"),
        (r"\b(?:gained|gains?)\s+$", "gained"),
    )
)
_CIRCUMSTANCE = lazily(
    r"\b(?:after|following|before|without|despite|including)\s+(?:[^\s,;]+\s+){0,4}\Z", re.IGNORECASE
)
"""What makes a direction a part of what is told: "the price after a 25% reduction is 60 euros"."""
_ODDS = lazily(
    r"\bodds\s+(?:(?P<against>against)|in\s+favou?r)\b[^.,;:]{0,40}?\s(?:is|are|was|were|of)\s+$",
    re.IGNORECASE,
)
_RATIO = lazily(r"\bratio\b[^.,;:]{0,60}?\s(?:is|was|of)\s+$", re.IGNORECASE)
_RATIO_OF_TWO = lazily(r"\sto\s|\d\s?:\s?\d")
_ROOTS = lazily(r"\b(?:roots|solutions|zeroe?s|eigenvalues)\b[^.,;:=]{0,40}?\sare\s+$", re.IGNORECASE)
_VALUES = lazily(r"-?\d+(?:[./]\d+)?(?:(?:,\s|,?\sand\s)-?\d+(?:[./]\d+)?){1,11}")
_AND = lazily(r",?\sand\s")
_SHARED = lazily(rf"\b(?:left|remain(?:s|ing|ed)?|{either(TURNING)})\b", re.IGNORECASE)
_FRACTION = lazily(r"\d+/\d+")
_DENIED = lazily(r"\b(?:not|never|no)\b|n['’]t\b", re.IGNORECASE)
_SPENT = lazily(rf"\b(?:{either(SPENDING)})\b", re.IGNORECASE)
_THERE = lazily(
    r"\W*(?:in\s+total,?\s+)?(?:there\s+(?:are|is|were|was|will\s+be|exist|remain)"
    r"|(?:we|you|it|he|she|they)\s+(?:have|has|had))\s+(?:(?:exactly|precisely|a\s+total\s+of)\s+)?",
    re.IGNORECASE,
)
_TAKES = lazily(
    r"\W*(?:it|this|that|they|we)\s+(?:(?:will|would|can|could)\s+)?(?:takes?|took|needs?)"
    r"\s+(?:(?:about|approximately|exactly|only)\s+)?",
    re.IGNORECASE,
)
_TIME = lazily(r"\s(?:milli)?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)$", re.IGNORECASE)
_FOR = lazily(r"\s+for\s+(?:(?:the|these|those|all|all\s+the)\s+)?", re.IGNORECASE)


def conclusion(sentence: str) -> str | None:
    """What ``sentence`` comes to by its figures: a phrase, or the sentence; None if it has no figures.

    The last figure is meant, unless it only restricts an earlier one: then the sentence is, as both are part
    of its value, but for the shapes that tell which number was asked for: "there are N … below M".
    """
    sentence = affirmed(_OPENING.sub("", sentence.strip()))
    if (clause := without_figures(sentence)) is not None:
        clause = clause.strip(" \t\n,;:*_")
        return conclusion(clause) or predicate(clause) or clause
    said = phrases(sentence)
    if not said:
        return None
    begin, end = main_part(sentence, said)
    said = [phrase for phrase in said if begin <= phrase.begin < end]
    last = said[-1]
    several = _TWO_COMPUTED.search(sentence, begin, last.begin) is not None
    excepted = _EXCEPTED.search(sentence, said[-2].end if len(said) > 1 else begin, last.begin) is not None
    if _COMPUTED.search(sentence, begin, last.begin) and not several and not excepted:
        return _DIRECTION.sub("", last.text)
    leads = not several and not excepted and (len(said) == 1 or _leads(sentence, begin, said))
    meant = None
    if leads and not _depends(sentence[last.end : end], last):
        if directed := _directed(sentence[begin : last.begin], last.text):
            return directed
        meant = None if _negated(sentence[begin : last.begin]) else last
    elif not leads and not several and not excepted and _first_is_meant(sentence, begin, said):
        meant = said[0]
    compared = _COMPARED.fullmatch(sentence[last.end : end]) if meant is None and len(said) == 1 else None
    if compared and (compared[1] or _DIRECTION.search(last.text)):
        return f"{last.text} {compared[1] or ''}".rstrip()
    whole = sentence[begin:end].strip(" \t\n,;:*_")
    return meant.text if meant else whole if len(whole) <= LONGEST_SENTENCE else last.text


def _leads(sentence: str, begin: int, said: Sequence[Phrase]) -> bool:
    """Whether the words before the last figure lead to it, or the earlier ones only tell circumstances."""
    gap = sentence[said[-2].end : said[-1].begin]
    if _CONDITION.search(gap) or _DEFINED.match(gap) or _restricts(gap, said[-1]):
        return False
    if _RELATIVE.fullmatch(gap) and (" whose " in gap or not _LEADING.search(gap)):
        return False
    if _said_beside(sentence[begin : said[-2].begin], gap):
        return False
    if len(said) == 2 and _PURPOSE.search(gap) and not _step(sentence[begin : said[0].begin]):
        return False
    if _AMOUNT.search(gap):
        return True
    if _GOVERNED.search(gap):
        return False
    if not sentence[begin : said[0].begin].strip(" $*") and _SPENT.search(gap):
        return False
    circumstances = all(_GOVERNED.search(f"{sentence[begin : phrase.begin]} ") for phrase in said[:-1])
    return circumstances or _LEADING.search(gap) is not None


def _said_beside(before: str, gap: str) -> bool:
    """Whether two figures are said of two subjects, neither of which leads to the other: mean and median."""
    there = _THERE.match(before) is not None
    return not there and _SAID.search(before) is not None and _BESIDES.fullmatch(gap) is not None


def _step(before: str) -> bool:
    """Whether a sentence tells a step of a computation by which one gets a figure: "divide by 2 to get 5"."""
    return _STEP.fullmatch(before) is not None or _GOVERNED.search(f"{before} ") is not None


def _restricts(gap: str, later: Phrase) -> bool:
    """Whether a figure only restricts what the one before it is: "97 is the smallest prime above 90"."""
    return _THE.fullmatch(gap) is not None and bool(_BOUNDED.match(later.text) or _GOVERNED.search(gap))


def _first_is_meant(sentence: str, begin: int, said: Sequence[Phrase]) -> bool:
    """Whether the first figure answers: "there are 10 primes below 30", "it takes 5 minutes for 9 men"."""
    first, second = said[:2]
    before, gap = sentence[begin : first.begin], sentence[first.end : second.begin]
    if not before.strip(" $*"):
        if _HAPPENS.fullmatch(gap.strip()) and _given(sentence, said):
            return True
        if sentence[: first.begin].strip() and _given(sentence, said):
            return not _CONTRAST.search(gap)
        return len(said) == 2 and (_DEFINED.match(gap) is not None or _restricts(gap, second))
    if _TAKES.fullmatch(before) and _TIME.search(first.text) and _FOR.fullmatch(gap):
        return True
    if not _GOVERNED.search(before) and _given(sentence, said):
        return not _CONTRAST.search(gap) and not _negated(before)
    if len(said) == 2 and _TASK.fullmatch(gap) and _THERE.fullmatch(before):
        return True
    restricted = all(_GOVERNED.search(sentence[: later.begin]) for later in said[1:])
    return restricted and _THERE.fullmatch(before) is not None and not _CONTRAST.search(gap)


def _given(sentence: str, said: Sequence[Phrase]) -> bool:
    """Whether all figures after the first are such as the question gives: "for the 400 km"."""
    return all(_GIVEN.search(sentence[said[0].end : later.begin]) for later in said[1:])


def _directed(before: str, text: str) -> str | None:
    """A figure with the direction that the words before it give, in one spelling: "down by 5 °C".

    So it is with what tells the order of several: 3 to 4 as a ratio is no range, and roots have no order.
    """
    if (odds := _ODDS.search(before)) and _RATIO_OF_TWO.search(text):
        return f"odds {'against' if odds['against'] else 'in favor'} {text}"
    if _RATIO.search(before) and " to " in text:
        return text.replace(" to ", ":")
    if _ROOTS.search(before) and _VALUES.fullmatch(text):
        values = _AND.sub(", ", text).split(", ")
        return f"{{{', '.join(values)}}}" if len(set(values)) == len(values) else None
    if _DENIED.search(before):
        return None
    return next(
        (
            f"{direction} {text}"
            for pattern, direction in _DIRECTIONS
            if (match := pattern.search(before))
            and not (_SAID.search(before) and _CIRCUMSTANCE.search(before, 0, match.start()))
        ),
        None,
    )


def _negated(clause: str) -> bool:
    """Whether the clause before a figure turns it into another answer."""
    if _NEGATED_UNSPACED.search(clause):
        return True
    breaks = list(_CLAUSE.finditer(clause))
    return _NEGATED.search(clause, breaks[-1].end() if breaks else 0) is not None


def _depends(tail: str, phrase: Phrase) -> bool:
    """Whether the value of a figure depends on what follows it."""
    if (phrase.share or _FRACTION.fullmatch(phrase.text)) and _SHARED.search(tail):
        return True  # of a share it matters whether it is what is left
    rest = after(tail)
    if _PARTICLE.fullmatch(rest) and not _COUNTER_WEIGHT.search(rest):
        return False
    if _HAPPENS.fullmatch(rest) and not _TURNED.search(rest) and not _CONTRAST.search(rest):
        return False
    if phrase.figures[-1].kind in ("list", "formula") and len(rest.split()) <= 1:
        return _WEIGHTY.search(rest) is not None
    aside = phrase.share or _ASIDE.match(rest) is not None
    return bool(rest) and not (aside and not _WEIGHTY.search(rest))
