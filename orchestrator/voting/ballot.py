"""What a vote is about, and whether an engine allows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from orchestrator.consensus.asked import claim_for, says_nothing
from orchestrator.consensus.extraction import Claim, extract_claim, extract_code
from orchestrator.consensus.stopping import Signal, StopRule
from orchestrator.errors import InvalidRequest
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Draft
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.judging import Judge
from workers.calls import Completion
from workers.engine import Capabilities
from workers.tools.tool import Tool

Merge = Literal["majority", "confidence", "borda", "inverse_entropy", "verifier", "medoid", "synthesis"]
"""How the branches become one answer: the rule's winner, for most rules the largest cluster; the winner of a
vote weighted by the mean confidence of a branch's tokens, by the rank of that among all branches, or by their
inverse entropy; the first answer that the verifier accepted; the completion that shares the most words with
the others; or an answer that a model writes from all of them."""

MERGES: tuple[Merge, ...] = get_args(Merge)

SCORED: frozenset[Merge] = frozenset({"confidence", "borda", "inverse_entropy"})
"""The merges that weigh a branch by the log-probabilities of its tokens."""

WATCHING: frozenset[Signal] = frozenset({"probes", "tokens"})
"""The signals that branches give before they have finished."""

SEGMENT = 512
"""Tokens after which a rule can look at a watched branch."""


CORRECTIONS = 3
"""How many times a branch may be corrected: one that computes so badly is no help."""

Draws = Literal["independent", "arithmetic"]
"""How branches are drawn: each by its own seed, or by codes that are spread evenly (arXiv 2210.15458)."""

BRANCH_STEP, SEGMENT_STEP = 0.6180339887498949, 0.4142135623730951
"""From the code of one branch to that of the next of its turn, and from one segment of a branch to the next:
points at multiples of such numbers are spread evenly, however many of them there will be."""

LONGER = 4
"""How many times longer a branch may become after one of its kind was cut off."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One way to ask the question of a vote.

    ``kind`` names it, for the trace and for rules that ask for agreement across kinds. ``sampling`` has
    keyword arguments of :meth:`Run.generate` in place of those of the vote; its ``max_tokens`` is where
    branches of the kind begin, and after one that was cut off the next may be :data:`LONGER` times as long,
    up to the ``max_tokens`` of the vote. ``reading`` is a tool that says what a branch claims: it takes the
    text of the branch and what was read from it (empty if it was nothing), and returns ``{"claim": text}``,
    or ``{"nothing": why}`` of a branch that claims nothing after all. A program is read by computing it.
    With ``"corrected"`` beside that, the text up to where it went wrong and with what is right there, the
    branch goes on from that text, at most :data:`CORRECTIONS` times, where the engine can continue one. A
    branch that was cut off and ``concludes`` is made to give its answer from what it has said, if the engine
    can do that. ``writing`` is planner code that writes a branch in place of one call, in a scope of its own;
    its completion counts as if a call had given it for ``prompt``, with the tokens of the text as its usage.
    ``role`` is the model that is asked, in place of that of the vote. ``weight`` says how much a branch
    counts beside those of the other turns; only the proportions matter.
    """

    prompt: Draft
    kind: str = ""
    sampling: SamplingOptions = field(default_factory=lambda: SamplingOptions())
    reading: Tool | None = None
    concludes: bool = False
    writing: Callable[[Verbs], Coroutine[Any, Any, Completion]] | None = None
    role: str = ""
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a vote is about; the fields are the arguments of :meth:`Run.vote`.

    ``told`` is the question as a judge and a verifier are told it, with what was said before it.
    ``sampling`` holds keyword arguments of :meth:`Run.generate`, including temperature and max_tokens.
    """

    prompt: Draft | Turn
    rule: StopRule
    sampling: Mapping[str, Any]
    choices: tuple[str, ...] = ()
    question: str = ""
    told: str = ""
    judge: Judge = "none"
    merge: Merge = "majority"
    outputs: str | Tool | None = None
    verifier: str | Tool | None = None
    segment: int = SEGMENT
    role: str = "branch"
    turns: tuple[Draft | Turn, ...] = ()
    draws: Draws = "independent"

    def turn_of(self, branch: int) -> Turn:
        """How a branch is asked, by its number: they take turns."""
        turns = (self.prompt, *self.turns)
        turn = turns[branch % len(turns)]
        return turn if isinstance(turn, Turn) else Turn(turn)

    @property
    def votes(self) -> tuple[float, ...]:
        """How many votes a branch of each turn has: one on average, and exactly one if all weigh the same.

        So certainty comes from as many branches as in a vote without weights.
        """
        weights = [self.turn_of(at).weight for at in range(1 + len(self.turns))]
        if len(set(weights)) == 1:
            return (1,) * len(weights)
        return tuple(weight * len(weights) / math.fsum(weights) for weight in weights)

    @property
    def max_tokens(self) -> int:
        """The maximum number of tokens of a branch."""
        return int(self.sampling["max_tokens"])

    @property
    def watched(self) -> bool:
        """Whether branches run in segments, because the rule looks at them as they run."""
        return bool(self.rule.needs & WATCHING)

    @property
    def scored(self) -> bool:
        """Whether the confidence of the branches is needed."""
        return "confidence" in self.rule.needs or self.merge in SCORED

    def claim(self, text: str, *, truncated: bool) -> Claim | None:
        """What a completion claims; ``truncated`` says that it was cut off."""
        if self.outputs is not None:
            return extract_code(text, truncated=truncated)
        return claim_for(self.question, text, choices=self.choices, truncated=truncated)

    def nothing_in(self, text: str, *, truncated: bool) -> str:
        """Why a completion claims nothing that seems to state an answer; empty if it does not seem so."""
        seems = None if self.outputs is not None else extract_claim(text, truncated=truncated)
        return "" if seems is None else says_nothing(self.question, seems.text)

    def check(self, can: Capabilities) -> None:
        """Check that the vote can be held on an engine with these capabilities.

        Raises:
            InvalidRequest: says what is wrong or missing.
        """
        rule, needs = self.rule.spec, self.rule.needs
        if self.merge not in MERGES:
            raise InvalidRequest(f"no merge is called {self.merge!r}; there are {', '.join(MERGES)}")
        for turn in map(self.turn_of, range(1 + len(self.turns))):
            if not 0 < turn.weight < math.inf:
                raise InvalidRequest(
                    f"the weight of a turn is a number above 0, not {turn.weight}; leave a turn out if it is "
                    "not to count"
                )
        if self.segment < 1:
            raise InvalidRequest(f"a segment has at least 1 token, not {self.segment}")
        if self.verifier is None and ("verdicts" in needs or self.merge == "verifier"):
            who = f"rule {rule}" if "verdicts" in needs else "merge verifier"
            raise InvalidRequest(f"{who} needs verdicts: give the vote a tool as its verifier")
        if self.draws not in get_args(Draws):
            raise InvalidRequest(f"branches are not drawn {self.draws!r}, but {' or '.join(get_args(Draws))}")
        if self.draws == "arithmetic" and not can.arithmetic_sampling:
            raise InvalidRequest(
                f"arithmetic sampling needs a vLLM server with our logits processor; that of {can.model} has "
                "none: let Anabranch start it with the option arithmetic_sampling, or leave out draws"
            )
        if self.draws == "arithmetic" and not self.sampling["temperature"]:
            raise InvalidRequest("arithmetic sampling needs a temperature above 0: at 0 nothing is drawn")
        if self.scored and not can.logprobs:
            who = f"rule {rule}" if "confidence" in needs else f"merge {self.merge}"
            raise InvalidRequest(
                f"{who} needs log-probabilities, which the engine of {can.model} does not give"
            )
        turns = (self.prompt, *self.turns)
        written = any(isinstance(turn, Turn) and turn.writing for turn in turns)
        if self.draws == "arithmetic" and written:
            raise InvalidRequest(
                "arithmetic sampling draws branches, but planner code writes them: leave out draws"
            )
        if self.watched and written:
            raise InvalidRequest(
                f"rule {rule} looks at branches as they run, but planner code writes them: give another rule"
            )
        if self.watched and not can.assistant_prefill:
            raise InvalidRequest(
                f"rule {rule} looks at branches as they run, but the engine of {can.model} "
                "cannot continue an answer that it has begun"
            )


def labels(choices: Sequence[str]) -> tuple[str, ...]:
    """The letters under which choices are offered: A, B, C, …"""
    return tuple(chr(ord("A") + index) for index in range(len(choices)))
