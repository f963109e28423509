"""A cascade steered by entropy: another round, then a larger model, only where the branches disagree.

Rounds and their stop rules follow SEAT (arXiv 2507.06829). The idea that disagreement among a small model's
samples shows when a large one is worth its price is from arXiv 2310.03094.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import End, Round, most_certain, parse_round_rule
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, user
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from planners.questions import Temperature, Tokens
from planners.vote import SHORT_ANSWER, WIDEST, RuleOption, has_one_answer, solving

LARGE = "large"
"""The role of the model to which a question is escalated."""

AGAIN = (
    "\n\nEarlier attempts ended with the answers below, in no particular order; in brackets is how many "
    "ended so. They disagree, so some are wrong. Solve the problem again by yourself, check your result "
    "against them, and end in the same form.\n\n{answers}"
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
    rule: RuleOption = None,
    between: Annotated[str, AfterValidator(_known_round_rule)] = "seat:0.3,rounds=2",
    large: Annotated[int, Field(ge=0, le=64)] = 1,
    judge: Judge = "none",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Vote; if the answers disagree, vote again with them in view; if they still do, ask the large model.

    ``n`` and ``rule`` apply to each vote. ``between`` decides after each round, by its entropy, whether
    another one is worth it, and which round answers. ``large`` is the number of branches of the large model,
    0 for none. If no model has the role ``large``, or that model fails, the best round answers.

    Raises:
        NodeFailed: no branch gave a completion.
    """
    choices = labels(question.choices)

    def vote(prompt: list[Message], *, rule: str | None, width: int, role: str = "branch") -> Node[Answer]:
        return run.vote(
            prompt,
            rule=rule,
            width=width,
            choices=choices,
            question=question.text,
            judge=judge,
            role=role,
            temperature=temperature,
            max_tokens=max_tokens,
        )

    rounds_rule = parse_round_rule(between)
    winners = Clusters(choices=choices)
    answers: list[Answer] = []
    rounds: list[Round] = []
    while not isinstance(decision := rounds_rule.decide(rounds), End):
        prompt = solving(question)
        if answers:
            run.decide("cascade", "another round", decision.seen)
        if answers and answers[-1].clusters:
            prompt.append(user(AGAIN.format(answers=_shown(run, answers[-1]))))
        answers.append(await vote(prompt, rule=rule, width=n))
        rounds.append(_round(answers[-1], winners))
        run.propose(lambda: answers[most_certain(rounds)])
    best = answers[decision.best]
    saw = {**decision.seen, "answered by round": decision.best}
    if decision.reason == "agreed" or not large:
        run.decide("cascade", f"finish: {decision.reason}", saw)
        return best
    if LARGE not in run.capabilities.roles:
        run.decide("cascade", f"finish: no model has the role {LARGE}", saw)
        return best
    run.decide("cascade", f"escalate: {decision.reason}", saw)
    outcome = await vote(solving(question), rule="fixed", width=large, role=LARGE).settled()
    if isinstance(outcome, Succeeded) and (best.undecided or not outcome.value.undecided):
        return outcome.value
    trouble = "gave no answer" if isinstance(outcome, Succeeded) else "failed"
    run.decide("cascade", f"finish: the large model {trouble}", saw)
    return best


def _round(answer: Answer, winners: Clusters) -> Round:
    """What a vote has shown. Winners of different rounds are the same if their claims are."""
    votes = [cluster.count for cluster in answer.clusters]
    winner = None if answer.claim is None else winners.add(None, Claim(answer.claim, "whole"))
    return Round(answer.entropy, winner, max(votes, default=0) / max(1, sum(votes)))


def _shown(run: Run, answer: Answer) -> str:
    """The distinct answers of a round with their counts, in an order that says nothing."""
    of = sum(cluster.count for cluster in answer.clusters)
    lines = [f"- {cluster.claim} ({cluster.count} of {of})" for cluster in answer.clusters]
    run.random.shuffle(lines)
    return "\n".join(lines)
