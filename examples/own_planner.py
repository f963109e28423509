"""A planner of your own: a second opinion.

Two drafts are written at the same time, from two points of view. If they come to the same answer, that is the
answer, and it took two calls. If they do not, branches vote.

Prints the answer, what the planner decided and what it saw, and what that cost.
"""

import re
from typing import Annotated

from pydantic import Field

from anabranch import Answer, Client, Completion, Question, Run, planner, system, user

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
FORM = (
    "Solve the problem step by step. Keep each step short. "
    "Then end with the final answer alone in \\boxed{}, as in\n"
    "The final answer is \\boxed{12}."
)
VIEWS = (
    "\n\nBegin with what is given, and compute from there.",
    "\n\nBegin with what is asked, and find out what it takes.",
)


def conclusion(draft: Completion) -> str:
    """What is in the last box of a draft; empty if there is none, as when it was cut off."""
    boxes = re.findall(r"\\boxed\{([^{}]*)\}", draft.text)
    return boxes[-1] if boxes else ""


@planner("second_opinion")
async def second_opinion(
    run: Run, question: Question, *, width: Annotated[int, Field(ge=3, le=64)] = 5
) -> Answer:
    """Draft from two points of view; let ``width`` branches vote where the drafts disagree."""
    # Asking returns at once, so both calls are under way before the first is awaited. What they share comes
    # first in the prompt: the engine computes it once.
    drafts = [run.generate([system(FORM), user(question.text, view)], label="draft") for view in VIEWS]
    first, second = await run.join(drafts)
    answers = [conclusion(first), conclusion(second)]
    run.propose(lambda: Answer(first.text, answers[0] or None))  # the answer if a budget ends the run here

    if answers[0] and answers[0] == answers[1]:
        run.decide("second_opinion", "agreed", {"answers": answers})
        return Answer(first.text, answers[0])
    run.decide("second_opinion", "vote", {"answers": answers})
    return await run.vote([system(FORM), user(question.text)], width=width)


def main() -> None:
    """Ask once, and show what the planner decided."""
    with Client(planners=[second_opinion]) as client:
        solution = client.solve(QUESTION, planner="second_opinion", options={"width": 5})
        print(solution.answer)
        for decision in client.trace(solution.trace_id).decisions:
            if decision.by == "second_opinion":
                print(f"decided: {decision.verdict}, on {decision.saw['answers']}")
        print(f"{solution.usage.calls} calls, {solution.usage.completion} completion tokens")


if __name__ == "__main__":
    main()
