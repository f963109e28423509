"""Votes on one question, one after the other: what each came to, and what the next is shown of it.

What a later round is shown follows SEAT (arXiv 2507.06829), whose text was not at hand; the prompt is ours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import Round, parse_round_rule
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.splitting import unless_split
from orchestrator.voting.standing import agreement, shows_steps
from planners.questions import slot
from planners.vote import solving

AGAIN = (
    "\nEarlier attempts ended with the answers below, in no particular order. They disagree, so some are "
    "wrong, and all may be. Solve the problem again by yourself, check your result against them, and end in "
    "the same form.\n"
)

MOST_SHOWN = 16
"""Answers that a round is shown at most where some may be left out."""


def known_round_rule(spec: str) -> str:
    """A rule between rounds that exists.

    Raises:
        RuleError: the message says what would be right.
    """
    parse_round_rule(spec)
    return spec


class Attempts:
    """The rounds so far: their answers, and what they have shown (``seen``).

    Answers of different rounds are the same if their claims are.
    """

    def __init__(self, question: Question) -> None:
        self.answers: list[Answer] = []
        self.seen: list[Round] = []
        self._question = question
        self._claims = Clusters(choices=labels(question.choices))
        self._counts: Counter[int] = Counter()
        self._votes: defaultdict[int, float] = defaultdict(int)
        self._told: set[int] = set()

    def add(self, answer: Answer, informed: Sequence[bool]) -> None:
        """Take in the next round; ``informed`` says of each turn of its vote whether it was shown answers."""
        votes = [cluster.votes for cluster in answer.clusters]
        for cluster in answer.clusters:
            self._counts[self._claim(cluster.claim)] += cluster.count
            self._votes[self._claim(cluster.claim)] += cluster.votes
        winner = None if answer.claim is None else self._claim(answer.claim)
        support = max(votes, default=0) / (sum(votes) or 1)
        self.answers.append(answer)
        self.seen.append(Round(answer.entropy, winner, support, self._copied(answer, informed)))

    def answer(self, at: int) -> Answer:
        """The answer of a round. Its confidence is the share of it among the answers of all rounds."""
        answer, winner = self.answers[at], self.seen[at].winner
        if len(self.answers) > 1 and winner is not None and answer.confidence is not None:
            votes, of = self._votes[winner], sum(self._votes.values())
            what = f"answers of {len(self.answers)} rounds"
            told = agreement(self._counts[winner], self._counts.total(), what=what)
            answer = replace(answer, confidence=votes / of, basis=told, doubtful=2 * votes <= of)
        return unless_split(answer)

    def shown(self, run: Run) -> list[list[Message]]:
        """The prompt with the distinct answers of the last round; nothing if there are none.

        They are in an order that says nothing, and without their numbers: a model follows the majority.
        """
        claims = [cluster.claim for cluster in self.answers[-1].clusters] if self.answers else []
        return self._prompt(run, claims)

    def contested(self, run: Run) -> list[list[Message]]:
        """:meth:`shown`, but never a single answer, which would look like a consensus.

        Where the last round has only one, those of the rounds before it, the latest first, come beside it;
        if there is no other, nothing is shown. At most :data:`MOST_SHOWN` are, the most frequent ones.
        """
        claims: list[str] = []
        known: set[int] = set()
        for answer in reversed(self.answers):
            for cluster in answer.clusters:
                if len(claims) < MOST_SHOWN and self._claim(cluster.claim) not in known:
                    known.add(self._claim(cluster.claim))
                    claims.append(cluster.claim)
            if len(claims) > 1:
                return self._prompt(run, claims)
        return self._prompt(run, [])

    def _copied(self, answer: Answer, informed: Sequence[bool]) -> float:
        """How many answers merely repeat one that was shown, as a share of those that could.

        A text that shows a step towards its answer has found it again, whatever its branch had seen.
        """
        could = [vote for vote in answer.votes if informed and informed[vote.branch % len(informed)]]
        given = [(vote.claim, vote.text) for vote in could if vote.claim is not None]
        copies = [text for claim, text in given if self._claim(claim) in self._told and not shows_steps(text)]
        return len(copies) / len(given) if given else 0.0

    def _prompt(self, run: Run, claims: list[str]) -> list[list[Message]]:
        self._told = {self._claim(claim) for claim in claims}
        if not claims:
            return []
        lines = [f"- {claim}" for claim in claims]
        run.random.shuffle(lines)
        return [solving(self._question, AGAIN, slot("answers", "\n".join(lines)))]

    def _claim(self, claim: str) -> int:
        return self._claims.add(None, Claim(claim, "whole"))
