"""The ``vote`` verb: sampled branches, judged as they arrive, stopped when they agree."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import Cancel, Continue, Copy, Decision, Expand, Stop
from orchestrator.runtime.nodes import Arrivals, Node, Succeeded
from orchestrator.runtime.tentative import TentativeVerbs
from orchestrator.runtime.values import Answer
from orchestrator.voting.ballot import BRANCH_STEP, Ballot
from orchestrator.voting.branches import LiveBranch
from orchestrator.voting.judging import Judging, executed
from orchestrator.voting.poll import Poll
from workers.tools.declaration import tool

Step = Literal["branch", "probe", "reading", "outputs", "verdict"]


@tool(timeout=86_400.0)
async def alarm(seconds: float) -> None:
    """Wait so many seconds. A tool, so that a replay is told when it rang and does not wait."""
    await asyncio.sleep(seconds)


async def hold_vote(run: TentativeVerbs, ballot: Ballot) -> Answer:
    """Start branches as the rule asks, cluster what arrives, and merge when the rule stops.

    Raises:
        NodeFailed: no branch gave a completion.
        PlannerError: the rule ended the vote before any branch gave a completion or failed.
    """
    vote = _Vote(run, ballot)
    vote.start(ballot.rule.initial)
    async for node in vote.arrivals:
        branch = await vote.take(node)
        if branch is not None and vote.not_counted_yet(branch):
            continue
        while not isinstance(decision := ballot.rule.decide(vote.poll.view()), Continue | Stop):
            vote.carry_out(decision)
        vote.write_down(branch, decision)
        if isinstance(decision, Stop):
            return await vote.poll.merge(decision.winner, vote.place)
        vote.wake_in(decision.wake)
        if isinstance(node.outcome, Succeeded):
            run.propose(vote.poll.answer)
            run.preview(vote.poll.leading, node)
    return await vote.poll.merge(None, vote.place)


class _Vote:
    """A vote in progress: what it waits for, and what it does with what arrives."""

    def __init__(self, run: TentativeVerbs, ballot: Ballot) -> None:
        self.poll = Poll(run, ballot)
        self.arrivals: Arrivals[Any] = run.arrivals()
        self._run = run
        self._ballot = ballot
        self._judging = Judging(run, ballot.question, ballot.judge, ballot.told)
        self._steps: dict[str, tuple[Step, LiveBranch]] = {}
        self._alarm: Node[Any] | None = None
        self._offset = run.random.random() if ballot.draws == "arithmetic" else None

    def start(self, count: int) -> None:
        """Start ``count`` more branches."""
        for _ in range(count):
            index, cut_off = len(self.poll.branches), self.poll.kinds_cut_off()
            self._add(LiveBranch(self._run, self._ballot, index, cut_off=cut_off, code=self._code(index)))

    def copy(self, index: int, segments: int) -> None:
        """Start one more branch, which goes on from the first segments of another one."""
        of, number = self.poll.branches[index], len(self.poll.branches)
        code = self._code(number)
        self._add(LiveBranch(self._run, self._ballot, number, code=code, copy_of=of, inherited=segments))

    def _code(self, number: int) -> float | None:
        """Where arithmetic sampling begins to draw a branch: a step from the branch of its turn before it."""
        if self._offset is None:
            return None
        return (self._offset + number / (1 + len(self._ballot.turns)) * BRANCH_STEP) % 1.0

    def _add(self, branch: LiveBranch) -> None:
        self.poll.branches.append(branch)
        self._await(branch.node, "branch", branch)

    def wake_in(self, seconds: float | None) -> None:
        """Ask the rule again after ``seconds``, unless a branch arrives first."""
        if self._alarm is not None:
            self._alarm.cancel("a branch arrived before")
        self._alarm = None if seconds is None else self._run.tool(alarm, {"seconds": seconds})
        if self._alarm is not None:
            self.arrivals.add(self._alarm)

    def _await(self, node: Node[Any], step: Step, branch: LiveBranch) -> None:
        self._steps[node.path] = step, branch
        self.arrivals.add(node)

    # -- what arrives -----------------------------------------------------------------------------

    async def take(self, node: Node[Any]) -> LiveBranch | None:
        """Take in what has settled; returns the branch that it belongs to, None for the alarm."""
        if node.path not in self._steps:
            return None
        step, branch = self._steps.pop(node.path)
        if branch.given_up and step != "probe":
            return branch
        value = node.outcome.value if isinstance(node.outcome, Succeeded) else None
        match step:
            case "branch" if value is not None:
                branch.take(value)
                if branch.conclude():
                    self._await(branch.node, "branch", branch)
                elif not branch.lost:
                    await (self._finish(branch) if branch.ended else self._go_on(branch))
            case "branch":
                if branch.fall_back() and not branch.lost:
                    await self._count(branch, None)
            case "probe":
                claim = None if value is None else branch.forced_claim(value)
                branch.probes.append(await self.place(None, claim))
            case "reading":
                assert node.outcome is not None
                if branch.correct(node.outcome):
                    self._await(branch.node, "branch", branch)
                else:
                    await self._count(branch, branch.read(branch.claim(), node.outcome))
            case "outputs":
                claim = branch.claim()
                ran = None if claim is None or node.outcome is None else executed(claim, node.outcome)
                await self._count(branch, ran)
            case "verdict":
                branch.verified = value if isinstance(value, bool) else None
                self.poll.count(branch)
        return branch

    async def _go_on(self, branch: LiveBranch) -> None:
        if "probes" in self._ballot.rule.needs:
            self._await(branch.probe(), "probe", branch)
        branch.go_on()
        self._await(branch.node, "branch", branch)

    async def _finish(self, branch: LiveBranch) -> None:
        claim = branch.claim()
        if branch.turn.reading is not None and branch.end == "stop":
            said = [branch.said, "" if claim is None else claim.text]
            self._await(self._run.tool(branch.turn.reading, said), "reading", branch)
        elif claim is None or self._ballot.outputs is None:
            await self._count(branch, claim)
        else:
            self._await(self._run.tool(self._ballot.outputs, [claim.text]), "outputs", branch)

    async def _count(self, branch: LiveBranch, claim: Claim | None) -> None:
        branch.cluster = await self.place(branch.index, claim)
        if claim is None or self._ballot.verifier is None:
            self.poll.count(branch)
        else:
            arguments = {"question": self._ballot.told, "answer": claim.text}
            self._await(self._run.tool(self._ballot.verifier, arguments), "verdict", branch)

    async def place(self, index: int | None, claim: Claim | None) -> int | None:
        """The cluster of a claim, or None if there is no claim."""
        if claim is None:
            return None
        verdicts = await self._judging.verdicts(self.poll.clusters.open_pairs(claim))
        return self.poll.clusters.add(index, claim, verdicts)

    def not_counted_yet(self, branch: LiveBranch) -> bool:
        """Whether a branch has ended but a tool still has to run or verify its answer."""
        return branch.ended and not branch.lost and branch not in self.poll.finished

    # -- what the rule decides --------------------------------------------------------------------

    def carry_out(self, decision: Decision) -> None:
        """Expand, cancel or copy."""
        match decision:
            case Expand(by, seen):
                self._run.decide(self._ballot.rule.spec, "expand", {**seen, "by": by})
                self.start(by)
            case Cancel(branches, seen):
                self._run.decide(self._ballot.rule.spec, "cancel", {**seen, "branches": branches})
                for index in branches:
                    self.poll.branches[index].cancel("its stop rule gave it up")
            case Copy(branches, segments, seen):
                first = len(self.poll.branches)
                saw = {"of": branches, "as": list(range(first, first + len(branches))), "segments": segments}
                self._run.decide(self._ballot.rule.spec, "copy", {**seen, **saw})
                for index in branches:
                    self.copy(index, segments)
            case _:
                raise AssertionError(decision)

    def write_down(self, branch: LiveBranch | None, decision: Continue | Stop) -> None:
        """One line of the trace for each arrival: where it went, and what the rule made of it."""
        clusters = self.poll.clusters
        saw: dict[str, Any] = {
            "branch": None if branch is None else branch.index,
            "cluster": None if branch is None else branch.cluster,
            "counts": clusters.counts(),
        }
        if branch is not None and branch.cluster is not None:
            saw["claim"] = clusters.members[branch.cluster].text
        if branch is not None:
            saw |= branch.told()
        if branch is not None and branch.probes:
            saw["probe"] = branch.probes[-1]
        if branch is not None and branch.verified is not None:
            saw["verified"] = branch.verified
        entropy = self.poll.entropy()
        if entropy.nats is not None:
            saw["entropy"] = round(entropy.nats, 6)
        verdict = f"stop: {decision.reason}" if isinstance(decision, Stop) else "continue"
        self._run.decide(self._ballot.rule.spec, verdict, {**decision.seen, **saw})
