"""Self-consistency (arXiv 2203.11171): sampled chains of thought vote, and stop when they agree."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from orchestrator.consensus.stopping import DEFAULT_RULE, parse_rule
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, Part
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.ballot import SEGMENT, Draws, Merge, labels
from orchestrator.voting.judging import Judge
from orchestrator.voting.splitting import unless_split
from planners.fitting import sign_of
from planners.questions import Temperature, Tokens, set_task
from planners.signs import Kind
from planners.voters import Domains, Voters, turns_over, weighed

THINK = "Think step by step, in a few short lines. "
ANSWER = "Then give the final answer alone in \\boxed{}."  # no example, which small models would repeat
LETTER = "Then give the letter of the right choice alone in \\boxed{}."
FREE = THINK + ANSWER
MULTIPLE_CHOICE = THINK + LETTER


def solving(question: Question, *more: Part) -> list[Message]:
    """The prompt of a branch: a chain of thought that ends with the answer in a box."""
    return set_task(question, MULTIPLE_CHOICE if question.choices else FREE, *more)


WIDEST = 1024
"""The maximum number of branches that a vote may be asked to start."""

USUAL: Final = 8
"""The branches of a vote that is not told how many."""


def _known_rule(spec: str) -> str:
    rule = parse_rule(spec)  # raises an error that says what would be right
    if rule.limit > WIDEST:
        raise ValueError(f"rule {spec!r} starts up to {rule.limit} branches, more than {WIDEST}")
    return spec


KnownRule = Annotated[str, AfterValidator(_known_rule)]
RuleOption = Annotated[
    KnownRule | None, Field(description=f"by default, the default when the run begins: now {DEFAULT_RULE}")
]


def has_one_answer(run: Run, question: Question) -> str:
    """Why the question has one right answer; where tools are at hand, only if none is needed first."""
    return sign_of(run, question, Kind.SHORT)


SHORT_ANSWER = "with one short answer that is right or wrong: a number, a name, a date, yes or no"
SUITS = Suits(SHORT_ANSWER, cost=20, sign=has_one_answer, calls=3, yields_to=("cascade", "adaptive"))


@planner("vote", suits=SUITS)
async def vote(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=1, le=WIDEST)] | Literal["auto"] = USUAL,
    rule: RuleOption = None,
    voters: Voters | None = None,
    domains: Domains | None = None,
    judge: Judge = "none",
    outputs: str | None = None,
    merge: Merge = "majority",
    verifier: str | None = None,
    segment: Tokens = SEGMENT,
    draws: Draws = "independent",
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Sample chains of thought, judge their answers as they arrive, and stop early when they agree.

    At most ``n`` branches are started, unless ``rule`` sets its own width, as in ``"beta:0.99,width=16"``.
    With ``auto`` it is as many as the budget allows, by what is stored of earlier votes: that is decided
    before the run begins, and recorded in its first event.
    A vote without a ``rule`` follows the one that was the default when the run began.
    With ``voters``, branches take turns with several models, by role, and an answer counts as much as is
    given for its model; with ``domains`` as well, that times how close the domain of the model is.
    ``judge``, ``outputs`` and ``verifier`` (tools of the run), ``merge``, ``segment`` and ``draws`` are those
    of :meth:`Run.vote`. Where the majority decides, a vote whose leader owes the lead to chance is undecided.

    Raises:
        NodeFailed: no branch gave a completion.
        InvalidRequest: something that the vote needs is not given, or is more than the engine can do.
    """
    prompts = [solving(question)]
    width = (
        USUAL if n == "auto" else n
    )  # auto only where nobody has decided it, as in a run without a service
    most = width if rule is None else parse_rule(rule, width=width).limit
    given = weighed(run, question, voters, domains, n=most)
    turns = prompts if given is None else turns_over(prompts, given)
    answer = await run.vote(
        turns[0],
        turns=turns[1:],
        rule=rule,
        width=width,
        choices=labels(question.choices),
        question=question,
        judge=judge,
        outputs=outputs,
        merge=merge,
        verifier=verifier,
        segment=segment,
        draws=draws,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return unless_split(answer) if merge == "majority" else answer
