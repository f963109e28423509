"""A planner that goes on before a vote has ended: a number is voted on, and explained meanwhile.

The explanation is written for the answer that leads, and is there when the vote ends. If another answer
overtakes it, the explanation is thrown away and written anew: nothing is ever explained that did not win.

Prints the answer and its explanation, what was decided, and how many tokens were for nothing.
"""

from anabranch import Answer, Client, Question, Run, planner, system, user

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
HELP = "You are a careful teacher."
SOLVE = "\n\nSolve it step by step, in a few short lines. Then give the final answer alone in \\boxed{}."
EXPLAIN = "\n\nExplain in two sentences, to a child, why this is the answer: "


@planner("explained")
async def explained(run: Run, question: Question) -> Answer:
    """Let five branches vote, and explain the answer that leads while the rest of them are still at it."""

    async def explain(scope: Run, answer: Answer) -> str:
        prompt = [system(HELP), user(question.text, EXPLAIN, answer.claim or answer.text)]
        return (await scope.generate(prompt)).text

    vote = run.vote([system(HELP), user(question.text, SOLVE)], rule="fixed", width=5)
    explanation = run.ahead(vote, explain)  # at once; with run.spawn(explain, vote) it would wait
    answer = await vote
    return Answer(f"{answer.claim}\n{await explanation}", answer.claim, answer.confidence)


def main() -> None:
    """Ask once, and show what became of the explanation."""
    with Client(planners=[explained]) as client:
        solution = client.solve(QUESTION, planner="explained")
        print(solution.text)
        trace = client.trace(solution.trace_id)
        for decision in trace.decisions:
            if decision.by == "ahead":
                print(f"decided: {decision.verdict}")
        print(f"{trace.usage()['wasted_tokens']} tokens for nothing")


if __name__ == "__main__":
    main()
