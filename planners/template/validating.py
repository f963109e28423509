"""What a model has found in a prompt, held against the prompt: a task for each of its items, or a refusal.

The rules and their tiers are those of ParallelPrompt (arXiv 2506.18728): what is hard must hold, and words
of the prompt then show with how much certainty its items can be handled side by side. Further hard rules
here: an item is the user's own text, none is left out, and none needs another one.
"""

# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from orchestrator.runtime.values import Question
from planners.dependence import alone_words, dependent_words, refers_to_another
from planners.listing import LONG
from planners.template.extracting import Extraction
from planners.template.locating import enumerated, list_in, passage_in, whole_list, without
from planners.template.parting import Misplaced, Span

Tier = Literal["high", "medium", "low"]
TIERS: Final[tuple[Tier, ...]] = ("high", "medium", "low")

PLACE: Final = "{data}"
"""Where the item stands in a template."""

_PLACES = re.compile(r"\{\w*\}")
_ITEM: Final = "the item below"
_ANSWER: Final = "Answer the question below."
"""The task where a prompt has questions and no word beside them."""

_CERTAIN: Final = frozenset({"reading comprehension", "named entities", "translation"})
_COUNTS: Final = {
    word: value
    for words in (
        "two three four five six seven eight nine ten eleven twelve",
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "deux trois quatre cinq six sept huit neuf dix onze douze",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    )
    for value, word in enumerate(words.split(), start=2)
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "a dozen": 12, "a couple": 2}
_NUMBER: Final = rf"(?<![\w.,$€£-])(?:\d{{1,4}}(?![\d.,:/%-]*\d)|(?:{'|'.join(_COUNTS)})\b)"
_COUNT = re.compile(_NUMBER, re.IGNORECASE)
_COUNTED = re.compile(
    r"\b(?:these|those|the|following|all|each of the|diese|folgenden?|ces|les|estos|las?|los) (?:following )?"
    rf"(?P<these>{_NUMBER})(?= [^\W\d_])|(?P<below>{_NUMBER})(?= (?:\w+ ){{0,2}}?(?:below|following)\b)",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"[- ]?(?:words?|sentences?|paragraphs?|lines?|pages?|characters?|letters?|seconds?|minutes?|hours?|days?"
    r"|weeks?|months?|years?|bullets?|people|persons?|percent|dollars?|euros?|wörter|sätze|mots|palabras)\b",
    re.IGNORECASE,
)
"""What a number of says how long something is, not how many of it are wanted."""
_NO_NUMBER_OF = re.compile(
    r"\b(?:in|of|with|within|under|over|than|for|to|by|after|before|at|most|from|every|aged?|level|chapter|page"
    r"|year|grade|class|part|number|no|version|step|day|top|last|first|next|the|these)[. ]+\Z",
    re.IGNORECASE,
)
"""What stands before a number that does not say how many samples are wanted."""
_EACH = re.compile(
    r"\b(?:for each|each|every|all|both|following|list|several|multiple|various|these|those|individually"
    r"|separately|one by one|jede[rsnm]?|folgende[nr]?|alle|chaque|suivante?s?|cada|siguientes?|ogni|seguenti"
    r"|каждо\w+)\b",
    re.IGNORECASE,
)
_PLURAL = re.compile(
    r"\b(?:questions|sentences|words|phrases|texts|reviews|tweets|items|paragraphs|lines|names|statements|terms"
    r"|topics|titles|products|comments|messages|headlines|passages|sätze|wörter|fragen|texte|phrases|mots"
    r"|frases|palabras|preguntas|frasi|parole)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_COMMON: Final = frozenset(
    _WORD.findall(
        """a an the this that these those each every all both following below above given list is are be it
    its them their please item items one you can could would i me my we our us do does question questions
    answer answers sentence sentences word words text texts phrase phrases der die das den dem ein eine
    bitte le la les un une des el los las una"""
    )
)
"""Words that every task may have."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is done: ``question`` is put for each of ``items``, or for each of ``n`` samples of one thing.

    The text of the question has the context first; ``tier`` is how certain it is that the pieces can be done
    side by side, ``sign`` what shows it; ``own_words`` says that the task is told in the user's own words,
    since those of the model's template say something else.
    """

    question: Question
    items: tuple[str, ...]
    n: int
    tier: Tier
    sign: str
    own_words: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no task; ``mendable`` says that the model may have read the prompt wrongly."""

    reason: str
    mendable: bool = True


def checked(found: Extraction, question: Question, most: int) -> Task | Fault:
    """What was found in a question as a task of at most ``most`` pieces, or why it is none."""
    if bool(found.data) == (found.n is not None):
        return Fault("exactly one of data and n may be given")
    if found.n is not None:
        return _samples(found, found.n, question, most)
    if len(found.data) < 2:
        return Fault("data must have two items at least")
    if len(found.data) > most:
        return Fault(f"it lists {len(found.data)} items, more than {most}", mendable=False)
    try:
        return _list(found, question)
    except Misplaced as error:
        return Fault(str(error))


def _samples(found: Extraction, n: int, question: Question, most: int) -> Task | Fault:
    """Several samples: their number must be the first that the question says."""
    if n < 2:
        return Fault("n must be two at least")
    if _samples_asked(question.text) != n:
        return Fault(f"n is not the number that the question asks for: {n}")
    if n > most:
        return Fault(f"it asks for {n} samples, more than {most}", mendable=False)
    if words := dependent_words(question.text, samples=True):
        return Fault(f"its samples depend on each other: {words!r}", mendable=False)
    template = " ".join(_PLACES.sub(" ", found.template).split())
    own = question.text.strip()
    fits = PLACE not in found.template and n not in map(_value, _COUNT.findall(template))
    kept = fits and _rewords(template, own, n)
    return Task(
        replace(question, text=template if kept else own),
        (),
        n,
        "high",
        f"it asks for {n}",
        own_words=not kept,
    )


def _list(found: Extraction, question: Question) -> Task | Fault:
    """A list of items, which stand in the text of the question or in its material.

    Raises:
        Misplaced: they do not, or are not all that is listed there.
    """
    try:
        text, in_material = question.text, False
        spans, beside = _located(found, text)
    except Misplaced:
        if not question.context:
            raise
        text, in_material = question.context, True
        spans, beside = _located(found, text)
    items = tuple(span.of(text) for span in spans)
    rest = _without_list(text, spans, beside)
    task = question.text if in_material else re.sub(r"(?<![^\s:])[.,;]+(?=\s|\Z)", "", rest)
    told = f"{task}\n{rest}" if in_material else task
    if words := dependent_words(told):
        return Fault(f"its items depend on each other: {words!r}", mendable=False)
    if words := refers_to_another(items):
        return Fault(f"an item refers to another one: {words!r}", mendable=False)
    short = "\n".join(line for line in task.split("\n") if len(line) <= LONG)
    numbers = {_value(match["these"] or match["below"]) for match in _COUNTED.finditer(short)}
    if numbers and len(items) not in numbers:
        return Fault(f"the question speaks of {min(numbers)}, and {len(items)} were found")
    template, own = _filled(found.template), _tidied(task) or _ANSWER
    kept = PLACE in found.template and _rewords(template, own, len(items))
    context = beside.of(text) if beside else ""
    if in_material:
        asked = replace(question, text=template if kept else own, context=_tidied(f"{context}\n\n{rest}"))
    else:
        asked = replace(question, text=_tidied(f"{context}\n\n{template if kept else own}"))
    tier, sign = _tier(found, text, spans, task, counted=len(items) in numbers)
    return Task(asked, items, len(items), tier, sign, own_words=not kept)


def _without_list(text: str, spans: Sequence[Span], beside: Span | None) -> str:
    """What is left of a text without its list, for which a word stands inside a sentence, and its context."""
    listed = whole_list(text, spans)
    goes_on = re.match(r"[ \t]*[^\W_]", text[listed.end :])
    rest = f"{text[: listed.start]}{_ITEM if goes_on else ''}{text[listed.end :]}"
    if beside is None:
        return rest
    moved = len(rest) - len(text) if beside.start >= listed.end else 0
    return without(rest, Span(beside.start + moved, beside.end + moved))


def _located(found: Extraction, text: str) -> tuple[list[Span], Span | None]:
    """Where the items stand, and where the context does; one that holds the list counts as none."""
    beside = None
    if found.context:
        try:
            beside = passage_in(text, found.context)
        except Misplaced:
            beside = None
    spans = list_in(text, found.data)
    if beside is not None and (beside.meets(whole_list(text, spans)) or not _is_whole(text, beside)):
        beside = None
    return spans, beside


def _is_whole(text: str, passage: Span) -> bool:
    """Whether a passage begins and ends as lines or sentences do, so that what is left is still a task."""
    before, after = text[: passage.start].rstrip(" \t"), text[passage.end :].lstrip(" \t")
    begins = not before or before[-1] in "\n.:!?。：！？"
    return begins and (not after or after[0] == "\n" or passage.of(text)[-1] in ".!?。！？")


def _tier(found: Extraction, text: str, spans: list[Span], task: str, *, counted: bool) -> tuple[Tier, str]:
    """How certain it is that the items can be handled side by side, and what shows it."""
    kind = enumerated(text, spans)
    asks = all(span.of(text).endswith(("?", "？")) for span in spans)
    if not asks and not alone_words(task):
        return "low", "nothing shows that each is done alone"
    if counted:
        return "high", "it says how many there are"
    if kind == "marked":
        return "high", "they are numbered or have bullets"
    if asks:
        return "high", "they are several questions"
    if each := _EACH.search(task):
        return "high", f"it speaks of several: {each.group()!r}"
    if kind not in ("lines", "sentences", "joined") and len(spans) >= 3:
        return "medium", "they are listed with commas"
    if plural := _PLURAL.search(task):
        return "medium", f"it speaks of several: {plural.group()!r}"
    if found.category in _CERTAIN:
        return "medium", f"it is a task of {found.category}"
    if len(spans) >= 3:
        return "medium", f"there are {len(spans)} of them"
    return "low", "nothing shows that its items are to be handled alone"


def _filled(template: str) -> str:
    """A template without its place for the context, and with a word for the item, which comes last of all."""
    text = template.replace("{context}", " ").strip().strip("*")
    text = re.sub(rf"[\s\"'“”:*]*{re.escape(PLACE)}[\s\"'“”.*]*\Z", "", text)
    return _tidied(text.replace(PLACE, _ITEM))


def _rewords(template: str, own: str, n: int) -> bool:
    """Whether a template says what the user's own words say, in their order: no word less, and none more."""
    return bool(template) and _stems(template, n) == _stems(own, n)


def _stems(text: str, n: int) -> list[str]:
    """The words of a task by their stems, without those that every task has, and without its number."""
    words = (word.casefold() for word in _WORD.findall(text.replace(_ITEM, " ")))
    return [
        re.sub(r"(?<=\w{3})(?:ies|es|s|y|e|n|en)\Z", "", word)
        for word in words
        if word not in _COMMON and word != str(n) and _COUNTS.get(word) != n
    ]


def _samples_asked(text: str) -> int | None:
    """The first number of a text, if it says how many samples are wanted, and not how long one is."""
    found = _COUNT.search(text)
    if found is None or _LENGTH.match(text[found.end() :]) or _NO_NUMBER_OF.search(text[: found.start()]):
        return None
    return _value(found.group())


def _value(said: str) -> int:
    return _COUNTS.get(said.casefold()) or int(said)


def _tidied(text: str) -> str:
    """A text without the blank lines that were left where something was taken out."""
    return re.sub(r"\n[ \t]*(?:\n[ \t]*){2,}", "\n\n", text).strip()
