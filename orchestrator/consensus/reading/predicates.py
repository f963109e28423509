"""What a sentence says by a name, a literal or a word: "The capital is Paris" says Paris.

Only shapes that leave no choice are read: one subject that only repeats the question, a verb that joins, and
one value. Whatever else the value may depend on (negation, comparison, a condition) keeps the sentence whole.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.chemistry import read_formula
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.words import (
    COPULAS,
    JOINING,
    NO_LABELS,
    NO_SUBJECTS,
    PROPERTIES,
    YIELDING,
    either,
    table,
)

LONGEST_LABEL = 60
"""Characters of what stands before a colon, as in "Average speed: 90 km/h", at most."""

LONGEST_SENTENCE = 300
"""Characters beyond which a sentence is not read for its predicate."""

WORDS_OF_A_VALUE = 8
"""Words of what stands after it, where it has no figure."""

_CAPITAL = r"[A-ZÀ-ÞĀŌŠŽČА-Я]"
_NAME = (
    rf"(?:the\s+)?(?-i:{_CAPITAL})[\w'’.-]*(?:\s+(?:(?:of|the|de|da|do|del|della|du|des|la|le|van|von"
    rf"|der)\s+){{0,2}}"
    rf"(?-i:{_CAPITAL})[\w'’.-]*){{0,5}}"
)
_LITERAL = (
    r"(?-i:True|False|None|null|NaN|nil|undefined|Infinity|\w+(?:Error|Exception))|\[\]|\{\}"
    r"|an?\s+empty\s+(?:list|string|dictionary|dict|array)|'[^'\d\n]{1,80}'|[\"“][^\"”\n]{1,80}[\"”]"
)
_END = (
    r"(?:[.!*_\s]*$|\s*[;—–].*$|\s+\(.*$|,\s+(?:which|who|where|because|since|as|not|while|a|an|the"
    r"|located|known|i\.e\.|named)\b.*$"
    r"|\s+(?:because|since|rather\s+than|and\s+not|not)\s.*$)"
)
_SUBJECT = (
    r"(?:it|this|that|he|she|they|(?:the|its|his|her|their|our|my|der|die|das|le|la|el|il|o|a|los"
    r"|les)\s[^,;:.!?\n]{1,90}?"
    r"|l['’][^,;:.!?\n]{1,90}?|[\w'’-]+['’]s\s[^,;:.!?\n]{1,60}?)"
)
_SAYS = lazily(
    rf"\W*(?:(?:in|on|at|above|below|by|for|among|of|as|after|from|to|with|within"
    rf"|under)\s[^;:.!?\n]{{1,80}}?[,\s]\s?)?{_SUBJECT}\s+(?:{either(COPULAS)})(?:\s+(?:{either(JOINING)}))*\s+(?:\w+(?:ed|en|t|de|ld|ng)\s+by\s+)?(?P<what>{_LITERAL}|{_NAME}){_END}",
    re.IGNORECASE,
)
_YIELDS = lazily(
    rf"\W*[^;!?\n]{{1,160}}?\b(?:{either(YIELDING)})\s+(?:an?\s+)?(?P<what>{_LITERAL}|(?-i:true"
    rf"|false)){_END}",
    re.IGNORECASE,
)
_CODE = lazily(
    rf"\b(?:{either(COPULAS + YIELDING)})(?:\s+(?:{either(JOINING)}|the\s+(?:string|value|list|tuple"
    rf"|error)))*\s+[*_]*"
    rf"(?P<ticks>`+)(?P<what>[^`\n]{{1,160}})(?P=ticks)[*_]*{_END}",
    re.IGNORECASE,
)
_PROPERTY = lazily(
    rf"\W*(?:the|its|his|her|their|our"
    rf"|my)\s+(?:[\w'’-]+\s+){{0,4}}?(?:{either(PROPERTIES)})(?:\s+of\s[^,;:.!?\n]{{1,60}}?)?"
    rf"\s+(?:{either(COPULAS)})(?:\s+(?:{either(JOINING)}))*\s+(?P<what>(?:(?:an?"
    rf"|the)\s+)?[a-z][\w'’-]*(?:\s[a-z][\w'’-]*)?)"
    rf"{_END}",
    re.IGNORECASE,
)
_FORMULA = lazily(
    r"\W*(?:[Tt]he|[Ii]t|[Tt]his)\b[^,;:.!?\n]{0,90}?\s(?:is|was)\s(?:the\s+|an?\s+)?[a-z][\w\s()-]{1,60},\s+"
    r"(?P<what>[A-Z][\w()^+−-]*\d[\w()^+−{}-]*)[.\s]*$"
)
_FIRST = lazily(
    rf"\W*(?P<what>{_NAME})\s+(?:is|was|are|were)\s+the\s+(?:\w+est|most\s+\w+|only\s+\w+|capital|winner"
    rf"|author|inventor"
    rf"|correct\s+\w+|culprit|one)\b[^,;:!?\n]{{0,90}}{_END}",
    re.IGNORECASE,
)
_LABELLED = lazily(
    rf"[*_\s]*(?P<label>\w[^:.!?\n]{{0,{LONGEST_LABEL}}}?(?<=[^\W\d_]|[)%]))[*_]*\s?:(?!\s*$"
    rf"|//)[*_]*\s+(?P<rest>\S.*)$"
)
_AFTER_A_VALUE = lazily(r"[-+$€£]?\d[^,;]*[,;]\s")
_MORE_LABELS = lazily(r"(?:[,;]\s+|\sand\s+)(?=[^\W\d_])[^:,;=\n]{0,40}(?<=[^\W\d_]):\s+\S")
_REMARK_AFTER = lazily(r"(?<=[\"”\w])\s+\([^()\d]{1,60}\)[.\s]*$")
_BALANCE = lazily(r"\b(loss|deficit|debt|profit|surplus)$", re.IGNORECASE)
_SAID_OF = lazily(rf"\b(?:{either(NO_SUBJECTS)})\b|n['’]t\b", re.IGNORECASE)
_CLAUSES = lazily(
    r"(?:[,;—–]\s*|\s)(?:so|but|hence|thus|therefore|which\s+means(?:\s+that)?)\s+", re.IGNORECASE
)
_PRONOUNS = table("it he she they this that there these those")


def predicate(sentence: str) -> str | None:
    """The name, literal or word that ``sentence`` says of its subject, or None if it has another shape."""
    if len(sentence) > LONGEST_SENTENCE:
        return None
    clauses = [sentence[match.end() :] for match in _CLAUSES.finditer(sentence)][-3:]
    for clause in [*reversed(clauses), sentence]:
        for pattern in (_SAYS, _YIELDS, _PROPERTY, _FORMULA, _FIRST):
            match = pattern.match(clause)
            if match is None or match["what"].casefold() in _PRONOUNS:
                continue
            what = match["what"].strip().strip('"“”')
            besides = clause[: match.start("what")] + (
                clause[match.end("what") :] if pattern is _FIRST else ""
            )
            if not _SAID_OF.search(besides):
                return what.rstrip(".") if what.count(".") == 1 and what.endswith(".") else what
    return None


_SUBSTANCE = lazily(
    rf"\b(?:{either(COPULAS)})\s+(?P<what>[\[(]?[A-Z][A-Za-z\d_()\[\]{{}}^·₀-₉⁰¹²³⁴-⁹⁺⁻+−-]*(?:\s\d?[+-])?)[.\s]*$"
)


def substance(sentence: str) -> str | None:
    """The chemical formula with groups or a charge that a sentence ends with: "the base is Ca(OH)2"."""
    match = _SUBSTANCE.search(sentence[-LONGEST_SENTENCE:])
    if match is None or match["what"].isalnum() or _SAID_OF.search(sentence):
        return None
    return match["what"] if read_formula(match["what"]) is not None else None


QUOTED = lazily(
    r"(['\"])(?:[-+]?\d[\d._]*(?:e[-+]?\d+)?|0[xbo]\w+|True|False|None|null|true|false)\1", re.IGNORECASE
)
"""A string in code that holds what would be another value without its quotes: ``'5'`` is not 5."""

CODE_WORDS = lazily(
    r"`(?!(?i:true|false|none|null|nan|nil|yes|no|undefined|inf|[a-f]{2})`)[A-Za-z_][A-Za-z_ ,.!-]{1,78}`"
)
"""Words in code, in which case matters."""

_ENDING = lazily(r"(?:\b(?:is|are|equals|becomes)|:)\s+(?:(?:therefore|thus|then)\s+)?")
_OPERATORS = lazily(r"\S\s*(?:[-+−→*^·]|->)\s*\S")
_LETTERED = lazily(r"[A-Za-z]")
_SUM = lazily(r"[\w²³)]\s*(?:\s[-+−*]|→|->)\s+(?=\S)|\d[a-zA-Z][²³^\d]?\s*[-+−]|[a-z][²³]")
_ACCOMPANIED = lazily(r",\s+(?:which|because|since|as)\b")
_PRODUCT = lazily(r"\d!?\s*[/·*×]\s*\(|\)\s*[/·*×]\s*[\d(]|\d!\s*[/·*×]")
_LONG_WORD = lazily(r"[^\W\d_₀-₉]{3,}")
_FUNCTION_OR_JOINT = lazily(r"\b(?:and|or|sin|cos|tan|log|exp|sqrt)\b")


def expression(sentence: str) -> str | None:
    """The expression in plain letters and signs that a sentence ends with: "the derivative is 6x² + 4"."""
    last = None
    for match in _ENDING.finditer(sentence[-LONGEST_SENTENCE:]):
        last = match
    if last is None:
        return None
    what = _ACCOMPANIED.split(sentence[-LONGEST_SENTENCE:][last.end() :])[0].strip().rstrip(".")
    if not what or any(sign in what for sign in "=$`\\:"):
        return None
    bare = _FUNCTION_OR_JOINT.sub(" ", what)
    if _LONG_WORD.search(bare):
        return None
    if _PRODUCT.search(bare):
        return what
    if not _OPERATORS.search(bare) or not _LETTERED.search(bare):
        return None
    return what if _SUM.search(bare) else None


def code(sentence: str) -> str | None:
    """The code that a sentence with its markup ends with: "255 in hexadecimal is `ff`"."""
    match = _CODE.search(sentence[-LONGEST_SENTENCE:])
    if match is None or _SAID_OF.search(sentence[max(0, match.start() - 12) : match.start()]):
        return None
    what = match["what"].strip()
    if not QUOTED.fullmatch(what) and what[0] in "\"'" and what[0] == what[-1] and len(what) > 2:
        what = what[1:-1]
    return f"`{what}`" if QUOTED.fullmatch(what) or CODE_WORDS.fullmatch(f"`{what}`") else what


def labelled(line: str) -> str | None:
    """What stands after a label, as in "Average speed: 90 km/h"; None where that is only a remark.

    None as well where the line has more than one: "Distance: 180 km, time: 2 h" loses no label.
    """
    match = _LABELLED.match(line)
    if match is None or re.match(rf"(?:{either(NO_LABELS)})\b", match["label"], re.IGNORECASE):
        return None
    if _AFTER_A_VALUE.match(match["label"]) or _MORE_LABELS.search(match["rest"]):
        return None
    rest = _REMARK_AFTER.sub("", match["rest"].strip())
    balance = _BALANCE.search(match["label"])
    return f"a {balance[1].lower()} of {rest}" if balance else rest
