"""Whether one reading of results can be relied on, by signs that cost nothing, and what it says in short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.consensus.quantities import parse_quantity, same_quantity
from orchestrator.consensus.wording import in_one_spelling
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from planners.comparisons import asks_how_far_apart, asks_to_compare, comparison_in
from planners.findings import computed_answer, lines_of
from planners.stated import values_in
from planners.wording import AMOUNTS

WORDS = 12
"""Words of an answer beyond which it is prose, which no vote can count."""

ANOTHER = "the last step has computed something else"

_STEP = re.compile(r"^\d+\. \w+\(", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FOR_A_NAME = re.compile(r"\b(?:which|who|whose|where)\b", re.IGNORECASE)
_FOR_A_NUMBER = re.compile(rf"\b(?:{AMOUNTS})\b", re.IGNORECASE)
_ASKING = "(?:what|when|which|who|whose|where|why|how)"
_SEVERAL = re.compile(rf"\b{_ASKING}\b.*(?:\band|\?) (?:\w+ ){{0,2}}{_ASKING}\b", re.IGNORECASE | re.DOTALL)
_YES_NO = frozenset({"yes", "no", "true", "false"})


def doubts(question: Question, answer: Answer, results: str, lacking: Sequence[int]) -> list[str]:
    """Why a first reading of ``results`` may be wrong, in words; nothing if there is no sign of it.

    The signs are: steps lack a result or are uncertain, the answer is not in the results, it is no number
    where one is asked for, the question compares and no step has, or the last step has computed something
    else. An answer in prose cannot be counted in a vote, so it is doubted only if it does not say the one
    thing that was computed.
    """
    if answer.claim is None:
        return []
    if len(answer.claim.split()) > WORDS:
        short = _one_computed(question, results)
        return [ANOTHER] if short and not _says(answer.claim, short, question, results) else []
    found = [f"steps without a certain result: {', '.join(map(str, lacking))}"] if lacking else []
    said = _as_choice(answer.claim, question)
    if _for_a_number(question) and not _FOR_A_NAME.search(question.text) and not values_in(said):
        return [*found, "the question asks for a number"]
    lines = lines_of(results)
    computed = [line.result for line in lines if line.from_several]
    plain = [result for result in computed if comparison_in(result) is None]
    if agrees(said, question, results) or any(_occurs(said, result) for result in plain):
        return found
    if lines and lines[-1].computing:
        return [*found, ANOTHER]
    if not computed and len(_STEP.findall(results)) > 1 and asks_to_compare(question.text):
        found.append("the question compares, and no step has compared")
    elif said.casefold() in _YES_NO or not _occurs(said, results):
        found.append("the answer is not in the results")
    return found


def in_short(answer: Answer, question: Question, results: str) -> Answer:
    """The answer with the name or number that the last of ``results`` has computed as its claim, if its claim
    says just that in a sentence. A question for a name and a number keeps the sentence. A number that answers
    a question for a name is the name whose number it is."""
    if answer.claim is None or question.choices:
        return answer
    if name := _named_by_value(answer.claim, question, results):
        return replace(answer, text=f"{name} ({answer.claim})", claim=name)
    short = _one_computed(question, results)
    if not short or not _says(answer.claim, short, question, results):
        return answer
    more = len(answer.claim.split()) - len(short.split())
    return replace(answer, claim=short) if more > 2 * _for_a_number(question) else answer


def _named_by_value(claim: str, question: Question, results: str) -> str:
    """The name in the one step that has found the number which a claim is, if a name is asked for."""
    value = parse_quantity(claim)
    if value is None or _for_a_number(question) or not _FOR_A_NAME.search(question.text):
        return ""
    names = [
        names[0]
        for line in lines_of(results)
        if not line.computing and len(names := _QUOTED.findall(line.arguments)) == 1
        if (found := parse_quantity(line.result)) is not None and same_quantity(found, value)
        if _place(names[0], question.text) is not None
    ]
    return names[0] if len(names) == 1 else ""


def computed_in_short(question: Question, results: str) -> Answer | None:
    """The one name or number that is asked for, where the last of ``results`` has computed it."""
    short = "" if question.choices else _one_computed(question, results)
    return Answer(short, short) if short else None


def _one_computed(question: Question, results: str) -> str:
    """The name or number that the last step has computed; empty if that, or what is asked for, is not one."""
    lines, number = lines_of(results), _for_a_number(question)
    neither_or_both = bool(_FOR_A_NAME.search(question.text)) is number
    if not lines or neither_or_both or _SEVERAL.search(question.text):
        return ""
    if lines[-1].tool == "compare":
        found = comparison_in(lines[-1].result)
        if found is None:
            return ""
        if number:
            return found.apart if asks_how_far_apart(question.text) else ""
        return (found.asked(question.text) or ("",))[0]
    answer = computed_answer(question, results)
    short = (answer.claim or "") if answer is not None else ""
    return short if (parse_quantity(short) is not None) is number else ""


def _for_a_number(question: Question) -> bool:
    return _FOR_A_NUMBER.search(question.text) is not None


def _says(claim: str, short: str, question: Question, results: str) -> bool:
    """Whether a sentence says the number, and none that no result has; or the name, before any other."""
    lines = lines_of(results)
    if _for_a_number(question):
        known = _numbers(" ".join(line.result for line in lines))
        return _numbers(short) <= _numbers(claim) <= known
    place = _place(short, claim)
    others = [_place(name, claim) for name in _QUOTED.findall(lines[-1].arguments) if name != short]
    return place is not None and all(other is None or place < other for other in others)


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def agrees(claim: str, question: Question, results: str) -> bool:
    """Whether a claim says, in words of its own, what a comparison in the last of ``results`` came to.

    It does if it has no numbers but those of the comparison, and first names, of the two that were compared,
    the one that the question asks for; or has such a number alone.
    """
    lines = lines_of(results)
    compared = comparison_in(lines[-1].result) if lines and lines[-1].tool == "compare" else None
    if compared is None or not set(_NUMBER.findall(claim)) <= set(_NUMBER.findall(lines[-1].result)):
        return False
    if _place(compared.more, claim) is None and _place(compared.less, claim) is None:
        return _NUMBER.search(claim) is not None
    wanted, other = (_place(name, claim) for name in compared.asked(question.text) or ("", ""))
    return wanted is not None and (other is None or wanted < other)


def _place(name: str, claim: str) -> int | None:
    found = re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", claim.casefold())
    return found.start() if found else None


def _as_choice(claim: str, question: Question) -> str:
    """What a label stands for, which is what results may say."""
    return dict(zip(labels(question.choices), question.choices, strict=True)).get(claim, claim)


def _occurs(claim: str, results: str) -> bool:
    """Whether the results say the claim in its own words, or have its number."""
    if re.search(rf"(?<!\w){re.escape(_spelt(claim))}(?!\w)", _spelt(results)):
        return True
    number = parse_quantity(claim)
    if number is None:
        return False
    lines = [line.result for line in lines_of(results)] or [results]
    return any(
        value.quantity is not None and same_quantity(value.quantity, number)
        for line in lines
        for value in values_in(line)
    )


def _spelt(text: str) -> str:
    return in_one_spelling(" ".join(text.casefold().split()))
