"""Judging an answer to an everyday question: right, wrong, or abstained.

The rule, which docs/answers.md tells as well:

1. A run that is undecided or abstained has abstained. Otherwise what the answer *states* is judged: what stands
   in a box, in JSON or after a marker such as "Answer:", else the whole answer.
2. It is right if it, or the claim that extraction reads off it, means the same as an accepted wording, by the
   equivalence that votes use.
3. A sentence of at most 60 words is right as well if it states the right answer and no other: some words of
   it mean the same as an accepted wording, nothing denies them, and what is left has no other number or name
   that the question does not have, none of the other answers of the question, no "or" and no "maybe", and no
   word for the opposite of what was asked ("smaller" where the question says "larger"). What is denied ("not
   12"), what the answer is compared with ("than 3/8") and the left sides of equations state nothing.
4. Yes and no: all words of the answer that stand for yes or no must say the same.
5. A choice: the label, or the text of the choice, and no other label or choice.
6. Parts: all of them, in the order of the question, and no other number that the question does not have.
7. A list: as many of its items as are wanted, in order where that is asked for, none of the other answers,
   and no further piece of up to four words.
8. Code: its function returns what the tests expect (:mod:`benchmarks.programs`).
9. What cannot be answered: the answer says so, without giving a number that the question does not have or a
   guess; or it says that the question rests on something false, in the words listed for it.

An answer that is not right and says that it cannot be known has abstained; any other is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache

from benchmarks.everyday import Question
from benchmarks.programs import alike, code_in, returned
from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.forms import compare, contradicts, read_form
from orchestrator.consensus.reading.counting import number_words
from orchestrator.consensus.reading.endings import YES_NO_WORDS
from orchestrator.consensus.reading.languages import ENGLISH, language_of

SENTENCE = 60
"""Words that a sentence, or several, may have to be read as one answer."""

PIECE = 4
"""Words up to which a piece of a list is an item."""


class Verdict(StrEnum):
    """What became of a question."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSTAINED = "abstained"


OPPOSITES = """
larger bigger greater higher more heavier | smaller less lower fewer lighter
largest biggest greatest highest most heaviest | smallest least lowest fewest lightest
longer taller | shorter
longest tallest | shortest
older first earlier | younger last later
oldest earliest | youngest latest
faster quicker | slower
warmer hotter | colder cooler
cheaper | dearer costlier
closer nearer | farther further
größer mehr schwerer | kleiner weniger leichter
mayor más | menor menos
plus | moins
"""
_CONTRARY: dict[str, frozenset[str]] = {}
for _line in OPPOSITES.strip().splitlines():
    _one, _two = (frozenset(side.split()) for side in _line.split("|"))
    for _word in _one | _two:
        _CONTRARY[_word] = _CONTRARY.get(_word, frozenset()) | (_two if _word in _one else _one)

_DENIALS = (
    r"(?:\b(?:not|never|nicht|kein\w*|pas|no\s+es|non\s+è)\b|\b(?:is|are|was|were|does|do|did|ca|ha[sd]|wo)n['’]t\b)"
)
_END = r"(?:(?!\b(?:but|sondern|mais|sino|ma)\b)(?:[^,;:!?.\n]|[.,](?=\d)))*"
"""The rest of a clause, up to "but"."""
_COMPARED = re.compile(
    r"(?:\b(?:than|instead\s+of|rather\s+than|unlike|compared\s+(?:to|with)|statt|als|plutôt\s+que)\b"
    rf"|\b(?:mayor|menor|mejor|peor)\s+que\b|\b(?:plus|moins|más|menos|più|meno)\s+\w+\s+(?:que|di|de)\b){_END}",
    re.IGNORECASE,
)
_DENIED = re.compile(rf"{_DENIALS}{_END}", re.IGNORECASE)
_DENIES = re.compile(rf"[^,;:.\n]*?{_DENIALS}", re.IGNORECASE)
_ASKS_FOR_DENIED = re.compile(rf"{_DENIALS}|\bno\b|\bnon\b", re.IGNORECASE)
_LAST_SENTENCE = re.compile(r"(?:[^.?!]|[.?!](?!\s|$))*\W*$")
_SENTENCE = re.compile(r"\n+|(?<=[.!?])\s+")
_CLAUSE = re.compile(r"[;\n]|[.!?](?=\s|$)|,?\s+\b(?:but|while|whereas|sondern|mais|sino|ma)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"\([^()]*\)|:\s[^;\n]*?(?=[.;\n](?!\d)|$)"
    r"|\b(?:because|since|weil|denn|da|car|parce\s+que|porque|perché)\b.*?(?=[.;\n](?!\d)|$)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:or|either|maybe|perhaps|possibly|might|could\s+be|oder|vielleicht|ou|peut-être|quizás?|tal\s+vez|o|forse)\b", re.I
)
_ALSO = re.compile(r"\b(?:and|und|et|y|e)\b|[/&]", re.IGNORECASE)
_OPERAND = r"\(*+[-−]?[$€£]?(?:\d++(?:[.,]\d++)*+(?:\s?[%€]|[a-z](?![a-z]))?|[a-z](?![a-z]))\)*+"
_LEFT_SIDE = re.compile(
    rf"(?<![\w.,$€£(−-])(?:{_OPERAND}(?:(?:\s*+(?:[-+*/^×÷·−]|\\times|\\div)\s*+|(?<=\))(?=\()){_OPERAND})*+"
    r"|[a-z]\([a-z]\))\s*+=\s*+(?=\S)"
)
_MARKED = re.compile(
    r"(?:\b(?:answer|antwort|réponse|respuesta|risposta)\b(?:\s+(?:is|lautet|ist|est|es|è))?\s*:"
    r"|\bthe\s+(?:\w+\s+)?answer\s+is\b|\bdie\s+antwort\s+(?:ist|lautet)\b|\bla\s+réponse\s+est\b"
    r"|\bla\s+respuesta\s+es\b|\bla\s+risposta\s+è\b|^####)\s*(?P<said>\S.*)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_MARKS = re.compile(r"\*\*|__|`|\$(?!\d)|\\[()\[\]]|(?<!\w)[*_]|[*_](?!\w)")
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")
_TOKEN = re.compile(r"[^\s,;:!?()\"“”«»]+(?:,(?=\d)[^\s,;:!?()\"“”«»]+)*(?::\d\d)?")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,.  ]*\d(?:\s*/\s*\d+)?|(?<![\w.])-?\d(?:\s*/\s*\d+)?")
_MONTHS = r"(?:jan|feb|mar|apr|ma[iy]|jun|jul|aug|sep|oct|okt|nov|de[cz])\w*"
_DAY = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?)?{_MONTHS}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?\b)?", re.IGNORECASE
)
_YEAR = re.compile(r"[12]\d{3}")
_ARTICLE = re.compile(r"^(?:the|an?|der|die|das|ein|eine|le|la|les|un|une|el|los|las|una|il|lo|i|gli)\s+", re.I)
_STARTERS = frozenset(
    "the a an it its this that these those in on at by of for to from he she they we you i there here so"
    " therefore thus hence answer yes no my his her their our if since because as and but with after before"
    " der die das ein eine es er sie ich wir im am in also le la les l il elle un une c'est el los las una lo"
    " sí ja nein oui non both all each one total what which who how when where while is are let's first then"
    " given".split()
)
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
    r"|\b(?:weiß|kenne)\s+(?:ich\s+|es\s+)*(?:leider\s+)?nicht\b|\bunbekannt\b|\bkann\s+(?:ich|man)\b.*\bnicht\b"
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
_HEADING = re.compile(r"[^\n.!?]*:(?=\s|$)")
_LABEL = re.compile(r"(?<![\w'])(?:[B-Z]|A(?!\s+[a-z]))(?![\w'])")
_LETTERS = re.compile(r"\b(?:[^\W\d_][-\s.]){2,}[^\W\d_]\b")


def grade(question: Question, answer: str | None, outcome: str = "answered") -> Verdict:
    """Judge the short answer of a run that ended so; a run that failed is wrong."""
    if outcome in ("undecided", "abstained"):
        return _for_abstaining(question)
    if outcome != "answered" or answer is None:
        return Verdict.WRONG
    if question.kind != "unanswerable" and _JUDGES.get(question.kind, _short)(question, answer):
        return Verdict.RIGHT
    if question.kind == "unanswerable" and _denies_premise(question, answer):
        return Verdict.RIGHT
    return _for_abstaining(question) if abstains(question, answer) else Verdict.WRONG


def _for_abstaining(question: Question) -> Verdict:
    return Verdict.RIGHT if question.kind == "unanswerable" else Verdict.ABSTAINED


# -- what an answer states ------------------------------------------------------------------------


def stated(text: str) -> str:
    """What stands in the last box, in JSON or after the last marker, else all of the text; without Markdown."""
    if boxes := _BOX.findall(text):
        return _plain(boxes[-1])
    claim = extract_claim(text)
    if claim is not None and claim.how == "json":
        return _plain(claim.text)
    text = _plain(text)
    while marked := _MARKED.search(text):
        text = marked["said"].strip()
    return text


def _plain(text: str) -> str:
    return _MARKS.sub("", _BOX.sub(r"\1", text)).replace("’", "'").strip()


_form = lru_cache(50_000)(read_form)


def same(one: str, other: str) -> bool:
    """Whether two short answers mean the same to a vote, an article in front left out of account."""
    if _alike(one, other):
        return True
    bare = _ARTICLE.sub("", one), _ARTICLE.sub("", other)
    return bare != (one, other) and all(bare) and _alike(*bare)


@lru_cache(50_000)
def _alike(one: str, other: str) -> bool:
    """What :class:`~orchestrator.consensus.equivalence.Clusters` would say, of readings that are kept."""
    a, b = _form(one), _form(other)
    outcome = compare(a, b)
    return outcome is not None and outcome[1] and not (outcome[0] == "numeric" and contradicts(a, b))


def means(question: Question, text: str, accepted: Sequence[str]) -> bool:
    """Whether a text as a whole means the same as an accepted wording, within the tolerance of numbers."""
    bare = text.strip().rstrip(".")
    wordings = {text, bare}
    if language_of(question.question) is not ENGLISH:  # there, 3.600 is a number of four digits
        wordings.add(re.sub(r"(?<=\d)\.(?=\d{3}\b)", "", bare))
    if any(same(each, wording) for each in accepted for wording in wordings):
        return True
    if question.tolerance and (number := _NUMBER.search(text)) and (right := _NUMBER.search(accepted[0])):
        said, gold = _value(number[0]), _value(right[0])
        if said is not None and gold is not None and abs(said - gold) <= question.tolerance + 1e-9:
            return same(accepted[0], text.replace(number[0], right[0], 1))
    return False


def states(question: Question, sentence: str, accepted: Sequence[str]) -> bool:
    """Whether a sentence states an accepted answer and no other (rule 3 of the module)."""
    if len(sentence.split()) > SENTENCE:
        return False
    text = _LEFT_SIDE.sub(" ", sentence)
    if means(question, text, accepted):
        return True
    text = _turned(question, text.replace(">", " is larger than ").replace("<", " is smaller than "))
    kept = _affirmed(question, text, accepted)
    spans = list(_windows(question, kept, accepted))
    if not spans or _of_words_alone(question, kept) or any(_beside(kept, span) for span in spans):
        return False
    rest = _without(kept, spans)
    if _UNSURE.search(rest) or set(_words(text)) & _contrary(question):
        return False
    if question.others and any(_windows(question, rest, question.others)):
        return False
    rest = _ASIDE.sub(" ", rest)
    if any(_YEAR.fullmatch(each) for each in accepted):  # of "20 July 1969" the year may be the answer
        rest = _DAY.sub(" ", rest)
    return not _other_numbers(question, rest, accepted) and not _other_names(question, rest, accepted)


def _contrary(question: Question) -> set[str]:
    """Words for the opposite of what the question asks for."""
    asked = set(_words(question.question))
    return {word for each in asked & _CONTRARY.keys() for word in _CONTRARY[each]} - asked


def _turned(question: Question, text: str) -> str:
    """The end of "3/5 is smaller than 5/8" where the larger one is asked for."""
    words = "|".join(_contrary(question))
    found = re.match(rf"([^,;:.\n]|[.,](?=\d))*\b(?:{words})\b(?:\s+\w+)?\s+than\s+", text, re.I) if words else None
    return text[found.end() :] if found and not re.search(_DENIALS, found[0], re.I) else text


def _affirmed(question: Question, text: str, accepted: Sequence[str]) -> str:
    """What a text affirms: without what it compares with, and without what it denies.

    A denial takes the rest of its clause with it, or all of it if what it denies comes first. Where the
    question asks which is not so, denials stay.
    """
    text = _COMPARED.sub(" , ", text)
    if _ASKS_FOR_DENIED.search(_LAST_SENTENCE.search(question.question)[0]):
        return text
    kept = []
    for clause in _CLAUSE.split(text):
        affirmed = _DENIED.sub(" , ", clause)
        spans = list(_windows(question, affirmed, accepted))
        if affirmed == clause or (spans and not any(_DENIES.match(clause, end) for _, end in spans)):
            kept.append(affirmed)
    return " ; ".join(kept)


def _of_words_alone(question: Question, text: str) -> bool:
    """Whether a text is just several words between commas, which is no sentence."""
    known = {*YES_NO_WORDS, *_STARTERS, *_words(question.question)}
    pieces = [piece for each in re.split(r",\s+|[;\n]", text) if (piece := _words(each))]
    pieces = [piece for piece in pieces if not known.issuperset(piece)]
    return len(pieces) > 1 and all(len(piece) <= 2 for piece in pieces)


def _windows(question: Question, text: str, accepted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where some words of a text mean the same as an accepted wording: the longest first, none in another.

    Words that go on with another unit ("80" of "80 m/s") are not taken.
    """
    tokens = list(_TOKEN.finditer(text))
    widest = max(len(each.split()) for each in accepted) + 3
    taken: list[tuple[int, int]] = []
    for width in range(min(widest, len(tokens)), 0, -1):
        for first in range(len(tokens) - width + 1):
            begin, end = tokens[first].start(), tokens[first + width - 1].end()
            words = text[begin:end].rstrip(".'")
            if any(begin < b and a < end for a, b in taken) or not words:
                continue
            if means(question, words, accepted) and not _goes_on(tokens, first, width, text, accepted):
                taken.append((begin, begin + len(words)))
                yield begin, begin + len(words)


def _goes_on(
    tokens: Sequence[re.Match[str]], first: int, width: int, text: str, accepted: Sequence[str]
) -> bool:
    """Whether a number is that of a quantity with a unit that contradicts the answer's."""
    gold = _form(accepted[0])
    begin = tokens[first].start()
    if gold.quantity is None:
        return False
    for last in tokens[first + width : first + width + 3]:
        longer = text[begin : last.end()].rstrip(".'")
        if "," in longer or ";" in longer:
            break
        form = _form(longer)
        if form.quantity is not None and form.quantity.unit and contradicts(form, gold):
            return True
    return False


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for begin, end in sorted(spans, reverse=True):
        text = f"{text[:begin]} , {text[end:]}"
    return text


def _beside(text: str, span: tuple[int, int]) -> bool:
    """Whether "and" or a slash joins the answer to something else."""
    begin, end = span
    before = re.search(r"(\S+)\s*$", text[:begin])
    after = re.match(r"\s*(\S+)", text[end:])
    return any(each is not None and _ALSO.fullmatch(each[1]) is not None for each in (before, after))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.casefold())


def _value(number: str) -> float | None:
    """The value of a number as people write it; None if it is none."""
    text = re.sub(r"[\s  ]", "", number)
    if "/" in text:
        above, _, below = text.partition("/")
        return float(above) / float(below) if below.strip("0") and above.strip("-").isdigit() else None
    if re.fullmatch(r"-?\d{1,3}(?:[,.]\d{3})+", text):
        text = re.sub(r"[,.]", "", text)
    text = re.sub(r",(?=\d{3}\b)", "", text).replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


_COUNTING = {word: value for code in ("en", "de", "fr", "es", "it") for word, value in number_words(code).items()}


def _numbers(text: str) -> set[float]:
    """The values in a text, in figures and in words; "one" and its like are no number here."""
    figures = (_value(each) for found in _NUMBER.findall(text) for each in _apart(found))
    words = (float(_COUNTING[word]) for word in _words(text) if _COUNTING.get(word, 1) != 1)
    return {value for value in (*figures, *words) if value is not None}


def _apart(found: str) -> list[str]:
    """A row of digits as one number, or as several if it is not how one is written."""
    whole = _value(found)
    return [found] if whole is not None else re.findall(r"\d+", found)


def _other_numbers(question: Question, rest: str, accepted: Sequence[str]) -> set[float]:
    """Numbers that neither the question nor an accepted answer has."""
    given = _numbers(f"{question.question} {question.context} {' '.join(question.choices)}")
    mine = set().union(*map(_numbers, accepted)) if accepted else set()
    return _numbers(rest) - given - mine


def _other_names(question: Question, rest: str, accepted: Sequence[str]) -> set[str]:
    """Words with a capital letter that neither the question nor an accepted answer has."""
    known = {*_words(" ".join([question.question, question.context, *accepted])), *_STARTERS}
    return {word.casefold() for word in re.findall(r"\b[^\W\d_a-z][^\W\d_]+\b", rest) if word[0].isupper()} - known


# -- the judges -----------------------------------------------------------------------------------


def _short(question: Question, answer: str) -> bool:
    text = stated(answer)
    if question.kind == "words":  # e-g-n-a-r-o
        text = _LETTERS.sub(lambda spelled: re.sub(r"[-\s.]", "", spelled[0]), text)
    if means(question, text, question.answer) or states(question, text, question.answer):
        return True
    last = _SENTENCE.split(text.strip())[-1]
    if last != text and _NUMBER.search(question.answer[0]) and states(question, last, question.answer):
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
    text = _DENIED.sub(" , ", text)
    labels = {question.labels.index(label) for label in _LABEL.findall(text) if label in question.labels}
    named = _named(question, text)
    return bool(labels | named) and labels <= {right} and named <= {right} and not _UNSURE.search(text)


def _named(question: Question, text: str) -> set[int]:
    """The choices whose text a sentence has: the longest first, so that "red" is not in "dark red"."""
    found: set[int] = set()
    text = text.casefold()
    for at, choice in sorted(enumerate(question.choices), key=lambda each: -len(each[1])):
        pattern = rf"(?<![\w/.]){re.escape(_plain(choice).casefold().rstrip('.'))}(?![\w/]|\.\d)"
        if re.search(pattern, text):
            found.add(at)
            text = re.sub(pattern, " , ", text)
    return found


def _parts(question: Question, answer: str) -> bool:
    return any(_has_parts(question, text) for text in {stated(answer), _plain(answer)})


def _has_parts(question: Question, text: str) -> bool:
    text = _LEFT_SIDE.sub(" ", _BULLET.sub(" ", text))
    if len(text.split()) > SENTENCE:
        return False
    position = 0
    spans = []
    for accepted in question.parts:
        found = min(_windows(question, text[position:], accepted), default=None)
        if found is None:
            return False
        spans.append((position + found[0], position + found[1]))
        position += found[1]
    rest = _without(text, spans)
    return not _other_numbers(question, rest, [each for part in question.parts for each in part])


def _list(question: Question, answer: str) -> bool:
    return any(_lists(question, text) for text in {stated(answer), _plain(answer)})


def _lists(question: Question, text: str) -> bool:
    position: dict[int, int] = {}
    text = _HEADING.sub(" , ", _BULLET.sub(" , ", text))
    for place, each in enumerate(_PIECES.split(_DENIED.sub(" , ", text))):
        piece = each.strip(" .!?\"'[](){}")
        items = [at for at, accepted in enumerate(question.items) if _has(piece, accepted)]
        for at in items:
            position.setdefault(at, place)
        further = not items and 0 < len(piece.split()) <= PIECE and not _STARTERS.issuperset(_words(piece))
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


_JUDGES = {"yes_no": _yes_no, "choice": _choice, "parts": _parts, "list": _list, "code": _code}


def abstains(question: Question, answer: str) -> bool:
    """Whether an answer says that it cannot be known, and gives neither a number of its own nor a guess."""
    text = stated(answer)
    if _NOTHING.fullmatch(text):
        return True
    if not _UNKNOWN.search(text) or _GUESS.search(text):
        return False
    return not _other_numbers(question, text, ())


def _denies_premise(question: Question, answer: str) -> bool:
    said = f" {' '.join(_words(stated(answer)))} "
    return any(f" {' '.join(_words(each))} " in said for each in question.denials)
