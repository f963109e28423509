"""What comes after a vote, begun before the vote has ended: speculative execution of nodes.

As speculative decoding drafts tokens that a larger model then accepts or not (PEARL, arXiv 2408.11850, and
SpecBranch, arXiv 2506.01979, go on drafting while it does, and redo what it refuses), the successor of a vote
runs on the answer that leads, and the end of the vote accepts it or has it redone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import PlannerError
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.tentative import TentativeVerbs
from orchestrator.runtime.values import Answer
from orchestrator.voting.poll import Leading

AHEAD: Final = "ahead"


@dataclass(frozen=True, slots=True)
class Firm:
    """When a leader is firm enough to go on with: it has ``votes``, and ``lead`` more than the next.

    Raises:
        PlannerError: one of them is less than 1.
    """

    votes: float = 2
    lead: float = 2

    def __post_init__(self) -> None:
        if self.votes < 1 or self.lead < 1:
            raise PlannerError(
                f"a firm leader has at least 1 vote and a lead of 1, not {self.votes} and {self.lead}"
            )

    def holds(self, leading: Leading) -> bool:
        """Whether it is."""
        return leading.votes >= self.votes and round(leading.votes - leading.next, 6) >= self.lead


USUAL: Final = Firm()


@dataclass(frozen=True, slots=True)
class Successor:
    """What comes after a vote: ``function``, and how far it may run ahead.

    Raises:
        PlannerError: ``restarts`` is less than 0.
    """

    vote: Node[Answer]
    function: Callable[[Any, Answer], Coroutine[Any, Any, Any]]
    firm: Firm
    restarts: int

    def __post_init__(self) -> None:
        if self.restarts < 0:
            raise PlannerError(f"what runs ahead begins anew 0 times or more, not {self.restarts}")


async def run_ahead(run: TentativeVerbs, successor: Successor) -> Any:
    """Run a successor on what leads, and on what the vote ends with unless that is the same.

    Raises:
        NodeFailed: the vote, or the successor, failed.
        NodeCancelled: the vote was cancelled.
    """
    attempts = _Attempts(run, successor)
    leading: Leading | None
    async for leading in run.previews(successor.vote):
        if leading is not None:
            attempts.follow(leading)
    answer = kept(await successor.vote)
    node = attempts.confirmed(answer)
    return await (successor.function(run, answer) if node is None else node)


def kept(answer: Answer) -> Answer:
    """What a successor may see of an answer: what further branches for it do not change."""
    return Answer(answer.text, answer.claim, undecided=answer.undecided)


class _Attempts:
    """The successor as it runs ahead: at most one attempt at a time."""

    def __init__(self, run: TentativeVerbs, successor: Successor) -> None:
        self._run = run
        self._successor = successor
        self._node: Node[Any] | None = None
        self._on = Answer("")
        self._left = 1 + successor.restarts
        self._wasted = 0

    def follow(self, leading: Leading) -> None:
        """Give up an attempt on another answer than the one that leads now; begin on a firm one."""
        answer = kept(leading.answer)
        if self._node is not None and answer != self._on:
            self._give_up(f"{self._successor.vote.path} turned")
            self._decide("turned", **_seen(leading))
        if self._node is None and self._left and not answer.undecided and self._successor.firm.holds(leading):
            self._left -= 1
            self._on = answer
            self._decide("begin", **_seen(leading))
            self._node = self._run.tentative(
                self._successor.vote, f"on {answer.claim}", self._successor.function, answer
            )

    def confirmed(self, answer: Answer) -> Node[Any] | None:
        """The attempt, if it is on the answer that the vote has ended with, and has not failed."""
        node = self._node
        if node is None:
            begun = self._left <= self._successor.restarts
            self._decide("redo" if begun else "no leader was firm", claim=answer.claim)
        elif answer != self._on:
            self._give_up(f"{self._successor.vote.path} ended otherwise")
            self._decide("redo", claim=answer.claim)
        elif node.outcome is not None and not isinstance(node.outcome, Succeeded):
            self._give_up("it failed")
            self._decide("redo", claim=answer.claim, failed=node.outcome.why)
        else:
            self._run.confirm(node)
            self._decide("confirmed", claim=answer.claim)
            return node
        return None

    def _give_up(self, why: str) -> None:
        assert self._node is not None
        self._node.cancel(why)
        self._wasted += self._run.tokens_of(self._node)
        self._node = None

    def _decide(self, verdict: str, **saw: Any) -> None:
        self._run.decide(
            AHEAD, verdict, {"vote": self._successor.vote.path, **saw, "wasted_tokens": self._wasted}
        )


def _seen(leading: Leading) -> dict[str, Any]:
    return {"claim": leading.answer.claim, "votes": leading.votes, "next": leading.next}
