"""Self-consistency (arXiv 2203.11171): sampled chains of thought vote, and stop when they agree."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.consensus.stopping import DEFAULT_RULE, parse_rule
from orchestrator.messages import system, user
from orchestrator.planning import planner
from orchestrator.run import Run
from orchestrator.values import Answer, Question
from orchestrator.voting import labels
from planners.questions import Temperature, Tokens, asked

FREE = (
    "Solve the problem step by step. Keep each step short. "
    "Then end with the final answer alone in \\boxed{}, as in\n"
    "The final answer is \\boxed{12}."
)
MULTIPLE_CHOICE = (
    "Solve the problem step by step. Keep each step short. "
    "Then end with the letter of the right choice alone in \\boxed{}, as in\n"
    "The final answer is \\boxed{B}."
)


def _known_rule(spec: str) -> str:
    parse_rule(spec)  # raises an error that says what would be right
    return spec


@planner("vote")
async def vote(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=1, le=1024)] = 8,
    rule: Annotated[str, AfterValidator(_known_rule)] = DEFAULT_RULE,
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Sample chains of thought, judge their answers as they arrive, and stop early when they agree.

    ``n`` is the most branches to start, unless ``rule`` sets a width of its own, as ``"beta:0.99,width=16"``.

    Raises:
        NodeFailed: no branch gave a completion.
    """
    instructions = MULTIPLE_CHOICE if question.choices else FREE
    return await run.vote(
        [system(instructions), user(*asked(question))],
        rule=rule,
        width=n,
        choices=labels(question.choices),
        temperature=temperature,
        max_tokens=max_tokens,
    )
