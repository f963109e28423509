"""The branches of a vote as they run: whole, or in segments between which a rule can look at them.

What a rule may know of a branch that has not finished must be in the journal, or a replay would not decide
the same. So a branch that is watched is a chain of generations, each of which continues the text of the one
before: between two of them its progress, its confidence and the answer that it would give now are results of
nodes like any other. The engine finds the text so far in its prefix cache.
"""

from __future__ import annotations

from statistics import fmean

from orchestrator.consensus.confidence import LowestGroup, branch_confidence, inverse_entropy
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import Branch
from orchestrator.runtime.messages import assistant, messages_of
from orchestrator.runtime.nodes import Cancelled, Failed, Node
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.ballot import Ballot
from workers.calls import Completion

FORCE = "\n\nThe final answer is \\boxed{"
"""Appended to what an unfinished branch has said, so that it states the answer that it would give now."""

FORCED_TOKENS = 24


class LiveBranch:
    """One branch, and what it has come to.

    ``node`` generates it, or the segment that it is at. ``cluster`` is that of its answer once it has
    ``ended``, ``probes`` those of the answers that it was made to give before. ``verified`` is a verifier's
    verdict on its answer.
    """

    def __init__(self, run: Verbs, ballot: Ballot, index: int) -> None:
        self.index = index
        self.text = ""
        self.tokens = 0
        self.ended = False
        self.cluster: int | None = None
        self.probes: list[int | None] = []
        self.verified: bool | None = None
        self._run = run
        self._ballot = ballot
        self._unseen = Branch(index)
        self._segments: list[Node[Completion]] = []
        self._confidences: list[float] = []
        self._entropies: list[float] = []
        self._scored = True
        self._group = LowestGroup(window=ballot.segment)
        self.go_on()

    @property
    def node(self) -> Node[Completion]:
        """The generation that it is at, or that was its last."""
        return self._segments[-1]

    def go_on(self) -> None:
        """Generate the branch, or its next segment."""
        ballot = self._ballot
        options = dict(ballot.sampling)
        label = f"branch {self.index}"
        if ballot.watched:
            options["max_tokens"] = min(ballot.segment, ballot.max_tokens - self.tokens)
        if self._segments:
            label = f"{label}, segment {len(self._segments)}"
        prompt = (
            [*messages_of(ballot.prompt), assistant(*self._segments)] if self._segments else ballot.prompt
        )
        self._segments.append(
            self._run.generate(
                prompt,
                label=label,
                role=ballot.role,
                scored=ballot.scored,
                return_token_ids=ballot.watched,
                **options,
            )
        )

    def probe(self) -> Node[Completion]:
        """Have the branch state its answer so far, beside its going on."""
        return self._run.generate(
            [*messages_of(self._ballot.prompt), assistant(*self._segments, FORCE)],
            label=f"branch {self.index}, probe {len(self.probes)}",
            role=self._ballot.role,
            temperature=0.0,
            max_tokens=FORCED_TOKENS,
            stop=("\n",),
        )

    def take(self, completion: Completion) -> None:
        """Take in what its node has generated; unless that was a segment, the branch has ended."""
        self.text += completion.text
        self.tokens += completion.usage.completion_tokens
        self._scored = self._scored and bool(completion.confidences)
        self._confidences += completion.confidences
        for confidence in completion.confidences:
            self._group.add(confidence)
        self._entropies += completion.entropies
        cut = completion.finish_reason == "length" and completion.usage.completion_tokens > 0
        self.ended = not (self._ballot.watched and cut and self.tokens < self._ballot.max_tokens)

    def claim(self) -> Claim | None:
        """What it claims at its end."""
        return self._ballot.claim(self.text, truncated=self.node.value.finish_reason != "stop")

    def forced_claim(self, probe: Completion) -> Claim | None:
        """What it claimed when it was made to."""
        return self._ballot.claim(f"{FORCE}{probe.text}{'' if '}' in probe.text else '}'}", truncated=False)

    def cancel(self, reason: str) -> None:
        """Abort what it generates."""
        self.node.cancel(reason)

    @property
    def lost(self) -> bool:
        """Whether it has failed or was cancelled."""
        return not self.ended and isinstance(self.node.outcome, (Failed, Cancelled))

    @property
    def lowest_confidence(self) -> float | None:
        """Its lowest group confidence (DeepConf), a group being a segment long; None where it is unknown."""
        if not self._scored:
            return None
        if self.ended:
            return branch_confidence(self._confidences, window=self._ballot.segment)
        return self._group.value

    @property
    def mean_confidence(self) -> float:
        """The mean over its tokens, but for a constant its self-certainty (arXiv 2502.18581); or 0."""
        return fmean(self._confidences) if self._confidences and self._scored else 0.0

    @property
    def inverse_entropy(self) -> float:
        """Its weight by the entropy of its tokens; 0 if unknown."""
        return inverse_entropy(self._entropies) if self._scored else 0.0

    def view(self) -> Branch:
        """What a rule may know of it. The tokens of a branch that is lost were paid for, too."""
        lost = self.lost
        if not (self.ended or lost or self._ballot.watched):
            return self._unseen
        return Branch(
            self.index,
            self.cluster,
            tokens=self.tokens + (self.node.usage.completion_tokens if lost else 0),
            confidence=self.lowest_confidence,
            probes=tuple(self.probes),
            verified=self.verified,
        )
