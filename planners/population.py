"""A population of chains: whole attempts at one question, which later attempts are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.consensus.asked import claim_for
from orchestrator.consensus.entropy import Entropy, Sample
from orchestrator.consensus.entropy import guarded as entropy_of
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.rounding import shown_as
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Cluster, Dissent, Question
from orchestrator.voting.abstaining import all_cut_off, most_abstained
from orchestrator.voting.ballot import labels
from orchestrator.voting.draws import draw_of
from orchestrator.voting.fitting import characters_a_token, characters_left, shortened
from orchestrator.voting.judging import Judge, Judging, check_judges, methods
from orchestrator.voting.splitting import split
from orchestrator.voting.standing import basis, standing
from planners.forking import waves
from planners.questions import said, slot
from workers.calls import Completion, FinishReason

LONGEST: Final = 8_000
"""Characters of one chain that others are shown, at most: its end."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain at its place in a population: what it says without thinking, and the cluster of its claim."""

    index: int
    node: Node[Completion]
    said: str
    cluster: int | None

    @property
    def computed(self) -> str:
        """Nothing: what it claims stands in its text."""
        return ""

    @property
    def end(self) -> FinishReason:
        """Why it ended."""
        return self.node.value.finish_reason

    @property
    def whole(self) -> bool:
        """Whether it came to its end by itself, and says something."""
        return self.end == "stop" and bool(self.said)


class Population:
    """The chains of a run, all on one question; what they claim is compared over all that were ever asked.

    ``what`` a chain is called, as in ``chains``.

    Raises:
        InvalidRequest: the ``judge`` lacks something.
    """

    def __init__(
        self, run: Run, question: Question, *, judge: Judge, temperature: float, max_tokens: int, what: str
    ) -> None:
        check_judges(run, judge)
        self.chains: list[Chain] = []
        """All that gave a completion."""
        self._run = run
        self._question = question
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._what = what
        self._clusters = Clusters(choices=labels(question.choices), costly=methods(run, judge))
        self._judging = Judging(run, question.text, judge, question.told)
        self._first: list[Completion] = []

    # -- asking -----------------------------------------------------------------------------------

    async def asked(
        self, prompts: Sequence[Sequence[Message]], label: str, *, before: Sequence[Chain] = ()
    ) -> list[Chain]:
        """A chain for each prompt, all at the same time, or as many as the budget lets be in flight.

        At least one is asked, and no more than the budget has calls for. One that fails, or does not come to
        its end, leaves its place to the chain ``before``, where there is one. While the first population is
        asked, what has come of it is the best answer so far.

        Raises:
            NodeFailed: there is no chain, and this is the failure of the first.
        """
        run, calls = self._run, self._run.budget.calls
        found = {chain.index: chain for chain in before}
        asked = list(enumerate(prompts if calls is None else prompts[: max(1, calls)]))
        nodes: list[Node[Completion]] = []
        place: dict[str, int] = {}
        is_first = not self.chains
        for wave in waves(asked, run.budget.width):
            begun = [
                run.generate(
                    prompt,
                    label=f"{label}, {self._what} {at}",
                    temperature=self._temperature,
                    max_tokens=self._max_tokens,
                )
                for at, prompt in wave
            ]
            nodes += begun
            place |= {node.path: at for node, (at, _) in zip(begun, wave, strict=True)}
            async for node in run.arrivals(begun):
                if not isinstance(node.outcome, Succeeded):
                    continue
                chain = await self._read(place[node.path], node)
                self.chains.append(chain)
                if is_first:
                    self._first.append(node.value)
                if chain.whole or chain.index not in found:
                    found[chain.index] = chain
                if is_first:
                    run.propose(lambda: self.answer(list(found.values())))
        if not found:
            await run.join(nodes)
        return [found[at] for at in sorted(found)]

    async def _read(self, index: int, node: Node[Completion]) -> Chain:
        completion = node.value
        truncated = completion.finish_reason != "stop"
        choices = labels(self._question.choices)
        claim = claim_for(self._question.text, completion.text, choices=choices, truncated=truncated)
        if claim is None:
            return Chain(index, node, said(completion), None)
        verdicts = await self._judging.verdicts(self._clusters.open_pairs(claim))
        return Chain(index, node, said(completion), self._clusters.add(None, claim, verdicts))

    # -- showing ----------------------------------------------------------------------------------

    def room(self, parts: int, *, reply: int | None = None) -> int:
        """Characters that each of so many chains may have in a prompt about the question.

        ``reply`` is the length of what is said to it, in tokens; by default that of a chain.
        """
        reply = self._max_tokens if reply is None else reply
        context, most = self._run.capabilities.max_model_len, LONGEST * parts
        return characters_left(context, self._first, reply=reply, most=most) // max(1, parts)

    def characters(self, tokens: int) -> int:
        """About how many characters so many tokens have."""
        return int(tokens * characters_a_token(self._first))

    def shown(self, name: str, chains: Sequence[Chain], room: int) -> list[Node[str]]:
        """Chains for a prompt, each between tags of that name, with at most so many characters."""
        return [
            self._run.merge(_in_slot, name, chain.node, room, label=f"show {self._what} {chain.index}")
            for chain in chains
        ]

    # -- counting ---------------------------------------------------------------------------------

    def entropy(self, chains: Sequence[Chain]) -> Entropy:
        """How much chains disagree; undefined if their agreement says nothing."""
        samples = [
            Sample(chain.cluster, chain.said, draw=draw_of([chain.node], chain.node.usage.completion_tokens))
            for chain in chains
        ]
        return entropy_of(samples, temperature=self._temperature, by_text=self._run.copies_by_text)

    def saw(self, chains: Sequence[Chain]) -> dict[str, Any]:
        """What a decision about these chains is made on."""
        entropy = self.entropy(chains).nats
        return {
            "entropy": None if entropy is None else round(entropy, 6),
            "counts": self.counts(chains),
            f"{self._what}s": [chain.node.path for chain in chains],
        }

    def counts(self, chains: Sequence[Chain]) -> dict[str, int]:
        """How many chains came to each answer, the most frequent first."""
        return {self._claim(cluster): count for cluster, count in _counted(chains).items()}

    def answer(self, chains: Sequence[Chain], told: str = "") -> Answer:
        """The answer of the most of these chains; of equal ones, the one that was found first.

        Confidence, entropy and clusters are over all chains of the run, as those that were shown others are
        no votes of their own. ``told`` is said of them, as in ``of 2 rounds``.
        """
        counts, entropy = _counted(self.chains), self.entropy(self.chains)
        winner = next(iter(_counted(chains)), None)
        what = f"{self._what}s {told}".rstrip()
        if winner is None:
            text = max((chain.said for chain in chains), key=len, default="")
            return Answer(text, undecided=self._silence(chains), basis=basis("", 0, entropy, what=what))
        stands = standing(chains, winner)
        assert stands is not None
        votes, total = counts[winner], len(self.chains)
        votes_of_these = [Cluster(claim, count) for claim, count in self.counts(chains).items()]
        claim = self._claim(winner)
        undecided = self._silence(chains) or split(Answer("", claim, clusters=tuple(votes_of_these)))
        return Answer(
            stands.said,
            claim,
            confidence=None if undecided or entropy.nats is None else votes / total,
            entropy=entropy.nats,
            clusters=tuple(Cluster(self._claim(each), count) for each, count in counts.items()),
            undecided=undecided,
            dissent=tuple(
                Dissent(self._claim(each), count, other.said)
                for each, count in counts.items()
                if each != winner and (other := standing(self.chains, each)) is not None
            ),
            basis=basis("", votes, entropy, what=what),
            doubtful=2 * votes <= counts.total(),
            shown=self._readable(),
        )

    def _silence(self, chains: Sequence[Chain]) -> str | None:
        """Why chains give no answer to rely on; None if enough of them claim something."""
        cut = [(chain.end, chain.node.usage.completion_tokens) for chain in chains]
        silent = [chain.end for chain in chains if chain.cluster is None]
        return all_cut_off(cut, self._max_tokens) or most_abstained(
            silent, len(chains), self._max_tokens, what=f"{self._what}s"
        )

    def _claim(self, cluster: int) -> str:
        return self._clusters.members[cluster].text

    def _readable(self) -> Mapping[str, str]:
        forms = {each.text: [form.text for form in each.forms] for each in self._clusters.members}
        told = {claim: shown_as(texts, set(), self._question.text) for claim, texts in forms.items()}
        return {claim: text for claim, text in told.items() if text != claim}


def _counted(chains: Sequence[Chain]) -> Counter[int]:
    """How many chains are in each cluster, the largest first; of equal ones, the one that was found first."""
    counts = Counter(chain.cluster for chain in chains if chain.cluster is not None)
    return Counter(dict(sorted(counts.items(), key=lambda each: (-each[1], each[0]))))


def _in_slot(name: str, completion: Completion, room: int) -> str:
    return slot(name, shortened(said(completion), room))
