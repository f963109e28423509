"""The branches of a vote as they run: whole, or in segments between which a rule can look at them.

What a rule may know about an unfinished branch must be in the journal, or a replay would not decide the same.
A watched branch is therefore a chain of generations, each of which continues the text of the one before:
between two of them, its progress, its confidence and the answer that it would give now are results of nodes
like any other. The engine finds the text so far in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from orchestrator.consensus.asked import says_nothing
from orchestrator.consensus.confidence import least_probability
from orchestrator.consensus.copies import Draw
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import Branch
from orchestrator.consensus.thinking import split_thinking
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Draft, assistant, messages_of
from orchestrator.runtime.nodes import Cancelled, Failed, Node, NodeKind, Outcome, Succeeded
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.ballot import CORRECTIONS, LONGER, SEGMENT_STEP, Ballot, Turn
from orchestrator.voting.draws import draw_of
from orchestrator.voting.scores import TokenScores
from workers.calls import Completion, FinishReason

FORCE = "\n\nThe final answer is \\boxed{"
"""Appended to what an unfinished branch has said, so that it states the answer that it would give now."""

FORCING: Final[SamplingOptions] = {"temperature": 0.0, "max_tokens": 24, "stop": ("\n",)}
"""How it states that."""

Continuation = Literal["corrected", "concluded"]
"""Why a branch goes on from a text that is not all its own."""


class LiveBranch:
    """One branch, and how far it has come.

    ``node`` generates the branch, or its current segment. ``cluster`` is the cluster of its answer once it
    has ``ended``; ``probes`` are the clusters of the answers that it was made to give before that.
    ``votes`` is how many it has, ``verified`` a verifier's verdict on its answer. A tool may read what it
    claims (``turn.reading``): ``nothing`` is then why it claims nothing, ``computed`` what it claims though
    its text does not say so, and ``corrected`` what was wrong in it before it went on from what is right.
    ``concluded`` says that it was cut off and made to give its answer, ``cut_off`` are the kinds of the
    branches before it that were. ``code`` is where arithmetic sampling begins to draw it. A copy goes on from
    the first segments (``inherited``) of another branch.
    """

    def __init__(
        self,
        run: Verbs,
        ballot: Ballot,
        index: int,
        *,
        cut_off: Sequence[str] = (),
        code: float | None = None,
        copy_of: LiveBranch | None = None,
        inherited: int = 0,
    ) -> None:
        self.index = index
        self._code = code
        self.turn: Turn = ballot.turn_of(index) if copy_of is None else copy_of.turn
        self.nothing = ""
        self.computed = ""
        self.corrected: list[str] = []
        self.concluded = False
        self._going_on: Continuation | None = None
        self._before: str | None = None
        self._written = 0
        self.text = ""
        self._said: str | None = None
        self.tokens = 0
        self.ended = False
        self.given_up = False
        self.cluster: int | None = None
        self.probes: list[int | None] = []
        self.verified: bool | None = None
        self._run = run
        self._ballot = ballot
        self._prompt = self.turn.prompt
        self._sampling: dict[str, Any] = {**ballot.sampling, **self.turn.sampling}
        longer = self._sampling["max_tokens"] * LONGER ** cut_off.count(self.turn.kind)
        self.length: int = min(longer, ballot.max_tokens)
        self._sampling["max_tokens"] = self.length
        self._role = self.turn.role or ballot.role
        votes = ballot.votes
        self.votes: float = votes[index % len(votes)] if copy_of is None else copy_of.votes
        self._unseen = Branch(index, kind=self.turn.kind, weight=self.votes)
        self._segments: list[Node[Completion]] = []
        self._inherited = inherited
        self.scores = TokenScores(ballot.segment)
        if copy_of is not None:
            self._inherit(copy_of)
        self._tokens_before = self.tokens
        self.go_on()

    def _inherit(self, other: LiveBranch) -> None:
        self.length = other.length
        self.probes = other.probes[: self._inherited]
        for node in other._segments[: self._inherited]:
            self._segments.append(node)
            self.take(node.value)

    @property
    def node(self) -> Node[Completion]:
        """The branch's current generation, or its last one."""
        return self._segments[-1]

    def go_on(self) -> None:
        """Generate the branch, or its next segment."""
        ballot = self._ballot
        options = dict(self._sampling)
        label = f"branch {self.index}"
        if ballot.watched:
            options["max_tokens"] = min(ballot.segment, self.length - self.tokens)
        if len(self._segments) > self._inherited:
            label = f"{label}, segment {len(self._segments)}"
        if self.turn.writing is not None:
            self._segments.append(self._run.scope(NodeKind.SPAWN, label, self.turn.writing))
            return
        prompt = [*messages_of(self._prompt), assistant(*self._segments)] if self._segments else self._prompt
        self._begin(prompt, label, options)

    def _begin(self, prompt: Draft, label: str, sampling: Mapping[str, Any]) -> None:
        ballot = self._ballot
        if self._code is not None and sampling["temperature"]:
            sampling = {**sampling, "code": (self._code + len(self._segments) * SEGMENT_STEP) % 1.0}
        self._segments.append(
            self._run.generate(
                prompt,
                label=label,
                role=self._role,
                scored=ballot.scored,
                return_token_ids=ballot.watched,
                **sampling,
            )
        )

    def correct(self, outcome: Outcome[Any]) -> bool:
        """Go on from where a reading corrected the text; returns whether there is something to go on from."""
        told = _told(outcome)
        text = told.get("corrected")
        if not isinstance(text, str) or len(self.corrected) == CORRECTIONS or not self._can_continue:
            return False
        self.corrected.append(str(told.get("nothing", "")))
        written = round(self._written * min(1.0, len(text) / max(1, len(self.text))))
        left = max(self.length - written, FORCING["max_tokens"])
        self._continue("corrected", text, {**self._sampling, "max_tokens": left}, written)
        return True

    def conclude(self) -> bool:
        """Have a branch that was cut off give its answer; returns whether it is one that can."""
        thinking = split_thinking(self.text)
        says = self.ended and self.end == "length" and thinking.closed and bool(thinking.answer.strip())
        if not (says and self.turn.concludes and self._can_continue):
            return False
        self.concluded = True
        fence = "\n```" if self.text.count("```") % 2 else ""
        self._continue("concluded", f"{self.text}{fence}{FORCE}", FORCING, self._written)
        return True

    def fall_back(self) -> bool:
        """Take back a continuation that failed; returns whether the branch had ended before it."""
        if self._before is None or not isinstance(self.node.outcome, Failed):
            return False
        if self._going_on == "corrected":
            self.nothing = self.corrected[-1]
        else:
            self.concluded = False
        self.text, self._before, self._going_on, self._said = self._before, None, None, None
        self._segments.pop()
        self.ended = True
        return True

    @property
    def _can_continue(self) -> bool:
        """Whether there is an engine and a call for going on from a text."""
        calls = self._run.budget.calls
        prefill = self._run.capabilities.assistant_prefill
        return prefill and not self._ballot.watched and (calls is None or calls > 0)

    def _continue(self, how: Continuation, text: str, sampling: Mapping[str, Any], written: int) -> None:
        """Generate what follows a text, of so many tokens, that stands in place of its own."""
        self._before, self.text, self._written = self.text, text, written
        self.ended, self._said, self._going_on = False, None, how
        prompt = [*messages_of(self._prompt), assistant(text)]
        self._begin(prompt, f"branch {self.index}, {how}", sampling)

    def probe(self) -> Node[Completion]:
        """Have the branch state its answer so far, while it goes on."""
        return self._run.generate(
            [*messages_of(self._prompt), assistant(*self._segments, FORCE)],
            label=f"branch {self.index}, probe {len(self.probes)}",
            role=self._role,
            **FORCING,
        )

    def take(self, completion: Completion) -> None:
        """Take in what its node has generated; unless another segment follows, the branch has ended."""
        concludes = self._going_on == "concluded"
        self.text += _boxed(completion.text) if concludes else completion.text
        self._said, self._before = None, None
        self.tokens += completion.usage.completion_tokens
        self._written += completion.usage.completion_tokens
        self.scores.take(completion)
        cut = completion.finish_reason == "length" and completion.usage.completion_tokens > 0
        cut = cut and bool(self.text or not completion.reasoning)  # thinking apart cannot be continued
        self.ended = not (self._ballot.watched and cut and self.tokens < self.length)

    @property
    def said(self) -> str:
        """Its text without what it thought."""
        if self._said is None:
            self._said = split_thinking(self.text).answer
        return self._said

    def claim(self) -> Claim | None:
        """What the branch claims at its end."""
        return self._ballot.claim(self.text, truncated=self.end != "stop")

    def read(self, claim: Claim | None, outcome: Outcome[Any]) -> Claim | None:
        """What the branch claims after its ``reading``; a reading that failed leaves nothing."""
        said = _told(outcome)
        text = said.get("claim")
        if not isinstance(text, str) or not text:
            self.nothing = str(said.get("nothing", ""))
            return None
        if why := says_nothing(self._ballot.question, text):
            self.nothing = why
            return None
        if claim is not None and claim.text == text:
            return claim
        self.computed = text
        return Claim(text, "whole")

    @property
    def sure(self) -> float | None:
        """The least probability of the tokens of its answer; None if it is unknown."""
        wanted = self.ended and "top_logprobs" in self.turn.sampling
        given = self.node.value.logprobs if wanted else ()
        claim = self.claim() if given else None
        if claim is None:
            return None
        return least_probability([(each.token, each.logprob, each.top) for each in given], claim.text)

    def told(self) -> dict[str, Any]:
        """What the trace is told of a branch that was asked in a way of its own."""
        sure = self.sure
        said = {
            "kind": self.turn.kind,
            "nothing": f"cut off after {self.tokens} tokens" if self.cut_short else self._why_nothing(),
            "sure": None if sure is None else round(sure, 6),
            "corrected": self.corrected or None,
            "concluded": self.concluded or None,
        }
        return {name: value for name, value in said.items() if value not in ("", None)}

    def _why_nothing(self) -> str:
        """Why it claims nothing, where that is known."""
        if self.nothing or not self.ended or self.cluster is not None:
            return self.nothing
        return self._ballot.nothing_in(self.text, truncated=self.end != "stop")

    def forced_claim(self, probe: Completion) -> Claim | None:
        """What the branch claimed when it was made to answer."""
        return self._ballot.claim(FORCE + _boxed(probe.text), truncated=False)

    def cancel(self, reason: str) -> None:
        """Abort the branch's current generation; what a tool still makes of one that has ended is void."""
        self.given_up = True
        self.node.cancel(reason)

    @property
    def lost(self) -> bool:
        """Whether the branch failed, was cancelled, or was cut off where the next of its kind gets more."""
        broken = not self.ended and isinstance(self.node.outcome, (Failed, Cancelled))
        return self.given_up or self.cut_short or broken

    @property
    def cut_short(self) -> bool:
        """Whether the branch was cut off before it had all the tokens that the vote allows: it is no vote."""
        return self.ended and self.end == "length" and self.length < self._ballot.max_tokens

    @property
    def end(self) -> FinishReason:
        """Why it finished; one that was made to conclude has come to its end with that."""
        reason = self.node.value.finish_reason
        return "stop" if self._going_on == "concluded" and reason == "length" else reason

    @property
    def draw(self) -> Draw:
        """How its text came about, without what it has from another one."""
        own = self._segments[self._inherited :]
        return draw_of(own, self.tokens, ended=self.ended, alone=not self._inherited)

    def view(self) -> Branch:
        """What a rule may know about it. The tokens of a lost branch count too: they were paid for."""
        lost = self.lost
        if not (self.ended or lost or self._ballot.watched):
            return self._unseen
        return Branch(
            self.index,
            self.cluster,
            tokens=self.tokens
            - self._tokens_before
            + (0 if self.ended or not lost else self.node.usage.completion_tokens),
            confidence=self.scores.lowest(whole=self.ended),
            probes=tuple(self.probes),
            verified=self.verified,
            kind=self.turn.kind,
            sure=self.sure,
            weight=self.votes,
            segments=tuple(self.scores.segments),
            inherited=self._inherited,
        )


def _boxed(said: str) -> str:
    """What was said up to the brace that closes the box before it, and that brace."""
    depth = 1
    for at, sign in enumerate(said):
        depth += (sign == "{") - (sign == "}")
        if not depth:
            return said[: at + 1]
    return said.rstrip() + "}" * depth


def _told(outcome: Outcome[Any]) -> Mapping[str, Any]:
    """What a reading said; one that failed could not read the branch."""
    told = outcome.value if isinstance(outcome, Succeeded) else None
    return told if isinstance(told, Mapping) else {"nothing": "it could not be read"}
