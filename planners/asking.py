"""The step ``ask``: a question to the model over the results of other steps, put once or to a vote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim, extract_claim
from orchestrator.errors import PlannerError
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, assistant, text_of, user
from orchestrator.runtime.nodes import Node, NodeKind, Succeeded
from orchestrator.runtime.values import Answer, Cluster, Question
from orchestrator.voting.abstaining import no_answer
from planners.binding import LONGEST_BOUND, Binding
from planners.extracting import for_answer, paragraphs, shown_of
from planners.offers import Offer, offered
from planners.questions import LARGE, SAMPLED, answer_of, conversation, guarded, material_of, slot
from planners.references import NoFields, Numbering, Reference, at
from planners.wanted import closest, misread
from workers.tools.declaration import tool

ASK = "ask"
MOST: Final = 16
"""Branches that a plan may ask for."""

UNSURE: Final = 0.69
"""The entropy, in nats, from which a vote is uncertain: two answers with half of the branches each (ln 2)."""

STATES: Final = 300
"""Characters of an answer that should state something; a longer one may be what was asked for as a whole."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

HOW = (
    "Answer the question from what is given above; where it does not say, from what you know. First quote "
    "the sentence that says it, or reason in one or two short ones. Then write the answer alone in the last "
    'line, after "Answer:".'
)
CLOSEST = "Of what is given above, this seems closest to the question below:\n"
READ_AGAIN = "Of what is given above, {reason}. Read again: {question}"


@tool(name=ASK)
def _declared(question: str, context: list[str] = [], n: int = 1) -> str:  # noqa: B006 (only its schema is used)
    """asks a language model one simple question, with the results that it needs, if any."""
    raise PlannerError("a question is put by the planner, not called as a tool")


@dataclass(frozen=True, slots=True)
class Asked:
    """How questions of a plan are put: ``n`` branches unless the plan says how many."""

    n: int
    temperature: float
    max_tokens: int


def asking(how: Asked) -> Offer:
    """The offer of questions to the model."""

    def begin(binding: Binding) -> Node[Any]:
        arguments = dict(binding.step.arguments)
        text = question_in(arguments)
        arguments = {name: value for name, value in arguments.items() if value != text}
        n = arguments.pop("n", None)
        context: list[Any] = list(arguments.values())
        if isinstance(n, str) and n.strip().isdecimal():
            n = int(n[:4])
        if isinstance(n, str | list):  # a result in the place of the number
            context.append(n)
        branches = n if isinstance(n, int) else how.n
        inquiry = Inquiry(
            binding.question, text, binding.numbering, replace(how, n=min(max(1, branches), MOST))
        )
        sources = binding.sources([text, context])
        calls = {number: binding.calls[number] for number in sources}
        return binding.run.scope(NodeKind.SPAWN, binding.label, ask, inquiry, context, calls, sources)

    return offered(_declared, begin, gives_answer=True, signature="(question, context=[$1, $2])")


def question_in(arguments: Mapping[str, Any]) -> str:
    """The question among the arguments of a step: the one of that name, or the first text; empty if none."""
    texts = [value for value in arguments.values() if isinstance(value, str) and value.strip()]
    named = arguments.get("question")
    return named if isinstance(named, str) and named.strip() else next(iter(texts), "")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question of a plan, about a part of the whole ``question``; ``text`` may have references in it."""

    question: Question
    text: str
    numbering: Numbering
    how: Asked


async def ask(
    run: Run, inquiry: Inquiry, context: Any, calls: Mapping[int, str], values: Mapping[int, Any]
) -> Answer:
    """Put a question over its context; the text of the answer is its claim, if it states one.

    ``calls`` and ``values`` are the steps that it refers to, as text and with their results.

    Raises:
        NodeFailed: no call gave a completion.
        AnswerRefused: the model, or a filter, refused to answer.
        Unbound: a result does not have the field that is asked of it.
    """
    told = _Told(run, inquiry, calls, values)
    for text in _texts(context):
        await told.tell(text)
    question = await told.filled(inquiry.text)
    asked = prompt(inquiry.question, question, told.results)
    answer = await _answered(run, asked, question, inquiry.how)
    read = "\n\n".join([inquiry.question.context, *told.results.values()])
    if inquiry.how.n == 1 and (why := misread(answer.claim or "", question, read)):
        run.decide(ASK, "read again", {"reason": why})
        again = user(READ_AGAIN.format(reason=why, question=guarded(question)))
        answer = await _answered(run, [*asked, assistant(answer.text), again], question, inquiry.how)
        why = misread(answer.claim or "", question, read)
        answer = replace(answer, undecided=why or answer.undecided)
    return replace(answer, text=answer.claim or answer.text)


class _Told:
    """What a question is told: the results that it refers to, by the step that each comes from."""

    def __init__(
        self, run: Run, inquiry: Inquiry, calls: Mapping[int, str], values: Mapping[int, Any]
    ) -> None:
        self.results: dict[str, str] = {}
        self._run = run
        self._inquiry = inquiry
        self._calls = calls
        self._values = values

    async def tell(self, text: str) -> None:
        """Tell an item of the context: the results that it refers to, or what it says itself."""
        found = self._inquiry.numbering.found(text)
        for reference in found:
            await self._show(reference)
        if not found and text.strip():
            self.results[text] = ""

    async def filled(self, text: str) -> str:
        """A text with short results in place of references; a long one is told apart."""
        pieces: dict[Reference, str] = {}
        for reference in dict.fromkeys(self._inquiry.numbering.found(text)):
            name, value = self._found(reference)
            if len(value) > LONGEST_BOUND:
                await self._show(reference)
            pieces[reference] = value if len(value) <= LONGEST_BOUND else f"the result of {name}"
        return self._inquiry.numbering.filled(text, pieces.get)

    async def _show(self, reference: Reference) -> None:
        name, value = self._found(reference)
        if name in self.results:
            return
        if len(value) > shown_of(self._run):
            part = replace(self._inquiry.question, text=self._inquiry.text, choices=())
            value = await for_answer(self._run, part, value, name)
        self.results[name] = value

    def _found(self, reference: Reference) -> tuple[str, str]:
        """Where a result comes from, and the text of it. A field of prose is the prose."""
        name, value = self._calls[reference.id], self._values[reference.id]
        path = " ".join(map(str, reference.path))
        try:
            return (f"{path} of {name}" if path else name), text_of(at(value, reference))
        except NoFields:
            return name, text_of(value)


def _texts(item: Any) -> Iterator[str]:
    """The texts in a context, whatever it was given as."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, list | Mapping):
        for each in item.values() if isinstance(item, Mapping) else item:
            yield from _texts(each)
    elif item is not None:
        yield text_of(item)


def prompt(question: Question, text: str, results: Mapping[str, str]) -> list[Message]:
    """The prompt of a question about a part of the whole: what all of them share, then what it is told.

    Small models take a number from the wrong place of a long text, so the closest passage is shown again.
    """
    told = [slot("result", f"{name} = {value}" if value else name) for name, value in results.items()]
    if passage := closest(text, paragraphs(question.context)):
        told += [CLOSEST, slot("passage", passage)]
    return [*conversation(question), user(*material_of(question), *told, slot("question", text), HOW)]


async def _answered(run: Run, asked: list[Message], text: str, how: Asked) -> Answer:
    if how.n > 1:
        return await _voted(run, asked, text, how)
    completion = await run.generate(
        asked, label="ask", temperature=how.temperature, max_tokens=how.max_tokens
    )
    answer = answer_of(completion, Question(text))
    return replace(answer, undecided=no_answer(completion, how.max_tokens) or _doubt(answer))


def _doubt(answer: Answer) -> str | None:
    """Why what a model says may not be its answer; None if it concludes."""
    if answer.claim is None:
        return "it states no answer" if len(answer.text) <= STATES else None
    return None if _concluded(answer) else "it has several numbers, and says of none that it is the answer"


def _concluded(answer: Answer) -> bool:
    """Whether a claim is more than the last of several numbers in a text that concludes nothing."""
    if len(set(_NUMBER.findall(answer.text))) < 2 or not _NUMBER.search(answer.claim or ""):
        return True
    claim = extract_claim(answer.text)
    return claim is None or claim.how != "number"


async def _voted(run: Run, asked: list[Message], text: str, how: Asked) -> Answer:
    """A vote; where it stays uncertain, as many branches again, then the large model."""

    def vote(width: int, *, rule: str | None = None, role: str = "branch") -> Node[Answer]:
        return run.vote(
            asked,
            rule=rule,
            width=width,
            question=text,
            role=role,
            temperature=max(how.temperature, SAMPLED),
            max_tokens=how.max_tokens,
        )

    answer = await vote(how.n)
    if why := uncertain(answer):
        run.decide(ASK, "more branches", _seen(answer, why))
        answer = pooled(answer, await vote(how.n))
    if (why := uncertain(answer)) and LARGE in run.capabilities.roles:
        run.decide(ASK, "escalate", _seen(answer, why))
        outcome = await vote(1, rule="fixed", role=LARGE).settled()
        if isinstance(outcome, Succeeded) and not outcome.value.undecided:
            return outcome.value
    if why := uncertain(answer):
        run.decide(ASK, "uncertain", _seen(answer, why))
    return answer


def uncertain(answer: Answer) -> str:
    """Why an answer is not to be relied on, as in ``3 of 8 agree``; empty if it is."""
    if answer.undecided:
        return answer.undecided
    counts = [cluster.count for cluster in answer.clusters]
    if answer.entropy is None or answer.entropy < UNSURE:
        return ""
    return f"{max(counts)} of {sum(counts)} agree"


def _seen(answer: Answer, why: str) -> dict[str, Any]:
    entropy = None if answer.entropy is None else round(answer.entropy, 6)
    return {"reason": why, "entropy": entropy, "counts": [cluster.count for cluster in answer.clusters]}


def pooled(first: Answer, second: Answer) -> Answer:
    """Two votes on one question as one; the larger cluster of both wins, the first of equal ones."""
    clusters, counts = Clusters(), dict[int, int]()
    for cluster in (*first.clusters, *second.clusters):
        index = clusters.add(None, Claim(cluster.claim, "whole"))
        counts[index] = counts.get(index, 0) + cluster.count
    if not counts:
        return first if first.claim else second
    best = max(counts, key=lambda index: (counts[index], -index))
    claim = clusters.members[best].text
    texts = {
        clusters.add(None, Claim(each.claim, "whole")): each.text for each in (second, first) if each.claim
    }
    members = [Cluster(clusters.members[index].text, count) for index, count in counts.items()]
    return Answer(
        texts.get(best, claim),
        claim,
        confidence=counts[best] / sum(counts.values()),
        entropy=discrete(list(counts.values())).nats,
        clusters=tuple(sorted(members, key=lambda member: -member.count)),
        undecided=first.undecided and second.undecided,
    )
