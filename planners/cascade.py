"""A cascade steered by entropy: another round, then a larger model, only where the branches disagree.

Rounds and their stop rules follow SEAT (arXiv 2507.06829). The idea that disagreement among a small model's
samples shows when a large one is worth its price is from arXiv 2310.03094.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.consensus.stopping import End, most_certain, parse_round_rule
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.attempts import Attempts, known_round_rule
from planners.questions import LARGE, Temperature, Tokens
from planners.vote import SHORT_ANSWER, WIDEST, has_one_answer, solving
from planners.voters import Domains, Voters, turns_over, weighed


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
    between: Annotated[str, AfterValidator(known_round_rule)] = "seat:0.3,rounds=2",
    large: Annotated[int, Field(ge=0, le=64)] = 1,
    ahead: bool = False,
    voters: Voters | None = None,
    domains: Domains | None = None,
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
    fails, the best round answers. The branches of a round take turns with the models of ``voters``, as in
    :func:`~planners.vote.vote`; their entropy is that of the votes.

    Raises:
        NodeFailed: no branch gave a completion.
        InvalidRequest: a voter has no model, or there are domains and no voters.
    """
    ensemble = weighed(run, question, voters, domains, n=n)

    def vote(*shown: list[Message], width: int, role: str = "branch") -> Node[Answer]:
        prompts: list[list[Message]] = [solving(question), *shown]
        turns = prompts if ensemble is None or role == LARGE else turns_over(prompts, ensemble)
        return run.vote(
            turns[0],
            turns=turns[1:],
            rule="fixed",
            width=width,
            choices=labels(question.choices),
            question=question,
            judge=judge,
            role=role,
            temperature=temperature,
            max_tokens=max_tokens,
        )

    rounds = Attempts(question)
    rule = parse_round_rule(between, copies=1.0)  # by default as runs were before copies were looked for
    lacking = lacks_a_large_model(run, question) if large else ""
    can_escalate = large > 0 and not lacking
    asked: Node[Answer] | None = None
    while not isinstance(decision := rule.decide(rounds.seen), End):
        if rounds.answers:
            run.decide("cascade", "another round", decision.seen)
        if rounds.answers and ahead and can_escalate and asked is None:
            run.decide("cascade", "ask the large model ahead", decision.seen)
            asked = vote(width=large, role=LARGE)
        shown = rounds.shown(run)
        answer = await vote(*shown, width=n)
        informed = [seen for seen in (False, *(True for _ in shown)) for _ in ensemble or ("branch",)]
        rounds.add(answer, informed)
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
