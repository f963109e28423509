"""A cascade steered by entropy: another round, then a larger model, only where the branches disagree.

Rounds and their stop rules follow SEAT (arXiv 2507.06829). The idea that disagreement among a small model's
samples shows when a large one is worth its price is from arXiv 2310.03094.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import End, Round, most_certain, parse_round_rule
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from orchestrator.voting.standing import agreement
from planners.questions import LARGE, Temperature, Tokens, slot
from planners.vote import SHORT_ANSWER, WIDEST, has_one_answer, solving

AGAIN = (
    "\nEarlier attempts ended with the answers below, in no particular order. They disagree, so some are "
    "wrong, and all may be. Solve the problem again by yourself, check your result against them, and end in "
    "the same form.\n"
)


def _known_round_rule(spec: str) -> str:
    parse_round_rule(spec)  # raises an error that says what would be right
    return spec


def lacks_a_large_model(run: Run, question: Question) -> str:
    """Why there is nothing to escalate to."""
    return "" if LARGE in run.capabilities.roles else f"no model has the role {LARGE}"


SUITS = Suits(SHORT_ANSWER, cost=40, sign=has_one_answer, lacks=lacks_a_large_model, calls=3, settles=True)


@planner("cascade", suits=SUITS)
async def cascade(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=2, le=WIDEST)] = 5,
    between: Annotated[str, AfterValidator(_known_round_rule)] = "seat:0.3,rounds=2",
    large: Annotated[int, Field(ge=0, le=64)] = 1,
    ahead: bool = False,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Vote; if the answers disagree, vote again with them in view; if they still do, ask the large model.

    All ``n`` branches of a round are waited for: the entropy of a vote that stopped because it agreed says
    little. From the second round on, every other branch sees the earlier answers. ``between`` decides after
    each round, by its entropy, whether another one is worth it, and which round answers. ``large`` is the
    number of branches of the large model, 0 for none; ``ahead`` asks it as soon as a round disagrees, while
    the next one is held, and cancels it if that agrees. If no model has the role ``large``, or that model
    fails, the best round answers.

    Raises:
        NodeFailed: no branch gave a completion.
    """

    def vote(*turns: list[Message], width: int, role: str = "branch") -> Node[Answer]:
        return run.vote(
            solving(question),
            turns=turns,
            rule="fixed",
            width=width,
            choices=labels(question.choices),
            question=question.text,
            judge=judge,
            role=role,
            temperature=temperature,
            max_tokens=max_tokens,
        )

    rounds = _Rounds(question)
    rule = parse_round_rule(between)
    lacking = lacks_a_large_model(run, question) if large else ""
    can_escalate = large > 0 and not lacking
    asked: Node[Answer] | None = None
    while not isinstance(decision := rule.decide(rounds.seen), End):
        if rounds.answers:
            run.decide("cascade", "another round", decision.seen)
        if rounds.answers and ahead and can_escalate and asked is None:
            run.decide("cascade", "ask the large model ahead", decision.seen)
            asked = vote(width=large, role=LARGE)
        rounds.add(await vote(*rounds.shown(run), width=n))
        run.propose(lambda: rounds.answer(most_certain(rounds.seen)))
    best = rounds.answer(decision.best)
    saw = {**decision.seen, "answered by round": decision.best}
    if decision.reason == "agreed" or not can_escalate:
        if asked is not None:
            asked.cancel("the branches agree")
        agreed = decision.reason == "agreed"
        run.decide("cascade", f"finish: {decision.reason if agreed or not lacking else lacking}", saw)
        return best
    run.decide("cascade", f"escalate: {decision.reason}", saw)
    outcome = await (asked or vote(width=large, role=LARGE)).settled()
    if isinstance(outcome, Succeeded):
        answer = unless_split(replace(outcome.value, basis=_of_large(outcome.value, large)))
        if best.undecided or not answer.undecided:
            return answer
    trouble = "gave no answer" if isinstance(outcome, Succeeded) else "failed"
    run.decide("cascade", f"finish: the large model {trouble}", saw)
    return best


def _of_large(answer: Answer, width: int) -> str:
    """What an answer of the large model rests on, in words."""
    who = "the large model was asked, as the branches disagree"
    return f"{who}; {answer.basis}" if width > 1 else who


class _Rounds:
    """The rounds so far: their answers, and what they have shown (``seen``).

    Answers of different rounds are the same if their claims are.
    """

    def __init__(self, question: Question) -> None:
        self.answers: list[Answer] = []
        self.seen: list[Round] = []
        self._question = question
        self._claims = Clusters(choices=labels(question.choices))
        self._votes: Counter[int] = Counter()

    def add(self, answer: Answer) -> None:
        """Take in the next round."""
        counts = [cluster.count for cluster in answer.clusters]
        for cluster in answer.clusters:
            self._votes[self._claim(cluster.claim)] += cluster.count
        winner = None if answer.claim is None else self._claim(answer.claim)
        self.answers.append(answer)
        self.seen.append(Round(answer.entropy, winner, max(counts, default=0) / max(1, sum(counts))))

    def answer(self, at: int) -> Answer:
        """The answer of a round. Its confidence is the share of it among the answers of all rounds."""
        answer, winner = self.answers[at], self.seen[at].winner
        if len(self.answers) > 1 and winner is not None and answer.confidence is not None:
            votes, of = self._votes[winner], self._votes.total()
            told = agreement(votes, of, what=f"answers of {len(self.answers)} rounds")
            answer = replace(answer, confidence=votes / of, basis=told, doubtful=2 * votes <= of)
        return unless_split(answer)

    def shown(self, run: Run) -> list[list[Message]]:
        """The prompt with the distinct answers of the last round; nothing if there are none.

        They are in an order that says nothing, and without their numbers: a model follows the majority.
        """
        if not self.answers or not self.answers[-1].clusters:
            return []
        lines = [f"- {cluster.claim}" for cluster in self.answers[-1].clusters]
        run.random.shuffle(lines)
        return [solving(self._question, AGAIN, slot("answers", "\n".join(lines)))]

    def _claim(self, claim: str) -> int:
        return self._claims.add(None, Claim(claim, "whole"))
