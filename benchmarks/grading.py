"""Judging an answer to an everyday question: right, wrong, or abstained.

The rule, which docs/answers.md tells as well:

1. A run that is undecided or abstained has abstained. Otherwise what the answer *states* is judged: what
   stands in its last box, in JSON or after its last marker such as "Answer:", else the whole answer.
2. It is right if it, or the figure that its last sentence comes to, means the same as an accepted wording,
   by the equivalence that votes use.
3. A sentence, or several of up to 60 words, is right as well if it states the right answer and no other:
   some words of it mean the same as an accepted wording, nothing denies them, and what is left has none of
   the other answers of the question, no "or" and no "maybe", no word for the opposite of what was asked
   ("smaller" where the question says "larger"), and no number or name that the question does not have. What
   is denied ("not 12"), what the answer is compared with ("than 3/8") and the left sides of equations state
   nothing; numbers and names in brackets, after a colon or after "because" explain. Of several sentences the
   last may also be judged alone where the answer is a number, since those before compute it.
4. Yes and no, in puzzles as well: all words of the answer that stand for yes or no must say the same.
5. A choice: the label, or the text of the choice, and no other label or choice.
6. Parts: all of them, those that are numbers in the order of the question, and those that are words as well;
   and no other number that the question does not have.
7. A list: as many of its items as are wanted, in order where that is asked for, none of the other answers,
   and no further piece of up to four words.
8. Code: its function returns what the tests expect (:mod:`benchmarks.programs`).
9. What cannot be answered: the answer says so, without giving a number that the question does not have or a
   guess; or it says that the question rests on something false, in the words listed for it.

An answer that is not right and says that it cannot be known has abstained; any other is wrong.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from benchmarks.everyday import Question
from benchmarks.programs import alike, code_in, returned
from benchmarks.statements import (
    DENIED,
    LEFT_SIDE,
    NUMBER,
    SENTENCE,
    STARTERS,
    UNSURE,
    means,
    other_numbers,
    plain,
    same,
    stated,
    states,
    windows,
    without,
    words_of,
)
from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.reading.endings import YES_NO_WORDS

PIECE = 4
"""Words up to which a piece of a list is an item."""


class Verdict(StrEnum):
    """What became of a question."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSTAINED = "abstained"


_YES_NO = re.compile(
    r"(?:^\W*|[.;:!?,\n—–]\s*|\b(?:so|but|and|or|thus|hence|therefore|is|lautet|est|es|è)\s+)"
    rf"(?P<word>{'|'.join(sorted(map(re.escape, YES_NO_WORDS), key=len, reverse=True))})"
    r"(?=\s*(?:$|[.,;:!?—–)\n])|\s+-\s|\s+(?:but|and|or|it|he|she|they|you|we|i|there|that|this|a|an|the|because"
    r"|since|as)\b)",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"\b(?:can\s?not|can['’]t|could\s+not|couldn['’]t|impossible\s+to|not\s+possible\s+to|no\s+way\s+(?:to|of)"
    r"|unable\s+to|not\s+able\s+to|isn['’]t\s+possible\s+to|hard\s+to\s+know|way\s+for\s+me\s+to|unknowable)\b"
    r"(?!\s+(?:fit|swim|fly|divide))"
    r"|\b(?:i|we|you|nobody|no\s+one)\s+(?:do(?:es)?n['’]t|do(?:es)?\s+not|knows?\b|have\s+no|lack)"
    r"|\bunknown\b|\bundetermined\b|\bunanswerable\b|\b(?:not\s+enough|insufficient|too\s+little)\s+(?:\w+\s+)?"
    r"(?:information|data|context|details?)|\bnot\s+(?:\w+\s+)?(?:given|stated|specified|mentioned|provided|said"
    r"|told|known|recorded|available|included|contained)\b|\b(?:doesn['’]t|does\s+not|don['’]t|do\s+not)\s+(?:\w+\s+)?"
    r"(?:exist|say|state|mention|tell|know|give|provide|specify|contain|include|have\s+(?:\w+\s+)?(?:access|information|data))"
    r"|\b(?:is|was|are|were|has\s+been|there['’]s)\s+no\s+(?:such|information|record|way|data|mention|unique)"
    r"|\bno\s+(?:information|record|data|mention)\b"
    r"|\bdepends\s+on\b|\b(?:more|additional|further)\s+(?:information|data|details|context)\b"
    r"|\b(?:weiß|kenne)\s+(?:ich\s+|es\s+)*(?:leider\s+)?nicht\b|\bunbekannt\b|\b(?:kann\s+(?:ich|man)|(?:ich|man)\s+kann)\b.*\bnicht\b"
    r"|\blässt\s+sich\b.*\bnicht\b|\bnicht\s+(?:bekannt|möglich|genug|angegeben|beantworten)\b|\bkeine\s+(?:angabe|information)"
    r"|\bimpossible\s+(?:de|à)\b|\b(?:ne|n['’])\s*\w+\s+pas\b|\baucune\s+(?:information|donnée)|\binconnue?s?\b"
    r"|\bno\s+(?:se\s+puede|puedo|lo\s+sé|sé|es\s+posible|hay\s+(?:suficiente|forma|información))|\bdesconocid[oa]\b"
    r"|\bnon\s+(?:è\s+possibile|si\s+può|posso|lo\s+so|so|ci\s+sono)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"\W*(?:none|null|n/?a|unknown|\?)?\W*", re.IGNORECASE)
_GUESS = re.compile(
    r"\bguess\w*|\bprobably\b|(?<!un)\blikely\b|\bpresumably\b|\bapproximately\b|\broughly\b|\bestimated?\b"
    r"|\bi\s+would\s+say\b|\bi['’]d\s+say\b|\bbut\s+(?:it|the\s+answer|he|she|they)\s+(?:is|was|are|were)\s+(?!not\b|no\b)",
    re.IGNORECASE,
)
_PIECES = re.compile(r"[,;\n•]+|\s+(?:and|und|et|y|e|&)\s+|\s+[-–—]\s+|[.!?]\s+|(?<=\d)\s+(?=\d)|[<>→]")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)](?=\s))\s*", re.MULTILINE)
_ENTRY = re.compile(
    r"^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+(?P<item>[^\n]+?)(?:[ \t][-–—][ \t]|:[ \t])[^\n]*$", re.MULTILINE
)
"""A line of a list whose item is explained behind a dash or a colon."""
_HEADING = re.compile(r"[^\n.!?]*:(?=\s|$)")
_LABEL = re.compile(r"(?<![\w'])(?:[B-Z]|A(?!\s+[a-z]))(?![\w'])")
_LETTERS = re.compile(r"\b(?:[^\W\d_][-\s.]){2,}[^\W\d_]\b")


_SENTENCE = re.compile(r"\n+|(?<=[.!?])\s+")


def grade(question: Question, answer: str | None, outcome: str = "answered") -> Verdict:
    """Judge the short answer of a run that ended so; a run that failed is wrong."""
    if outcome in ("undecided", "abstained"):
        return _for_abstaining(question)
    if outcome != "answered" or answer is None:
        return Verdict.WRONG
    if question.kind != "unanswerable" and _judge(question)(question, answer):
        return Verdict.RIGHT
    if question.kind == "unanswerable" and _denies_premise(question, answer):
        return Verdict.RIGHT
    return _for_abstaining(question) if abstains(question, answer) else Verdict.WRONG


def _judge(question: Question) -> Callable[[Question, str], bool]:
    yes_no = question.answer and question.answer[0].casefold() in YES_NO_WORDS
    return _yes_no if yes_no else _JUDGES.get(question.kind, _short)


def _for_abstaining(question: Question) -> Verdict:
    return Verdict.RIGHT if question.kind == "unanswerable" else Verdict.ABSTAINED


def _short(question: Question, answer: str) -> bool:
    text = stated(answer)
    if question.kind == "words":  # e-g-n-a-r-o
        text = _LETTERS.sub(lambda spelled: re.sub(r"[-\s.]", "", spelled[0]), text)
    if means(question, text, question.answer) or states(question, text, question.answer):
        return True
    last = _SENTENCE.split(text.strip())[-1]
    if last != text and NUMBER.search(question.answer[0]) and states(question, last, question.answer):
        return True
    claim = extract_claim(text)
    return claim is not None and claim.how == "number" and means(question, claim.text, question.answer)


def _yes_no(question: Question, answer: str) -> bool:
    text = stated(answer)
    said = {YES_NO_WORDS[found["word"].casefold()] for found in _YES_NO.finditer(text)}
    gold = YES_NO_WORDS[question.answer[0].casefold()]
    return said == {gold} if said else means(question, text, question.answer)


def _choice(question: Question, answer: str) -> bool:
    right = question.labels.index(question.answer[0])
    text = stated(answer)
    if len(text.split()) > SENTENCE:
        claim = extract_claim(answer, choices=question.labels)
        return claim is not None and claim.text == question.answer[0]
    if not any(DENIED.search(choice) for choice in question.choices):
        text = DENIED.sub(" , ", text)
    labels = {question.labels.index(label) for label in _LABEL.findall(text) if label in question.labels}
    named = _named(question, text)
    return bool(labels | named) and labels <= {right} and named <= {right} and not UNSURE.search(text)


def _named(question: Question, text: str) -> set[int]:
    """The choices whose text a sentence has: the longest first, so that "red" is not in "dark red"."""
    found: set[int] = set()
    text = text.casefold()
    for at, choice in sorted(enumerate(question.choices), key=lambda each: -len(each[1])):
        pattern = rf"(?<![\w/.]){re.escape(plain(choice).casefold().rstrip('.'))}(?![\w/]|\.\d)"
        if re.search(pattern, text):
            found.add(at)
            text = re.sub(pattern, " , ", text)
    return found


def _parts(question: Question, answer: str) -> bool:
    return any(_has_parts(question, text) for text in {stated(answer), plain(answer)})


def _has_parts(question: Question, text: str) -> bool:
    text = LEFT_SIDE.sub(" ", _BULLET.sub(" ", text))
    if len(text.split()) > SENTENCE:
        return False
    spans: list[tuple[int, int]] = []
    for group in (True, False):
        position = 0
        for accepted in (each for each in question.parts if bool(NUMBER.search(each[0])) is group):
            found = min(windows(question, text[position:], accepted), default=None)
            if found is None:
                return False
            spans.append((position + found[0], position + found[1]))
            position += found[1]
    rest = without(text, spans)
    return not other_numbers(question, rest, [each for part in question.parts for each in part])


def _list(question: Question, answer: str) -> bool:
    return any(_lists(question, text) for text in {stated(answer), plain(answer)})


def _lists(question: Question, text: str) -> bool:
    position: dict[int, int] = {}
    text = _HEADING.sub(" , ", _BULLET.sub(" , ", _ENTRY.sub(r"\g<item>\n", text)))
    for place, each in enumerate(_PIECES.split(DENIED.sub(" , ", text))):
        piece = each.strip(" .!?\"'[](){}")
        items = [at for at, accepted in enumerate(question.items) if _has(piece, accepted)]
        for at in items:
            position.setdefault(at, place)
        further = not items and 0 < len(piece.split()) <= PIECE and not STARTERS.issuperset(words_of(piece))
        if further or (not items and _has(piece, question.others)):
            return False
    places = [position[at] for at in sorted(position)]
    return len(places) >= question.wanted and (not question.ordered or places == sorted(places))


def _has(piece: str, accepted: Sequence[str]) -> bool:
    """Whether a piece of a list has one of the wordings as whole words, or means the same."""
    folded = piece.casefold()
    return any(
        re.search(rf"(?<![\w/.-]){re.escape(each.casefold())}(?![\w/-]|\.\d)", folded) or same(each, piece)
        for each in accepted
    )


def _code(question: Question, answer: str) -> bool:
    results = returned(code_in(answer), question.function, [test.arguments for test in question.tests])
    return results is not None and all(
        alike(result, test.result) for result, test in zip(results, question.tests, strict=True)
    )


_JUDGES = {"choice": _choice, "parts": _parts, "list": _list, "code": _code}


def abstains(question: Question, answer: str) -> bool:
    """Whether an answer says that it cannot be known, and gives neither a number of its own nor a guess."""
    text = stated(answer)
    if _NOTHING.fullmatch(text):
        return True
    if not _UNKNOWN.search(text) or _GUESS.search(text):
        return False
    return not other_numbers(question, text, ())


def _denies_premise(question: Question, answer: str) -> bool:
    said = f" {' '.join(words_of(stated(answer)))} "
    return any(f" {' '.join(words_of(each))} " in said for each in question.denials)
