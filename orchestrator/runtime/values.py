"""What goes into a run and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.runtime.plain import OMITTED, UNWRITTEN, cut
from workers.calls import Usage

TOLD = 2_000
"""Characters of what either side said before a question that a judge or a verifier is told."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the conversation before a question: instructions, or what was asked and answered."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the material to answer from, and the choices of a multiple-choice question.

    ``history`` is the conversation before it, oldest first. ``format`` is the form that the text of the
    answer is to have: ``{"type": "json_object"}``, or ``{"type": "json_schema", "schema": …}``.
    """

    text: str
    context: str = ""
    choices: tuple[str, ...] = ()
    history: tuple[Turn, ...] = field(default=(), metadata={OMITTED: True})
    format: Mapping[str, Any] | None = field(default=None, hash=False, metadata={OMITTED: True})

    @property
    def told(self) -> str:
        """The question for whoever is told nothing else: after the last words of each side before it."""
        last = {turn.role: turn.content.strip() for turn in self.history if turn.role != "system"}
        before = [f"{role}: {cut(said, TOLD)}" for role, said in sorted(last.items(), reverse=True) if said]
        told = ["Before the question:", *before, "", "The question:", self.text]
        return "\n".join(told) if before else self.text


@dataclass(frozen=True, slots=True)
class Cluster:
    """Completions that mean the same: a representative claim and how many branches support it.

    ``weight`` is how many votes these have, where a branch may have more or fewer than one; else None.
    """

    claim: str
    count: int
    weight: float | None = field(default=None, metadata={OMITTED: True})

    @property
    def votes(self) -> float:
        """The votes of the branches that support it."""
        return self.count if self.weight is None else self.weight


@dataclass(frozen=True, slots=True)
class Dissent:
    """Another answer than the one that was given: its claim, how many gave it, and what one of them says."""

    claim: str
    count: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one branch of a vote came to: its number and kind, its claim (None: no answer), and its text."""

    branch: int
    kind: str
    claim: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a planner returns.

    ``claim`` is the short answer that was extracted from ``text``. ``confidence`` is in [0, 1]; ``entropy``
    is the discrete semantic entropy over the clusters, in nats; both are None if no branches were compared.
    ``undecided`` says, for people, why this is no answer to rely on: most branches gave none, or the only
    one was cut off.

    The rest explains the answer to people: it is cut where it is long, does not make an answer another one,
    and is not in the journal, since a replay makes it again. ``reasoning`` is the text that leads to the
    answer, where that is another one than ``text``; ``dissent`` are the other answers, the most frequent
    first. ``basis`` says in a few words what the answer rests on, as in ``3 of 4 branches agree``; None if
    that is one text, or what ``clusters`` show. ``doubtful`` says that counting decided without a majority.
    ``kinds`` are the kinds of branches that gave the answer, in order, where a vote asked in several ways.
    ``shown`` has, for claims that people are shown in another form, such as a rounded number, that form.
    ``method`` is the planner that gave the answer, where another one chose it. ``votes`` is what each branch
    of the vote came to that gave the answer, in the order of starting.
    """

    text: str
    claim: str | None = None
    confidence: float | None = None
    entropy: float | None = None
    clusters: tuple[Cluster, ...] = ()
    undecided: str | None = field(default=None, metadata={OMITTED: True})
    reasoning: str | None = field(default=None, compare=False, metadata={UNWRITTEN: True})
    dissent: tuple[Dissent, ...] = field(default=(), compare=False, metadata={UNWRITTEN: True})
    basis: str | None = field(default=None, compare=False, metadata={UNWRITTEN: True})
    doubtful: bool = field(default=False, compare=False, metadata={UNWRITTEN: True})
    kinds: tuple[str, ...] = field(default=(), compare=False, metadata={UNWRITTEN: True})
    shown: Mapping[str, str] = field(default_factory=dict, compare=False, metadata={UNWRITTEN: True})
    method: str | None = field(default=None, compare=False, metadata={UNWRITTEN: True})
    votes: tuple[Vote, ...] = field(default=(), compare=False, metadata={UNWRITTEN: True})

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of a run; None means unbounded. Reaching one ends the run with the best answer so far.

    ``tokens`` counts prompt and completion tokens of all calls, ``calls`` the calls started, ``depth`` the
    nesting of scopes, ``width`` the generations and tools in flight at any one time, ``seconds`` wall time,
    ``nodes`` the nodes of all kinds, with notes and decisions.
    """

    tokens: int | None = None
    calls: int | None = 10_000
    depth: int | None = 16
    width: int | None = 1_024
    seconds: float | None = 3_600.0
    nodes: int | None = 100_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large single things may be that a run stores, in characters of their JSON; None means unbounded.

    ``request`` bounds the prompt of one call or the arguments of one tool, ``tool_result`` what one tool
    returns, and ``answer`` all texts of an answer: larger ones are failures. ``value`` bounds what is
    kept of what a note, a merge, a scope or an error says, and ``label`` what is kept of the label of a
    node: of larger ones the rest is left out, with a mark in its place.
    """

    tool_result: int | None = None
    answer: int | None = None
    value: int | None = None
    label: int | None = None
    request: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used. ``cancelled_tokens`` are completion tokens of calls that were cancelled, and of
    those that had ended in code that ran ahead of a vote for nothing.
    """

    usage: Usage = field(default_factory=Usage)
    cancelled_tokens: int = 0
    calls: int = 0
