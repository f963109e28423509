"""The part of a sentence that is its answer: a figure with all that its value depends on, or the sentence.

A figure alone may be that of many other answers: "5" of "at least 5", "5 kN", "3 to 5" and "1 in 5". So what
stands before and after it comes with it, as far as tables tell, and where they do not, the whole sentence.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.consensus.reading.numerals import Figure, figures


def _either(words: str) -> str:
    return "|".join(word.replace("_", r"\s+") for word in sorted(words.split(), key=len, reverse=True))


NEAR = 60
"""Characters before a figure in which the words that bound it are looked for."""

SCALES = (
    "hundred thousand million billion trillion quadrillion dozen lakh lakhs crore crores score mn bn million"
)
STOPS = frozenset(
    # prepositions and conjunctions
    "of in on at for from with by to into onto over under below above after before during until till since within"
    " without among between against about around through across along and or but nor so because as if when while where"
    " unless than then that which who whose whom although though whereas versus vs plus minus times divided modulo mod"
    # articles, pronouns, verbs and adverbs
    " a an the this these those his her its their our my your it he she they we you i him them us there here"
    " out off up down cost costs need needs take takes sell sells buy buys weigh weighs contain contains run runs earn"
    " earns pay pays eat eats get gets use uses sold is are was were be been being has have had do does did can could will would shall should may might must equals"
    " makes make gives give means mean remain remains exist exists works work ways_of"
    " in_total total altogether overall now today yesterday tomorrow already only also too again just still left"
    " remaining each respectively approximately therefore thus hence not no however instead exactly more_or_less"
    " long tall high wide deep old thick away apart heavy large big far fast longer taller higher wider deeper older"
    " und uhr oder bis von in im mit für pro ist sind et ou de la le les du des dans pour est sont y e o en el los las un"
    " una que por para con es son da do no na os as é são il lo gli di per che sono del della и или в на для с из".split()
) - {"no"}
"""Words at which what a number counts or measures ends, unless a unit of that spelling is meant."""

_UNIT_TOKEN = re.compile(
    r"[ \u00a0\u202f]?(?P<token>\\?[°µμΩ℃℉%‰€£¥₹][\w°²³·/^-]*|[^\W\d_][^\s\d.,;:!?()$\\*\0]*(?:[\d²³⁻¹^{}·*/.-]+"
    r"(?=[^\s]*\w)[\w²³⁻¹^{}·*/-]*)?[²³]?(?:\^\{?-?\d\}?|\d(?!\w))?)"
)
_LATEX_UNIT = re.compile(
    r"(?:\s|~|\\[,;: ]|\$)*(?P<unit>\\(?:text|mathrm|textrm|mbox)\s*\{[^{}]{1,40}\}(?:\s*\^\s*(?:\d|\{-?\d\}))?"
    r"|\\%|\^\s*(?:\\circ|\{\s*\\circ\s*\})\s*[CF]?)"
)
_PER = re.compile(
    r"\s?(?:/\s?|(?:per|an?|each|every)\s+)(?!few|lot|half|total|quarter)[^\W\d_][\w²³^]*(?:\s+squared|\s+cubed)?\b"
)
_AN_AREA = re.compile(
    r"\s+(?:squared|cubed|ago|later|earlier|north|south|east|west|BCE?\b|AD\b|CE\b|C\b|F\b)"
)
_SCALE = re.compile(rf"\s?-?(?:{_either(SCALES)})\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?P<words>(?:"
    + _either(
        "not isn['’]?t aren['’]?t wasn['’]?t weren['’]?t never no_longer anything_but neither cannot_be can['’]?t_be"
        " at_least at_most more_than less_than fewer_than greater_than larger_than smaller_than higher_than lower_than"
        " bigger_than no_more_than no_less_than no_fewer_than not_more_than not_less_than up_to as_many_as over under"
        " above below beneath exceeding beyond a_minimum_of a_maximum_of minimum_of maximum_of"
        " greater_than_or_equal_to less_than_or_equal_to more_than_or_equal_to not_equal_to strictly"
        " about approximately approx\\.? roughly around nearly almost circa close_to some just_over just_under"
        " from between either both minus negative plus"
    )
    + r"|[<>≤≥≈~≠±]=?|=/=|!=|\\(?:leq?|geq?|neq?|approx|pm|sim)(?![a-zA-Z]))[\s$(]*)+$",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"^\s*(?:strictly|both|plus)\s+|^\s*\+\s*|[\s$(]+$", re.IGNORECASE)
_JOINT = re.compile(
    r"\s*(?:,|;)?\s*(?:(?:and|or|to|through|till|until|by|nor|plus|minus|times|versus|vs\.?|but|und|et|y|e|i|и|ou|oder)(?=\s|$)"
    r"|plus\s+or\s+minus\b|\+/-|±|\\pm|[-–—:/×x*·+^]|to\s+the\s+(?:power(?:\s+of)?|minus)|/)?"
    r"[\s$]*(?:the\s+|a\s+|an\s+)?(?:[A-Za-z]\w?\s*=\s*)?\s*",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"\s*(?:(?:out\s+)?of\s+(?:the\s+|every\s+)?|in\s+(?:every\s+|a\s+)?|for\s+every\s+|chances?\s+in\s+)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[\d.,]+")
_YEAR = re.compile(r"(?:1\d|20)\d\d")

_GOVERNED = re.compile(
    r"\b(?:of|in|on|at|for|from|with|by|over|under|below|above|after|before|during|until|since|within|among|between|per"
    r"|against|than|less|out\s+of|every|each|modulo|mod|when|if|where|while|because|until|divisible\s+by|up\s+to|the\s+first|about)"
    r"\s+(?:the\s+|all\s+|a\s+|an\s+|its\s+|each\s+|every\s+|first\s+|last\s+|[A-Za-z]\s*=\s*)*$",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"\b(?:total|sum|average|mean|product|value|price|cost|probability|maximum|minimum|speed|length|area|amount|rate"
    r"|profit|distance|takes?|number|rest|remainder|result|root|age|weight|height|score)\s+(?:of|at|to|by|in)\s+$",
    re.IGNORECASE,
)
_RESET = re.compile(
    r"=\s*$|=>\s*$|\b(?:equals?|equal\s+to|is|are|was|were|be|becomes?|gives?|get|makes?|yields?|totals?|therefore|so"
    r"|thus|hence|then|altogether|in\s+total|comes\s+to|leaves?|obtain|remain(?:s|ing)?|costs?|spends?|paid|pays?|earns?"
    r"|needs?|total(?:s|ing)?)\b",
    re.IGNORECASE,
)
_DEFINED = re.compile(r"\s*(?:is|are|was|were)\s+the\s+(?:\w+\s+){0,4}of\b", re.IGNORECASE)
_DESIGNATOR = re.compile(
    r"\b(?:version|release|build|revision|port|python|java|room|flight|route|model|section|chapter|page|article|type"
    r"|phase|stage|grade|level|channel|track|windows|ubuntu|bus|gate|no|number)\.?\s+(?=$)|\bversion\s+is\s+(?=$)",
    re.IGNORECASE,
)
"""Words before a figure that is a name: 1.10 is another version than 1.1."""

_CONDITION = re.compile(
    r"\b(?:if|when|unless|provided|whenever|as\s+long|only\s+if|except|whereas|while)\b", re.IGNORECASE
)
_EXPLAINED = re.compile(
    r",?\s+because\b|\s+due\s+to\b|[,(–—-]\s*(?:since|as|where|which|for\s+example|e\.g\.|i\.e\.|given\s+that|not)\s"
    r"|\s+(?:since|as)\s+(?!\w*\s*$|[\d$]|many|much|long|of|the\s+\w+\s*$)|,?\s+rather\s+than\b|,?\s+instead\s+of\b|\s+\(",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    r"(?:[,;:–—]\s*|\s)(?:so|thus|therefore|hence|then|which\s+(?:gives|makes|means|equals|is)|giving|making|meaning|for\s+a\s+total"
    r"|leaving|that\s+is|we\s+(?:get|have|find)(?:\s+that)?)\s",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^\W*(?:(?:and|so|hence|thus|therefore|then|finally|consequently|accordingly|overall|in\s+conclusion|in\s+summary"
    r"|to\s+(?:conclude|summari[sz]e)|as\s+a\s+result|ultimately|also|also,|that\s+means|this\s+means|it\s+follows\s+that"
    r"|we\s+(?:conclude|find|see|get|have)\s+that|maybe|perhaps|probably|i\s+(?:think|believe|guess))(?:\s+that)?[,:]?\s+)+",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:not|never|no\s+longer|neither|cannot|without)\b|n['’]t\b|\b(?:fell|falls?|dropp?(?:ed|s)?|declin(?:ed|es?)|sank|sinks"
    r"|decreas(?:ed|es?)|reduced?|shrank)\s+(?:by|to|from|of|is|was)\b|\b(?:lost|loses?|loss|debt|deficit|owes?)\b",
    re.IGNORECASE,
)
"""Words that turn the figure after them into another answer."""

_CLAUSE = re.compile(r"[,;:]\s|\b(?:so|then|thus|hence|therefore|and)\s", re.IGNORECASE)
_TAIL = re.compile(
    r"[\s,*_)\]\"'”’]*(?:(?:in\s+(?:total|all|length|height|width|weight|value|size|area|volume|sum|the\s+end|general)|all\s+together"
    r"|altogether|overall|total|of\s+(?:them|it|these|those|that|this|all|us)|left(?:\s+over)?|remaining|more\s+in\s+total|long|tall"
    r"|high|wide|deep|old|thick|away|apart|heavy|large|big|now|today|so\s+far|uhr|ab|an|geboren|lang|hoch|breit|tief|alt|groß|schwer|here|as\s+well|too|exactly|again|just|only|respectively"
    r"|(?:is|are)\s+(?:the|my|our)\s+(?:final\s+|correct\s+|right\s+|total\s+)*(?:answer|total|result|sum|number|value|amount|cost)\b[^,;]*)"
    r"[\s,*_)\]\"'”’]*)*",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"[\s,]*(?:of|for|in|at|on|by|with|during|from|to|so|that|which|who|there|here|as|over|among|through|because|since|within)\b",
    re.IGNORECASE,
)
_WEIGHTY = re.compile(
    r"\b(?:if|when|unless|but|except|not|than|before|after|until|ago|above|below|more|less|fewer|modulo|mod|or|nor|without"
    r"|excluding|plus|minus|times|per|every|respectively|only|no|never|off|short|short\s+of|under|is|are|was|were)\b|n['’]t\b",
    re.IGNORECASE,
)
_THERE = re.compile(
    r"^\W*(?:in\s+total,?\s+)?(?:there\s+(?:are|is|were|was|will\s+be|exist|remain)|(?:we|you|it|he|she|they)\s+(?:have|has|had))"
    r"\s+(?:exactly\s+|a\s+total\s+of\s+|precisely\s+)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Phrase:
    """One figure or several that belong together, from ``begin`` to ``end`` of the sentence."""

    begin: int
    end: int
    figures: tuple[Figure, ...]
    text: str
    share: bool = False


def conclusion(sentence: str) -> str | None:
    """What ``sentence`` comes to, by its figures: the phrase of one of them, or the sentence; None without any.

    The last figure is meant, unless it only restricts an earlier one: then only "there are N …" tells which
    number is the answer.
    """
    sentence = _LEAD.sub("", sentence.strip())
    phrases = _phrases(sentence)
    if not phrases:
        return None
    begin, end = _main_part(sentence, phrases)
    inside = [phrase for phrase in phrases if begin <= phrase.begin < end]
    last = inside[-1]
    whole = sentence.strip(" \t\n,;:*_")
    gap = sentence[inside[-2].end : last.begin] if len(inside) > 1 else ""
    aside = (
        len(inside) > 1
        and _aside(sentence[begin:end], _moved(inside[:-1], begin))
        and not _GOVERNED.search(gap)
    )
    defined = _DEFINED.match(gap)
    if len(inside) > 1 and (defined or not _reached(gap)) and not (aside and not _CONDITION.search(gap)):
        first = inside[0]
        if not sentence[begin : first.begin].strip(" $*") and _DEFINED.match(gap) and len(inside) == 2:
            return first.text
        if (
            _THERE.match(sentence[begin : first.begin])
            and all(_GOVERNED.search(sentence[: later.begin]) for later in inside[1:])
            and not _weighty(sentence[first.end : inside[1].begin])
        ):
            return first.text
        return whole
    clause = sentence[begin : last.begin]
    breaks = list(_CLAUSE.finditer(clause))
    if _NEGATED.search(clause, breaks[-1].end() if breaks else 0):
        return whole
    return last.text if _harmless(sentence[last.end : end], last.share) else whole


def trimmed(answer: str) -> str:
    """An answer without what says nothing about its value: "72 in total" is 72."""
    phrases = _phrases(answer)
    if len(phrases) != 1 or answer[: phrases[0].begin].strip(" $*_("):
        return answer
    tail = answer[phrases[0].end :]
    bare = _TAIL.match(tail)
    return phrases[0].text if bare and not tail[bare.end() :].strip(" $*_).,") else answer


def _moved(phrases: Sequence[_Phrase], by: int) -> list[_Phrase]:
    return [replace(phrase, begin=phrase.begin - by, end=phrase.end - by) for phrase in phrases]


def _weighty(text: str) -> bool:
    return bool(_CONDITION.search(text) or re.search(r"\bnot\b|n['’]t\b|\bbut\b", text))


def _reached(gap: str) -> bool:
    """Whether what is between two figures leads to the second, as "=" and "is" do, and not under a condition."""
    if _CONDITION.search(gap):
        return False
    if _TOTAL.search(gap):
        return True
    if _GOVERNED.search(gap):
        return False
    return bool(_RESET.search(gap))


def _aside(sentence: str, phrases: Sequence[_Phrase]) -> bool:
    """Whether all these figures only say under what circumstances the next one holds: "at $3 each it costs $9"."""
    return all(_GOVERNED.search(f"{sentence[: phrase.begin]} ") for phrase in phrases)


def _main_part(sentence: str, phrases: Sequence[_Phrase]) -> tuple[int, int]:
    """Where the part of the sentence lies that says what it comes to: after "so", before "because"."""
    begin, end = 0, len(sentence)
    for match in _CONCLUDED.finditer(sentence):
        if any(phrase.begin >= match.end() for phrase in phrases) and not _within(match.start(), phrases):
            begin = match.end()
    for match in _EXPLAINED.finditer(sentence, begin):
        if any(begin <= phrase.begin and phrase.end <= match.start() + 1 for phrase in phrases):
            if not _within(match.start() + 1, phrases):
                end = match.start()
                break
    return begin, end


def _within(at: int, phrases: Sequence[_Phrase]) -> bool:
    return any(phrase.begin < at < phrase.end for phrase in phrases)


def _harmless(tail: str, share: bool) -> bool:
    """Whether what follows a figure leaves its value as it is; a ``share`` is one of whatever follows."""
    rest = tail[match.end() :] if (match := _TAIL.match(tail)) else tail
    rest = rest.strip(" \t\n*_()[]\"'”’.,;:!?。")
    if not rest:
        return True
    return (share or bool(_PREPOSITION.match(rest))) and not _WEIGHTY.search(rest)


def _phrases(sentence: str) -> list[_Phrase]:
    found = figures(sentence)
    phrases: list[_Phrase] = []
    for at, figure in enumerate(found):
        following = found[at + 1].begin if at + 1 < len(found) else len(sentence)
        previous = phrases[-1] if phrases else None
        before = previous.end if previous else 0
        end = _end_of_unit(sentence, figure, following, previous)
        begin = figure.begin
        match = _BEFORE.search(sentence[max(before, begin - NEAR) : begin])
        if match and (previous is None or sentence[before : begin - len(match[0])].strip()):
            begin -= len(match[0])
        if match := _DESIGNATOR.search(sentence[max(before, begin - NEAR) : begin]):
            begin -= len(match[0])
        gap = sentence[before:begin]
        if previous and _joins(gap, previous, figure):
            joined = (*previous.figures, figure)
            share = _SHARE.fullmatch(gap) is not None
            if share:
                end = figure.end
            text = _written(sentence, previous.begin, end, joined)
            phrases[-1] = _Phrase(previous.begin, end, joined, text, share)
        else:
            phrases.append(_Phrase(begin, end, (figure,), _written(sentence, begin, end, (figure,))))
    return phrases


def _joins(gap: str, previous: _Phrase, figure: Figure) -> bool:
    """Whether two figures are one: 3 to 5, 1 in 4, 2 hours 30 minutes, 2 or 3."""
    if not gap.strip() and figure.text[:1] in "$€£¥":
        return False
    if len(gap) > 40 or "=" in gap.replace(" ", "")[:1]:
        return False
    last = previous.figures[-1]
    if _SHARE.fullmatch(gap):
        alone = previous.end == last.end and (
            _PLAIN.fullmatch(last.text) or last.text.endswith("%") or last.kind == "words"
        )
        return bool(alone) and not (re.match(r"\s*in\s", gap) and _YEAR.fullmatch(figure.text))
    return bool(_JOINT.fullmatch(gap))


def _written(sentence: str, begin: int, end: int, parts: tuple[Figure, ...]) -> str:
    """The phrase as it is written, with the formulas in it by what they come to; all of them if there are several."""
    pieces, at = [], begin
    for part in parts:
        pieces += [sentence[at : part.begin], part.full if len(parts) > 1 else part.text]
        at = part.end
    text = "".join([*pieces, sentence[at:end]])
    return _LOOSE.sub("", text).strip()


def _end_of_unit(sentence: str, figure: Figure, limit: int, previous: _Phrase | None) -> int:
    """Where what a figure counts or measures ends: words of scale, units, and up to three other words."""
    end = figure.end
    if figure.kind in ("date", "list", "equations"):
        return end
    while match := _LATEX_UNIT.match(sentence, end, limit):
        end = match.end()
    if scale := _SCALE.match(sentence, end, limit):
        end = scale.end()
    at, words = end, 0
    while words < 4 and (match := _UNIT_TOKEN.match(sentence, at, limit)):
        token = match["token"]
        if _stops(token, sentence, match.end(), figure, previous, words):
            break
        at, words = match.end(), words + 1
    if words <= 3:
        end = at
    if words and (per := _PER.match(sentence, end, limit)):
        end = per.end()
    elif per := re.compile(r"\s(?:per|an?|each)\s[^\W\d_]+\b").match(sentence, end, limit):
        end = per.end() if figure.text[:1] in "$€£¥" or per[0].startswith(" per") else end
    if extra := _AN_AREA.match(sentence, end, limit):
        end = extra.end()
    return end


def _stops(
    token: str, sentence: str, after: int, figure: Figure, previous: _Phrase | None, words: int
) -> bool:
    """Whether a word after a number is no longer what it counts."""
    if token == "in" and words == 0:
        feet = previous is not None and re.search(r"(?:ft|feet|foot|['′])\s*$", sentence[: figure.begin])
        rest = sentence[after:].strip(" .,;)*_")
        return not (feet or not rest or re.match(r"(?:long|tall|wide|high|deep|thick)\b|[x×]", rest))
    if token == "A" or token == "I":
        return bool(re.match(r"\s+[a-z]", sentence[after : after + 3]))
    if token.casefold() in ("less", "more", "fewer", "greater", "higher", "lower") and re.match(
        r"\s+than\b", sentence[after : after + 8]
    ):
        return True
    if token.endswith(("n't", "n’t")):
        return True
    if token == "per" or (token in ("l", "h", "s", "g", "m", "t") and words == 0):
        return token == "per"
    return token.casefold().strip("-'’/") in STOPS or (len(token) == 1 and words > 0 and token.islower())
