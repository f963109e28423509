"""A vote as it stands: which branches have finished in which cluster, and the one answer that results."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.consensus.entropy import Entropy, Sample, guarded
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.merging import (
    Merged,
    majority,
    medoid,
    overlaps,
    ranked,
    verified,
    weighted,
)
from orchestrator.consensus.rounding import shown_as
from orchestrator.consensus.stopping import Branch, View
from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import NodeFailed, PlannerError
from orchestrator.runtime.nodes import Failed
from orchestrator.runtime.values import Answer, Cluster, Dissent, Vote
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.abstaining import all_cut_off, most_abstained
from orchestrator.voting.ballot import Ballot
from orchestrator.voting.branches import FORCE, LiveBranch
from orchestrator.voting.judging import methods
from orchestrator.voting.standing import FORCED, KNOWING, WRITTEN, basis, standing
from orchestrator.voting.synthesis import Place, Synthesis
from workers.calls import Completion


@dataclass(frozen=True, slots=True)
class Leading:
    """The answer that a vote would end with as it stands, with the votes for it and for the next one."""

    answer: Answer
    votes: float
    next: float


class Poll:
    """The branches of a vote, in starting order and (``finished``) in arrival order, and their clusters."""

    def __init__(self, run: Verbs, ballot: Ballot) -> None:
        self.branches: list[LiveBranch] = []
        self.finished: list[LiveBranch] = []
        self.clusters = Clusters(choices=ballot.choices, costly=methods(run, ballot.judge))
        self._run = run
        self._ballot = ballot
        self._started_at = run.now
        self._counted: list[Branch] = []
        self._samples: list[Sample] = []

    def count(self, branch: LiveBranch) -> None:
        """Count a branch from which nothing more is expected."""
        self.finished.append(branch)
        self._counted.append(branch.view())
        self._samples.append(Sample(branch.cluster, branch.text, draw=branch.draw, weight=branch.votes))

    def kinds_cut_off(self) -> list[str]:
        """The kinds of the branches that were cut off, also of those that were made to conclude."""
        return [branch.turn.kind for branch in self.branches if branch.cut_short or branch.concluded]

    def view(self) -> View:
        """What a stop rule may know."""
        counted = {branch.index for branch in self._counted}
        lost, running = [], []
        for branch in self.branches:
            if branch.lost:
                lost.append(branch.view())
            elif branch.index not in counted:
                running.append(branch.view())
        room, calls = self._ballot.rule.limit - len(self.branches), self._run.budget.calls
        return View(
            finished=tuple(self._counted),
            # To the rule, a branch that has arrived but has yet to be counted is still running.
            running=tuple(running),
            lost=tuple(lost),
            room=max(0, room if calls is None else min(room, calls)),
            elapsed=self._run.now - self._started_at,
            heaviest=max(self._ballot.votes),
        )

    def entropy(self) -> Entropy:
        """How much the branches disagree; undefined if their agreement says nothing."""
        temperature = self._ballot.sampling["temperature"]
        return guarded(self._samples, temperature=temperature, by_text=self._run.copies_by_text)

    def answer(self) -> Answer:
        """The answer by plain counting, as the vote stands."""
        return self._elected(majority(self.view(), self._texts()))

    def leading(self) -> Leading | None:
        """What leads; None if nothing does, or if it is not by its branches that the vote is decided."""
        if self._ballot.merge in ("medoid", "synthesis"):
            return None
        merged = self._elect(None)
        if merged.winner is None:
            return None
        # Rounded, as sums of weights that should be whole may fall short of that by a little.
        votes = {cluster: round(given, 6) for cluster, given in self.view().tally().weights.items()}
        given = votes.pop(merged.winner, 0)
        return Leading(self._elected(merged), given, max(votes.values(), default=0))

    async def merge(self, winner: int | None, place: Place) -> Answer:
        """The answer by the merge that the ballot asks for; ``winner`` is what the stop rule decided.

        ``place`` finds the cluster of a claim that no branch made. The trace records which merge ran and what
        it was based on. A merge that cannot run gives way to the majority.

        Raises:
            NodeFailed: no branch gave a completion, and at least one failed.
            PlannerError: no branch gave a completion, and none failed.
        """
        answer = None
        if self._ballot.merge == "medoid":
            answer = self._medoid()
        elif self._ballot.merge == "synthesis":
            written = await Synthesis(self._run, self._ballot, self.finished, self.clusters).written(place)
            if written is not None:
                answer = self._with_share(written.text, written.cluster, written.method)
        if answer is not None:
            return answer
        merged = self._elect(winner)
        weights = {str(cluster): round(weight, 6) for cluster, weight in merged.counts.items()}
        self._run.decide("merge", merged.method, {"winner": merged.winner, "weights": weights})
        return self._elected(merged)

    def _elect(self, winner: int | None) -> Merged:
        view, texts = self.view(), self._texts()
        match self._ballot.merge:
            case "confidence" as method:
                scores = {branch.index: branch.scores.mean for branch in self.finished}
                return weighted(view, texts, scores, method=method)
            case "borda" as method:
                scores = {branch.index: branch.scores.mean for branch in self.finished if branch.scores.known}
                return weighted(view, texts, ranked(scores), method=method)
            case "inverse_entropy" as method:
                scores = {branch.index: branch.scores.inverse_entropy for branch in self.finished}
                return weighted(view, texts, scores, method=method)
            case "verifier":
                return verified(view, texts)
            case _:
                return majority(view, texts, winner=winner)

    def _elected(self, merged: Merged) -> Answer:
        """An answer with the text of the first branch that gave the winning one, if one does, in words."""
        if merged.winner is None:
            return self._described(Answer(self._without_claim()), None, merged.method)
        gave = [branch for branch in self.finished if branch.cluster == merged.winner]
        by = min(gave, key=lambda branch: bool(branch.computed), default=None)
        if by is None:
            text = self._forced_text(merged.winner)
        else:
            text = f"{by.text.rstrip()}\n\n{by.computed}" if by.computed else by.text
        return self._described(Answer(text, merged.text, merged.confidence), merged.winner, merged.method)

    def _medoid(self) -> Answer | None:
        """The completion that has the most in common with all others; those that came to their end first."""
        ended = [each for each in self.finished if _finished(each.node.value, each.said)] or self.finished
        if not ended:
            return None
        texts = [branch.said for branch in ended]
        at = medoid(overlaps(texts))
        self._run.decide("merge", "medoid", {"branch": ended[at].index, "of": len(texts)})
        return self._with_share(texts[at], ended[at].cluster, "medoid")

    # -- how an answer is described ---------------------------------------------------------------

    def _texts(self) -> list[str]:
        return [cluster.text for cluster in self.clusters.members]

    def _with_share(self, text: str, cluster: int | None, method: str) -> Answer:
        """An answer that was not elected: its confidence is the share of the votes for it."""
        if cluster is None:
            return self._described(Answer(text), None, method)
        votes = sum(branch.votes for branch in self.finished if branch.cluster == cluster)
        share = votes / (sum(branch.votes for branch in self.finished) or 1)
        return self._described(Answer(text, self._texts()[cluster], share), cluster, method)

    def _described(self, answer: Answer, winner: int | None, method: str) -> Answer:
        """The answer without thinking, with what it rests on. Agreement that says nothing gives no number."""
        entropy = self.entropy()
        undecided = None if method == "accepted synthesis" else self._undecided(answer)
        kinds, sure = self._kinds(winner), self._sure()
        confidence = sure if entropy.nats is None else answer.confidence
        given = [cluster for cluster in self.clusters.members if cluster.branches]
        weights = {
            cluster.index: sum(self.branches[branch].votes for branch in cluster.branches)
            for cluster in given
        }
        heaviest_first = sorted(given, key=lambda cluster: -weights[cluster.index])
        counts = {cluster.index: len(cluster.branches) for cluster in heaviest_first}
        stands = {index: standing(self.finished, index) for index in counts}
        # What a merge has written or picked is its own reasoning.
        by = None if winner is None or method in WRITTEN else stands.get(winner)
        votes, weight = (0, 0.0) if winner is None else (counts.get(winner, 0), weights.get(winner, 0))
        equal = all(branch.votes == 1 for branch in self.branches)
        forced = winner is not None and not votes and method not in WRITTEN
        return replace(
            answer,
            text=split_thinking(answer.text).answer or answer.claim or "",
            confidence=None if undecided else confidence,
            entropy=entropy.nats,
            undecided=undecided,
            clusters=tuple(
                Cluster(each.text, counts[each.index], None if equal else weights[each.index])
                for each in heaviest_first
            ),
            reasoning=None if by is None else by.said.strip(),
            dissent=tuple(
                Dissent(cluster.text, counts[cluster.index], stood.said.strip())
                for cluster in heaviest_first
                if cluster.index != winner and (stood := stands[cluster.index]) is not None
            ),
            basis=FORCED if forced else basis(method, votes, entropy, kinds=len(kinds), sure=sure),
            kinds=tuple(sorted(filter(None, kinds))),
            doubtful=method not in KNOWING and 0 < 2 * weight <= sum(weights.values()),
            shown=self._shown(),
            votes=self._votes(),
        )

    def _votes(self) -> tuple[Vote, ...]:
        """What each branch that finished came to, in the order of starting."""
        texts = self._texts()
        return tuple(
            Vote(each.index, each.turn.kind, None if each.cluster is None else texts[each.cluster], each.said)
            for each in sorted(self.finished, key=lambda branch: branch.index)
        )

    def _shown(self) -> dict[str, str]:
        """How people are shown claims that they would not write as they are."""
        computed = {branch.computed for branch in self.finished}
        told = {
            cluster.text: shown_as([form.text for form in cluster.forms], computed, self._ballot.question)
            for cluster in self.clusters.members
        }
        return {claim: text for claim, text in told.items() if text != claim}

    def _kinds(self, cluster: int | None) -> set[str]:
        """The kinds of the branches that gave an answer."""
        return {branch.turn.kind for branch in self.finished if branch.cluster == cluster}

    def _sure(self) -> float | None:
        """How sure a single answer is of itself, if that was asked for; agreement would say nothing of it."""
        return self.finished[0].sure if len(self.finished) == 1 else None

    def _undecided(self, answer: Answer) -> str | None:
        """Why the vote is undecided; None if it is decided, by counting or by something that knows better."""
        if self._known_better(answer):
            return None
        if (refused := self._refused(answer)) and self._run.edition >= 3:
            return refused
        ended, limit = self.finished, max((each.length for each in self.branches), default=0)
        whole = self._ballot.merge in ("medoid", "synthesis")  # they need no short answers
        silent = [
            each.end
            for each in ended
            if (not _finished(each.node.value, each.said) if whole else each.cluster is None)
        ]
        came = [(each.end, each.tokens) for each in self.branches if each in ended or each.cut_short]
        return all_cut_off(came, limit) or most_abstained(silent, len(ended), limit)

    def _known_better(self, answer: Answer) -> bool:
        """Whether a verifier accepted the answer, or branches agreed on it that were made to answer."""
        cluster = next((at for at, text in enumerate(self._texts()) if text == answer.claim), None)
        if cluster is None:
            return False
        gave = [branch for branch in self.finished if branch.cluster == cluster]
        return any(branch.verified for branch in gave) or (not gave and bool(self._forced(cluster)))

    def _refused(self, answer: Answer) -> str | None:
        """What to say of an answer that a verifier refused; also of none, if it refused all there were."""
        texts = self._texts()
        claims = {texts[each.cluster] for each in self.finished if each.cluster is not None}
        refused = {
            texts[each.cluster]
            for each in self.finished
            if each.verified is False and each.cluster is not None
        }
        if answer.claim in refused:
            return f"the verifier refused {answer.claim!r}"
        all_were = bool(refused) and refused == claims
        return "the verifier refused all answers" if all_were and answer.claim is None else None

    def _forced(self, cluster: int) -> list[LiveBranch]:
        """The branches that were made to give this answer before they had finished."""
        return [branch for branch in self.branches if branch.probes and branch.probes[-1] == cluster]

    def _forced_text(self, cluster: int) -> str:
        """The text of the branch that came furthest of those that were made to give this answer."""
        furthest = max(self._forced(cluster), key=lambda branch: branch.tokens, default=None)
        said = "" if furthest is None else furthest.text
        return f"{said}{FORCE}{self._texts()[cluster]}}}"

    def _without_claim(self) -> str:
        """The longest completion, for a vote in which no branch came to a short answer."""
        texts = [branch.said for branch in self.branches if branch.ended or branch.text]
        if texts:
            return max(texts, key=len)
        for branch in self.branches:
            if isinstance(branch.node.outcome, Failed):
                raise NodeFailed(branch.node.path, branch.node.outcome.failure)
        raise PlannerError("the vote ended before any of its branches")


def _finished(completion: Completion, said: str) -> bool:
    """Whether a completion came to its end, and something is said beside its thinking."""
    return completion.finish_reason == "stop" and bool(said.strip())
