"""The joiner of LLMCompiler (arXiv 2312.04511): it reads the results, and answers or asks for more.

A reading that nothing speaks against is one call. Otherwise further readings are sampled, and vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, Part, assistant, text_of, user
from orchestrator.runtime.nodes import Failed, Node, Succeeded
from orchestrator.runtime.values import Answer, Cluster, Dissent, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.standing import agreement
from planners.doubting import agrees, computed_in_short, doubts, in_short
from planners.findings import computed_answer, explained, in_lines, lines_of
from planners.findings import from_results as from_results
from planners.questions import SAMPLED, guarded_part, set_task
from planners.verdicts import Missing as Missing
from planners.verdicts import Unanswered as Unanswered
from planners.verdicts import Verdict as Verdict
from planners.verdicts import read_verdict, verdict_grammar
from workers.calls import Completion

JOINER = (
    "\nThe results above were found for the question, in numbered steps. Answer the question from them: "
    'first a line "Thought: " with one short sentence, then a line "Answer: " with the answer alone, such as '
    "a name or a number.\n"
)
OF_CHOICES = "The answer is the letter of the right choice.\n"
OR_REPLAN = (
    'Only if a result that is needed is missing, write "Replan: " and what to find out, instead of the '
    "answer.\n"
)
COMPUTED = "The last result was computed from the others, and is right.\n"
REPAIR = "This cannot be used: {reason}. Write only the two lines, with a short thought."

SAMPLES = 2
"""Further readings where the first is not certain, and again as many where these are not of one mind."""

DISAGREE = 0.6
"""The entropy of the readings, as a share of the most that it can be, beyond which they decide nothing: of
five, 3 and 1 and 1 are just below it, 2 and 2 and 1 above."""

_OPEN, _CLOSE = "\n<results>\n", "</results>\n"


def join_prompt(
    question: Question, results: Sequence[Part] = (), *, may_replan: bool, computed: bool = False
) -> list[Message]:
    """The prompt of the joiner; without the results, the beginning of it.

    ``computed`` says that the last of them is computed from others.
    """
    if not results:
        return set_task(question, _OPEN)
    said = ((JOINER, True), (COMPUTED, computed), (OF_CHOICES, question.choices), (OR_REPLAN, may_replan))
    return set_task(question, _OPEN, *results, _CLOSE, "".join(text for text, holds in said if holds))


async def join(
    run: Run,
    question: Question,
    results: Sequence[Part],
    *,
    lacking: Sequence[int],
    may_replan: bool,
    temperature: float,
    max_tokens: int,
    by: str = "llm_compiler",
) -> Verdict:
    """Have the results read: an answer, what is missing, or why there is neither.

    ``results`` are lines such as ``2. search("Ollo") = `` with what was found; ``lacking`` are the steps that
    have no result, or an uncertain one. What cannot be read is asked for once more. Where something speaks
    against the first reading (:func:`doubts`), two more vote with it, and another two if the three differ.
    Small models read badly what is in their hands: if the last step has computed the one name or number that
    is asked for, that is the answer unless all three readings agree on another. If there is too little
    agreement otherwise, what the last step has computed is the answer, too; if it has not, the disagreement
    is what is missing, or where nothing more may be found out, the answer is undecided. That
    something is missing is believed if steps lack a result, or if two readings find it and no more than these
    agree on an answer. ``by`` is who decides, in the trace.
    """
    text = in_lines([_text(part) for part in results])
    lines = lines_of(text)
    prompt = join_prompt(
        question,
        [guarded_part(run, part) for part in results],
        may_replan=may_replan,
        computed=bool(lines) and lines[-1].computing,
    )
    reader = _Reader(run, question, prompt, may_replan, max_tokens)
    first = await reader.first(temperature)
    if isinstance(first, Missing) and lacking:
        run.decide(by, "replan", {"missing": first.what, "lacking": list(lacking)})
        return first
    match first:
        case Unanswered():
            return first
        case Missing(what):
            why = [f"one reading finds that this is missing: {what}"]
        case Answer():
            first = in_short(first, question, text)
            why = doubts(question, first, text, lacking)
    if not why:
        return explained(first, question, text)
    readings: list[Verdict] = [first]
    for _ in range(2):
        readings += await reader.more(max(temperature, SAMPLED))
        elected = _elected(readings, question, text, certain=not lacking, may_replan=may_replan)
        if elected.clear:
            break
    run.decide(by, elected.word, {"doubts": why, **elected.saw})
    return explained(elected.verdict, question, text)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Has one prompt answered, and reads what is said."""

    run: Run
    question: Question
    prompt: list[Message]
    may_replan: bool
    max_tokens: int

    async def first(self, temperature: float) -> Verdict:
        """The first reading; one that cannot be read is sent back once, with what is wrong with it."""
        verdict = await self._verdict(self._call(self.prompt, "join", temperature))
        if not isinstance(verdict, Unanswered) or verdict.broken is None:
            return verdict
        repair = [assistant(verdict.broken or "(nothing)"), user(REPAIR.format(reason=verdict.reason))]
        return await self._verdict(self._call([*self.prompt, *repair], "repaired join", temperature))

    async def more(self, temperature: float) -> list[Verdict]:
        """Further readings, sampled side by side."""
        calls = [self._call(self.prompt, "join", temperature) for _ in range(SAMPLES)]
        return [await self._verdict(call) for call in calls]

    def _call(self, prompt: list[Message], label: str, temperature: float) -> Node[Completion]:
        return self.run.generate(
            prompt,
            label=label,
            role="planner",
            temperature=temperature,
            max_tokens=self.max_tokens,
            **self._constraint(),
        )

    def _constraint(self) -> dict[str, Any]:
        can_be_held = self.run.capabilities.guided_grammar
        return {"grammar": verdict_grammar(may_replan=self.may_replan)} if can_be_held else {}

    async def _verdict(self, call: Node[Completion]) -> Verdict:
        match await call.settled():
            case Succeeded(completion):
                return read_verdict(completion, self.question, may_replan=self.may_replan)
            case Failed(failure):
                return Unanswered(f"the results could not be read: {failure.message}")
            case _:
                return Unanswered("the reading of the results was cancelled")


@dataclass(frozen=True, slots=True)
class _Election:
    """What several readings come to, and what is written about it into the trace."""

    verdict: Verdict
    word: str
    saw: dict[str, Any]
    clear: bool = False
    """Whether further readings are not worth their price."""


def _elected(
    readings: Sequence[Verdict], question: Question, results: str, *, certain: bool, may_replan: bool
) -> _Election:
    """What the readings come to; those that agree with a comparison are one answer, whatever their words.

    ``certain`` says that no step lacks its result.
    """
    wanted = computed_in_short(question, results) if certain else None
    computed = wanted or computed_answer(question, results)
    clusters = Clusters(choices=labels(question.choices))
    answers: dict[int, Answer] = {}
    agreed = ""
    for at, reading in enumerate(readings):
        if not isinstance(reading, Answer) or reading.claim is None:
            continue
        reading = in_short(reading, question, results)
        claim = reading.claim or ""
        if agrees(claim, question, results):
            claim = agreed = agreed or claim
        answers.setdefault(clusters.add(at, Claim(claim, "json")), reading)
    missing = [reading for reading in readings if isinstance(reading, Missing)]
    counts = clusters.counts()
    entropy = discrete(counts, abstained=len(readings) - sum(counts))
    ranked = sorted(clusters.members, key=lambda cluster: -len(cluster.branches))
    found = tuple(Cluster(cluster.text, len(cluster.branches)) for cluster in ranked)
    saw = {
        "answers": {cluster.claim: cluster.count for cluster in found},
        "missing": len(missing),
        "nothing": len(readings) - sum(counts) - len(missing),
        "entropy": entropy.nats,
    }
    if len(missing) > 1 and len(missing) >= max(counts, default=0):
        return _Election(missing[0], "replan", saw | {"what": missing[0].what}, clear=True)
    if not ranked and computed is not None:
        return _Election(computed, "computed", saw)
    if not ranked:
        nothing = "one reading of the results finds something missing, the others find nothing at all"
        return _Election(Unanswered(nothing), "nothing", saw)
    winner = answers[ranked[0].index]
    unanimous = found[0].count == len(readings)
    if (
        wanted is not None
        and not unanimous
        and clusters.add(None, Claim(str(wanted.claim), "json")) != ranked[0].index
    ):
        best = replace(wanted, entropy=entropy.nats, clusters=found)
        return _Election(best, "computed", saw, clear=True)
    if entropy.normalised is not None and entropy.normalised <= DISAGREE:
        share = found[0].count / len(readings)
        best = replace(
            winner,
            confidence=share,
            entropy=entropy.nats,
            clusters=found,
            basis=agreement(found[0].count, len(readings), what="readings"),
            dissent=tuple(
                Dissent(cluster.text, len(cluster.branches), answers[cluster.index].text)
                for cluster in ranked[1:]
            ),
        )
        return _Election(best, "answer", saw, clear=share == 1)
    if computed is not None:
        return _Election(replace(computed, entropy=entropy.nats, clusters=found), "computed", saw)
    differ = "; ".join(f"{cluster.claim} ({cluster.count})" for cluster in found)
    if may_replan:
        what = f"what tells which answer is right, as the readings of the results differ: {differ}"
        return _Election(Missing(what), "replan", saw | {"what": what})
    why = f"of {len(readings)} readings of the results no answer has enough: {differ}"
    return _Election(replace(winner, entropy=entropy.nats, clusters=found, undecided=why), "undecided", saw)


def _text(part: Part) -> str:
    return text_of(part.value if isinstance(part, Node) else part)
