"""The merge ``synthesis``: where no answer has a majority, a model weighs one attempt for each of them.

After GenSelect (arXiv 2507.17797) and AggLM (arXiv 2509.06870), whose models are trained to do it; here any
model does. So votes count more: what it comes to stands only if branches came to it too, or if a verifier
accepts it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.consensus.equivalence import Cluster, Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.merging import numbered
from orchestrator.consensus.thinking import split_thinking
from orchestrator.runtime.messages import messages_of, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.ballot import Ballot
from orchestrator.voting.branches import LiveBranch
from orchestrator.voting.fitting import characters_left, shortened
from orchestrator.voting.judging import executed
from orchestrator.voting.standing import standing
from workers.calls import Completion

WRITE = (
    "\n\nSeveral attempts at this ended with the answers below; in brackets is how many ended so. "
    "Most of them may be wrong. Weigh them against the question and against each other, and give one answer "
    "in the form that is asked for above.\n\n"
)
"""What a model is told of texts that come to no short answer. Runs of the first edition told it of all."""

CHOOSE = (
    "\n\nSeveral attempts at this came to different answers, and no answer to most of them. For each answer "
    "one attempt is shown below, in an order that says nothing; in brackets is how many came to it. Any of "
    "them may be wrong. Check them step by step against the question and against each other, then give the "
    "right answer in the form that is asked for above.\n\n"
)

MOST: Final = 8
"""Answers that are shown, those with the most votes."""

READ: Final = 16_000
"""Characters of all attempts that are shown, at most."""

LEAST: Final = 200
"""Where there is less room than so many characters for an attempt, its answer alone is shown."""

Place = Callable[[int | None, Claim | None], Awaitable[int | None]]
"""Finds the cluster of a claim, which votes if it is that of a branch."""

_TAG = re.compile(r"<(?=\s*/?\s*[a-z_]+\s*>)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote, the cluster of what it claims, and the merge that it was, as the trace says."""

    text: str
    cluster: int | None
    method: str


class Synthesis:
    """What a model makes of the branches of a vote that have ``finished``, and their clusters."""

    def __init__(
        self, run: Verbs, ballot: Ballot, finished: Sequence[LiveBranch], clusters: Clusters
    ) -> None:
        self._run = run
        self._ballot = ballot
        self._finished = finished
        self._clusters = clusters

    async def written(self, place: Place) -> Written | None:
        """The answer; None if the votes decide: one has a majority, or the model gives none that stands.

        An answer has a majority if it has more than half of the votes for any. Without one, the entropy is at
        least ln 2.
        """
        if self._run.edition < 2 or not any(self._clusters.counts()):
            return await self._of_texts()
        return await self._of_answers(place)

    async def _of_texts(self) -> Written | None:
        """What is written from the distinct texts and answers, whatever it is."""
        given = {each.text: len(each.branches) for each in self._clusters.members if each.branches}
        for branch in self._finished:
            if branch.cluster is None and (text := branch.said.strip()):
                given[text] = given.get(text, 0) + 1
        if len(given) < 2:
            return None
        told = {"answers": len(given)}
        completion = await self._asked(WRITE, numbered(list(given), list(given.values())))
        if completion is None:
            self._run.decide("merge", "synthesis failed", told)
            return None
        self._run.decide("merge", "synthesis", told)
        claim = self._ballot.claim(completion.text, truncated=False)
        cluster = None if claim is None else self._clusters.add(None, claim)
        return Written(completion.text, cluster, "synthesis")

    async def _of_answers(self, place: Place) -> Written | None:
        """What is chosen of the answers, if it is one of them or the verifier accepts it."""
        counts = self._clusters.counts()
        told: dict[str, Any] = {"counts": counts}
        votes = [self._votes(cluster) for cluster in self._clusters.members]
        if 2 * max(votes) > math.fsum(votes):
            self._run.decide("merge", "no synthesis: one answer has a majority", told)
            return None
        completion = await self._asked(CHOOSE, *self._attempts())
        if completion is None:
            self._run.decide("merge", "synthesis failed", told)
            return None
        claim = await self._claim(completion)
        cluster = await place(None, claim)
        if claim is None or cluster is None:
            self._run.decide("merge", "synthesis gave no answer", told)
            return None
        told |= {"claim": claim.text, "cluster": cluster}
        given = cluster < len(counts) and counts[cluster] > 0
        accepted = await self._verdict(claim, cluster)
        if accepted is False or not (given or accepted):
            why = "refused by the verifier" if accepted is False else "the answer of no branch"
            self._run.decide("merge", f"synthesis dropped: {why}", told)
            return None
        self._run.decide("merge", "synthesis", told)
        return Written(completion.text, cluster, "accepted synthesis" if accepted else "choice")

    async def _claim(self, completion: Completion) -> Claim | None:
        """What the model claims; a program with its output, as those of the branches."""
        claim = self._ballot.claim(completion.text, truncated=False)
        if claim is None or self._ballot.outputs is None:
            return claim
        return executed(claim, await self._run.tool(self._ballot.outputs, [claim.text]).settled())

    async def _verdict(self, claim: Claim, cluster: int) -> bool | None:
        """What the verifier says of an answer; None if there is none, or it does not say."""
        said = {branch.verified for branch in self._finished if branch.cluster == cluster} - {None}
        if said or self._ballot.verifier is None:
            return any(said) if said else None
        arguments = {"question": self._ballot.told, "answer": claim.text}
        outcome = await self._run.tool(self._ballot.verifier, arguments).settled()
        value = outcome.value if isinstance(outcome, Succeeded) else None
        return value if isinstance(value, bool) else None

    async def _asked(self, *told: str) -> Completion | None:
        """What the model says to this beside the prompt of the vote; None if it does not come to its end."""
        outcome = await self._run.generate(
            [*messages_of(self._ballot.turn_of(0).prompt), user(*told)],
            label="synthesis",
            role=self._ballot.role,
            **self._ballot.sampling,
        ).settled()
        if not isinstance(outcome, Succeeded) or outcome.value.finish_reason != "stop":
            return None
        return outcome.value if split_thinking(outcome.value.text).answer.strip() else None

    def _attempts(self) -> list[str]:
        """One attempt for each answer, with how many came to it, in an order drawn by the seed."""
        given = [cluster for cluster in self._clusters.members if cluster.branches]
        shown = sorted(given, key=lambda cluster: -self._votes(cluster))[:MOST]
        each = self._room() // len(shown)
        of = sum(self._clusters.counts())
        self._run.random.shuffle(shown)
        return [
            f"<attempt>\n({len(cluster.branches)} of {of}) "
            f"{_TAG.sub('&lt;', shortened(self._text(cluster, each), max(each, LEAST)))}\n</attempt>\n"
            for cluster in shown
        ]

    def _votes(self, cluster: Cluster) -> float:
        return math.fsum(branch.votes for branch in self._finished if branch.cluster == cluster.index)

    def _text(self, cluster: Cluster, room: int) -> str:
        stands = standing(self._finished, cluster.index) if room >= LEAST else None
        if stands is None or (stands.computed and not stands.said):
            return cluster.text
        return f"{stands.said.strip()}\n\n{stands.computed}".strip()

    def _room(self) -> int:
        return characters_left(
            self._run.capabilities.max_model_len,
            [branch.node.value for branch in self._finished],
            reply=self._ballot.max_tokens,
            most=READ,
        )
