"""What explains the answer of a vote: the branch that stands for each cluster, and who agrees, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from orchestrator.consensus.entropy import Entropy
from orchestrator.consensus.merging import BY_VOTES
from orchestrator.consensus.reading.sentences import pieces
from workers.calls import FinishReason

ALONE = "one answer, not compared with others"

OF_KINDS = "branches of different kinds"
FORCED = "what branches said when they were stopped"

SETTLED_BY: Mapping[str, str] = {
    BY_VOTES: "the most votes by weight",
    "verifier": "accepted by the verifier",
    "majority of unrefused": "not refused by the verifier",
    "weighted by confidence": "the most weight by confidence",
    "weighted by borda": "the most weight by rank of confidence",
    "weighted by inverse_entropy": "the most weight by inverse entropy",
    "medoid": "the text that shares most with the others",
    "synthesis": "written by a model from all of them",
    "choice": "chosen by a model, as no answer has a majority",
    "accepted synthesis": "written by a model from all of them, and accepted by the verifier",
}
"""What settles a vote beside counting, by the merge that did."""

WRITTEN = frozenset({"medoid", "synthesis", "choice", "accepted synthesis"})
"""The merges whose answer is a text of its own, whatever the branches say that gave the same answer."""

KNOWING = frozenset({"verifier", "synthesis", "accepted synthesis"})
"""The merges whose answer needs no majority, since something other than counting has judged it."""


class Attempt(Protocol):
    """One of several attempts at a question."""

    @property
    def index(self) -> int:
        """Its number."""
        ...

    @property
    def said(self) -> str:
        """Its text without thinking."""
        ...

    @property
    def cluster(self) -> int | None:
        """The cluster of its claim; None if it claims nothing."""
        ...

    @property
    def computed(self) -> str:
        """What it claims though its text does not say so."""
        ...

    @property
    def end(self) -> FinishReason:
        """Why it ended."""
        ...


A = TypeVar("A", bound=Attempt)


def standing(branches: Iterable[A], cluster: int) -> A | None:
    """The branch that stands for a cluster; None if no branch is in it.

    Words stand before programs. Of those that came to their end by themselves, it is the one with the
    shortest text that still shows a step towards its answer; if none does, the longest. Of equal ones it is
    the first by number. Who arrived first plays no part in it.
    """
    return min((each for each in branches if each.cluster == cluster), key=_rank, default=None)


def _rank(branch: Attempt) -> tuple[bool, bool, bool, int, int]:
    length, shows = len(branch.said), shows_steps(branch.said)
    return bool(branch.computed), branch.end != "stop", not shows, length if shows else -length, branch.index


def shows_steps(text: str) -> bool:
    """Whether a text says something beside its answer: it has a sentence, or a line, before its last one."""
    return len(pieces(text)) > 1


def agreement(count: int, answers: int, *, silent: int = 0, what: str = "branches") -> str:
    """Who agrees, in words: ``3 of 4 branches agree``.

    ``count`` of the ``answers`` are the same; ``silent`` more gave none. ``what`` they are called.
    """
    of = answers + silent
    if of == 1:
        return ALONE
    if count == of:
        return f"both {what} agree" if of == 2 else f"all {of} {what} agree"
    told = f"{count} of {of} {what} {'agree' if count > 1 else 'gave it'}"
    return f"{told}, {silent} gave no answer" if silent else told


def by_itself(sure: float) -> str:
    """What a single answer rests on of which the model was so ``sure``, a probability."""
    return f"one answer; the model was {min(int(100 * sure), 99)} % sure of it"


def basis(
    method: str,
    count: int,
    entropy: Entropy,
    *,
    kinds: int = 1,
    sure: float | None = None,
    what: str = "branches",
) -> str:
    """What the answer of a vote rests on: who agrees, whether that says anything, and what else settled it.

    ``count`` branches of so many ``kinds`` gave the answer that the merge called ``method`` made. ``sure`` is
    how sure of itself a single one is, if that is known. ``what`` they are called.
    """
    answers, settled = sum(entropy.counts), SETTLED_BY.get(method)
    of = answers + entropy.abstained
    if not count:
        return settled or (
            "no short answer was found" if of == 1 else f"none of {of} {what} came to a short answer"
        )
    if of == 1 and sure is not None and not settled:
        return by_itself(sure)
    told = agreement(count, answers, silent=entropy.abstained, what=OF_KINDS if kinds > 1 else what)
    if count > 1 and entropy.doubt is not None and entropy.abstained <= answers:
        told = f"{told}, but {entropy.doubt}"
    return f"{settled}; {told}" if settled and told != ALONE else told
