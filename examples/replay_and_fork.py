"""What can be done with a run afterwards: replay it, ask what another rule would have done, fork it.

Every run keeps a journal. A replay goes through it without an engine and compares every event. A
counterfactual changes the stop rule and works out from the journal what that would have saved. A fork changes
one node, reuses all results that do not depend on it, and runs the rest.

Prints each of these, and where the fork differs from its parent.
"""

from anabranch import Change, Client, Unknown

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)


def main() -> None:
    """Solve once, and look at that run in four ways."""
    with Client() as client:
        # All four branches are waited for. Node 0 is the vote, 0.0 to 0.3 are its branches.
        solution = client.solve(QUESTION, planner="vote", options={"n": 4, "rule": "fixed"}, seed=7)
        print(f"solved: {solution.answer}, {solution.usage.calls} calls")

        replayed = client.replay(solution.trace_id)
        print(
            f"replayed: {replayed.result.answer and replayed.result.answer.claim}, {replayed.events} events"
        )

        # Would a rule that stops once the leader is very likely to stay ahead have been enough?
        thrifty = client.counterfactual(solution.trace_id, at="0", change=Change(rule="beta:0.9"))
        print(f"with beta:0.9: {thrifty.tokens} of {thrifty.recorded_tokens} completion tokens")

        # What would need tokens that were never generated is not guessed.
        try:
            client.counterfactual(solution.trace_id, at="0.1", change=Change(temperature=1.5))
        except Unknown as error:
            print(f"with a hotter branch: unknown, {error}")

        # A fork may generate: this one asks the second branch again, and reuses the other three.
        forked = client.fork(solution.trace_id, at="0.1", change=Change(temperature=1.5))
        print(f"forked: {forked.answer}, {forked.usage.calls} calls")

        difference = client.difference(solution.trace_id, forked.trace_id)
        paths = ", ".join(node.path for node in difference.nodes) or "none"
        print(f"different nodes: {paths}; the same: {difference.same}")


if __name__ == "__main__":
    main()
