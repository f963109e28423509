"""The ``vote`` verb: sampled branches, judged as they arrive, stopped when they agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim, extract_claim
from orchestrator.consensus.merging import majority
from orchestrator.consensus.stopping import (
    Branch,
    Cancel,
    Continue,
    Decision,
    Expand,
    Signal,
    Stop,
    StopRule,
    View,
)
from orchestrator.errors import InvalidRequest, NodeFailed, PlannerError
from orchestrator.judging import Judge, Judging, methods
from orchestrator.messages import Draft
from orchestrator.nodes import Arrivals, Cancelled, Failed, Node, Succeeded
from orchestrator.values import Answer, Cluster
from workers.calls import Completion
from workers.tools.registry import tool

if TYPE_CHECKING:
    from orchestrator.run import Run


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a vote is about. ``sampling`` holds keyword arguments of :meth:`Run.generate`.

    ``question`` is what a judge is told of; ``judge`` says who compares claims in free text.
    """

    prompt: Draft
    rule: StopRule
    choices: tuple[str, ...]
    question: str
    judge: Judge
    sampling: Mapping[str, Any]


SIGNALS: frozenset[Signal] = frozenset()
"""What a vote can tell a rule beyond arrivals. Probes, confidences, verdicts and the progress of running
branches are not among it: such rules are for recorded branches and for planners of their own."""


@tool(timeout=86_400.0)
async def alarm(seconds: float) -> None:
    """Wait so many seconds. A tool, so that a replay is told when it rang and does not wait."""
    await asyncio.sleep(seconds)


def check_rule(rule: StopRule) -> StopRule:
    """The rule, if a vote can give it the signals that it needs.

    Raises:
        InvalidRequest: names the signals that are missing.
    """
    if missing := rule.needs - SIGNALS:
        raise InvalidRequest(
            f"rule {rule.spec} needs {', '.join(sorted(missing))}, which a vote cannot give it"
        )
    return rule


async def hold_vote(run: Run, ballot: Ballot) -> Answer:
    """Start branches as the rule asks, cluster what arrives, and merge when the rule stops.

    Raises:
        NodeFailed: no branch gave a completion.
        PlannerError: the rule ended the vote before a branch gave or failed to give one.
    """
    vote = _Vote(run, ballot)
    vote.start(ballot.rule.initial)
    async for node in vote.arrivals:
        if node is not vote.alarm:
            vote.seen(node, await vote.place(node))
        while not isinstance(decision := ballot.rule.decide(vote.view()), Continue | Stop):
            vote.carry_out(decision)
        vote.write_down(node, decision)
        if isinstance(decision, Stop):
            return vote.answer(decision.winner)
        vote.wake_in(decision.wake)
        if isinstance(node.outcome, Succeeded):
            run.propose(lambda: vote.answer(None))
    return vote.answer(None)


class _Vote:
    """The state of one vote: who runs, who finished where."""

    def __init__(self, run: Run, ballot: Ballot) -> None:
        self._run = run
        self._ballot = ballot
        self._clusters = Clusters(choices=ballot.choices, costly=methods(run, ballot.judge))
        self._judging = Judging(run, ballot.question, ballot.judge)
        self._branches: list[Node[Completion]] = []
        self._finished: dict[int, Branch] = {}
        self._started_at = run.now
        self.arrivals: Arrivals[Any] = run.arrivals()
        self.alarm: Node[Any] | None = None

    def start(self, count: int) -> None:
        for _ in range(count):
            label = f"branch {len(self._branches)}"
            branch = self._run.generate(self._ballot.prompt, label=label, **self._ballot.sampling)
            self._branches.append(branch)
            self.arrivals.add(branch)

    def wake_in(self, seconds: float | None) -> None:
        """Ask the rule again after so many seconds, unless a branch arrives before."""
        if self.alarm is not None:
            self.alarm.cancel("a branch arrived before")
        self.alarm = None if seconds is None else self._run.tool(alarm, {"seconds": seconds})
        if self.alarm is not None:
            self.arrivals.add(self.alarm)

    async def place(self, node: Node[Completion]) -> int | None:
        """The cluster of a branch's claim; None where it failed or claims nothing."""
        claim = self._claim(node)
        if claim is None:
            return None
        verdicts = await self._judging.verdicts(self._clusters.open_pairs(claim))
        return self._clusters.add(self._branches.index(node), claim, verdicts)

    def _claim(self, node: Node[Completion]) -> Claim | None:
        if not isinstance(node.outcome, Succeeded):
            return None
        completion = node.outcome.value
        truncated = completion.finish_reason != "stop"
        return extract_claim(completion.text, choices=self._ballot.choices, truncated=truncated)

    def seen(self, node: Node[Completion], cluster: int | None) -> None:
        if isinstance(node.outcome, Succeeded):
            index = self._branches.index(node)
            self._finished[index] = Branch(index, cluster, tokens=node.usage.completion_tokens)

    def view(self) -> View:
        """What the rule may know."""
        running, lost = [], []
        for index, node in enumerate(self._branches):
            if node.outcome is None:
                running.append(Branch(index))
            elif isinstance(node.outcome, Failed | Cancelled):
                lost.append(Branch(index, tokens=node.usage.completion_tokens))
            elif index not in self._finished:
                running.append(Branch(index))  # it has arrived, but its turn comes next
        calls = self._run.budget.calls
        room = self._ballot.rule.limit - len(self._branches)
        return View(
            finished=tuple(self._finished.values()),
            running=tuple(running),
            lost=tuple(lost),
            room=max(0, room if calls is None else min(room, calls)),
            elapsed=self._run.now - self._started_at,
        )

    def carry_out(self, decision: Decision) -> None:
        match decision:
            case Expand(by, seen):
                self._run.decide(self._ballot.rule.spec, "expand", {**seen, "by": by})
                self.start(by)
            case Cancel(branches, seen):
                self._run.decide(self._ballot.rule.spec, "cancel", {**seen, "branches": branches})
                for index in branches:
                    self._branches[index].cancel("its stop rule gave it up")
            case _:
                raise AssertionError(decision)

    def write_down(self, node: Node[Completion], decision: Continue | Stop) -> None:
        """One line of the trace for each arrival: where it went, and what the rule made of it."""
        index = None if node is self.alarm else self._branches.index(node)
        branch = None if index is None else self._finished.get(index)
        cluster = None if branch is None else branch.cluster
        saw: dict[str, Any] = {"branch": index, "cluster": cluster, "counts": self._clusters.counts()}
        if cluster is not None:
            saw["claim"] = self._clusters.members[cluster].text
        if (nats := self._entropy()) is not None:
            saw["entropy"] = round(nats, 6)
        verdict = f"stop: {decision.reason}" if isinstance(decision, Stop) else "continue"
        self._run.decide(self._ballot.rule.spec, verdict, {**decision.seen, **saw})

    def _entropy(self) -> float | None:
        abstained = sum(branch.cluster is None for branch in self._finished.values())
        return discrete(self._clusters.counts(), abstained=abstained).nats

    def answer(self, winner: int | None) -> Answer:
        """The answer as it stands; the text is that of the first branch that gave the winning answer."""
        texts = [cluster.text for cluster in self._clusters.members]
        merged = majority(self.view(), texts, winner=winner)
        clusters = tuple(
            Cluster(cluster.text, len(cluster.branches))
            for cluster in sorted(self._clusters.members, key=lambda cluster: -len(cluster.branches))
        )
        if merged.winner is None:
            return Answer(self._without_claim(), clusters=clusters)
        first = self._branches[self._clusters.members[merged.winner].branches[0]]
        return Answer(first.value.text, merged.text, merged.confidence, self._entropy(), clusters)

    def _without_claim(self) -> str:
        """Any completion at all, where no branch came to a short answer."""
        texts = [node.value.text for node in self._branches if isinstance(node.outcome, Succeeded)]
        if texts:
            return max(texts, key=len)
        for node in self._branches:
            if isinstance(node.outcome, Failed):
                raise NodeFailed(node.path, node.outcome.failure)
        raise PlannerError("the vote ended before any of its branches")


def labels(choices: Sequence[str]) -> tuple[str, ...]:
    """The letters under which choices are offered: A, B, C, …"""
    return tuple(chr(ord("A") + index) for index in range(len(choices)))
