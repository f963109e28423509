"""An engine of your own: what answers need not be a language model.

An ``Engine`` streams the completion of a call. This one computes what it is asked and miscounts now and then,
as a model does, so that a vote has something to do. The rest comes with the client: the vote and its stop
rule, cancelling, the journal, replay.

Prints the answer, how many branches gave each answer, and how many tokens cancelled branches generated.
"""

import asyncio
import operator
import random
import re
from collections.abc import AsyncIterator

from anabranch import Call, CallRejected, Capabilities, Chunk, Client, Health, Usage

PROBLEM = re.compile(r"(\d+) *([-+*]) *(\d+)")
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Abacus:
    """Computes, and is wrong by one in about a quarter of its samples."""

    name = "abacus"

    async def capabilities(self) -> Capabilities:
        """Start what has to be started; say what the engine can do. What is not declared, it cannot do."""
        return Capabilities(model="abacus")

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Stream the completion; the last chunk, and only it, has the finish reason and the usage.

        A call is aborted by closing this generator: it then ends where it waits.
        """
        messages = call.prompt.messages()
        problem = PROBLEM.search(messages[-1]["content"])
        if problem is None:  # errors are subclasses of WorkerError, each of which says whether to try again
            raise CallRejected("the abacus was given no sum: write two numbers with +, - or * between them")
        left, sign, right = problem.groups()
        result = OPERATIONS[sign](int(left), int(right))

        # Siblings differ in their seeds and in nothing else; the same seed gives the same sample.
        if call.sampling.temperature > 0 and random.Random(call.sampling.seed).random() < 0.25:
            result += 1

        words = re.findall(r"\S+\s*", f"{left} {sign} {right} makes {result}. The answer is {result}.")
        said = words[: call.sampling.max_tokens]
        for word in said:
            await asyncio.sleep(0.01)
            yield Chunk(text=word, tokens=1)
        yield Chunk(
            finish_reason="stop" if said == words else "length",
            usage=Usage(
                prompt_tokens=sum(len(message["content"].split()) for message in messages),
                completion_tokens=len(said),
            ),
            worker=self.name,
        )

    async def health(self) -> Health:
        """Whether it can work now, and if not, why. Never raises."""
        return Health(ok=True)

    async def close(self) -> None:
        """Release what :meth:`capabilities` has started: nothing here."""


def main() -> None:
    """Let branches of the abacus vote."""
    with Client(engine=Abacus()) as client:
        solution = client.solve("What is 17 * 23?", planner="vote", options={"n": 8})
        print(solution.answer)
        for cluster in solution.clusters:
            print(f"  {cluster.count} say {cluster.claim}")
        usage = solution.usage
        print(f"{usage.calls} calls, {usage.completion} tokens, {usage.cancelled} from cancelled branches")


if __name__ == "__main__":
    main()
