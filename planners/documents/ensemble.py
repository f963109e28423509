"""The baseline: each chunk answers by itself, and their answers vote with weights.

It is what is left of parallel context windows (PCW, arXiv 2212.10947) where the attention of the model cannot
be changed: no chunk knows of the others, so what takes facts of two is beyond it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from orchestrator.consensus.asked import claim_for
from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Failed, Node, Succeeded
from orchestrator.runtime.values import Answer, Cluster, Dissent, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.splitting import unless_split
from planners.documents.chunks import Chunk
from planners.documents.lengths import Room
from planners.documents.matter import Matter
from planners.documents.prompts import ALONE, over
from planners.forking import waves
from planners.questions import said
from workers.calls import Completion

BOX: Final = "\\boxed{"
"""What a chunk that answers has in its text; all else, such as "nothing", is no answer."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a chunk says: its claim, if it has one, and the mean confidence of its tokens, if known."""

    text: str
    claim: Claim | None
    confidence: float | None


async def answers_alone(
    run: Run, question: Question, matter: Matter, chunks: Sequence[Chunk], room: Room, temperature: float
) -> tuple[Answer, list[Chunk]]:
    """The answer with the most weight, and the chunks whose calls failed.

    An answer weighs as much as the mean confidence of its tokens; all weigh the same where the engine gives
    no log-probabilities.

    Raises:
        NodeFailed: no chunk gave a completion.
    """
    asked: list[Node[Completion]] = []
    run.propose(lambda: elected(question, [_vote(question, each) for each in asked if _ended(each)]))
    for wave in waves(list(enumerate(chunks, 1)), run.budget.width):
        asked += [
            run.generate(
                over(matter.shown(chunk), ALONE, question),
                label=f"chunk {number} alone",
                scored=run.capabilities.logprobs,
                temperature=temperature,
                max_tokens=room.answer,
            )
            for number, chunk in wave
        ]
        await run.outcomes(asked)
    if not any(map(_ended, asked)):
        await next((node for node in asked if isinstance(node.outcome, Failed)), asked[0])  # raises
    votes = {number: _vote(question, node) for number, node in enumerate(asked, 1) if _ended(node)}
    claims = {
        str(number): [vote.claim.text, None if vote.confidence is None else round(vote.confidence, 6)]
        for number, vote in votes.items()
        if vote.claim is not None
    }
    saw = {"claims": claims, "silent": len(votes) - len(claims), "failed": len(asked) - len(votes)}
    run.decide("ensemble", f"{len(claims)} of {len(asked)} chunks answer", saw)
    answer = elected(question, list(votes.values()))
    failed = [chunk for chunk, node in zip(chunks, asked, strict=True) if not _ended(node)]
    return answer or Answer(""), failed


def elected(question: Question, votes: Sequence[Vote]) -> Answer | None:
    """The answer with the most weight, of equal ones the first; None if nobody has said anything."""
    if not votes:
        return None
    clusters = Clusters(choices=labels(question.choices))
    gave = [(clusters.add(at, vote.claim), vote) for at, vote in enumerate(votes) if vote.claim is not None]
    if not gave:
        nothing = f"none of {len(votes)} chunks answers the question by itself"
        return Answer(max((vote.text for vote in votes), key=len), undecided=nothing)
    known = all(vote.confidence is not None for _, vote in gave)
    weights: defaultdict[int, float] = defaultdict(float)
    for cluster, vote in gave:
        weights[cluster] += vote.confidence or 0.0 if known else 1.0
    counts = clusters.counts()
    ranked = sorted(weights, key=lambda at: (-weights[at], at))
    winner, *others = ranked
    total = sum(weights.values())
    texts = {at: next(vote.text for cluster, vote in gave if cluster == at) for at in ranked}
    by = "most weight by confidence" if known else "most votes"
    return unless_split(
        Answer(
            texts[winner],
            clusters.members[winner].text,
            confidence=weights[winner] / total if total else None,
            entropy=discrete(counts).nats if len(gave) > 1 else None,
            clusters=tuple(Cluster(clusters.members[at].text, counts[at]) for at in ranked),
            dissent=tuple(Dissent(clusters.members[at].text, counts[at], texts[at]) for at in others),
            basis=f"the {by}: {counts[winner]} of the {len(gave)} chunks that answer by themselves",
            doubtful=2 * counts[winner] <= len(gave),
        )
    )


def _ended(node: Node[Completion]) -> bool:
    return isinstance(node.outcome, Succeeded)


def _vote(question: Question, node: Node[Completion]) -> Vote:
    completion, text = node.value, said(node.value)
    claim = None
    if BOX in text and completion.finish_reason == "stop":
        claim = claim_for(question.text, text, choices=labels(question.choices), truncated=False)
    confidences = completion.confidences
    return Vote(text, claim, fmean(confidences) if confidences else None)
