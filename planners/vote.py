"""Self-consistency (arXiv 2203.11171): sampled chains of thought vote, and stop when they agree."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.consensus.stopping import parse_rule
from orchestrator.messages import system, user
from orchestrator.planning import planner
from orchestrator.run import Run
from orchestrator.values import Answer, Question
from orchestrator.voting import labels
from planners.questions import Temperature, Tokens, asked

FREE = (
    "Solve the problem step by step, in as many steps as it needs, one short line for each, without an "
    "introduction. End with the final answer alone in \\boxed{}. For example:\n"
    "Tom has 3 boxes of 4 pens and gives 5 pens away. How many pens are left?\n"
    "3 boxes of 4 pens are 3 * 4 = 12 pens.\n"
    "After giving 5 away, 12 - 5 = 7 pens are left.\n"
    "The final answer is \\boxed{7}."
)
MULTIPLE_CHOICE = (
    "Solve the problem step by step, in as many steps as it needs, one short line for each, without an "
    "introduction. End with the letter of the right choice alone in \\boxed{}. For example:\n"
    "Which number is even?\nA. 3\nB. 8\n"
    "3 leaves a remainder when divided by 2, 8 does not.\n"
    "The final answer is \\boxed{B}."
)


def _known_rule(spec: str) -> str:
    parse_rule(spec)  # raises a ValueError that says what would be right
    return spec


@planner("vote")
async def vote(
    run: Run,
    question: Question,
    *,
    n: Annotated[int, Field(ge=1, le=1024)] = 8,
    rule: Annotated[str, AfterValidator(_known_rule)] = "beta",
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
