"""Tools of your own: one that looks something up, and one that does something in the world.

``llm_compiler`` lets the model plan a call of ``water_level``. Then a planner of our own reads both gauges
and warns, which must not happen twice: not after a crash, and not in a replay.

Prints the model's answer with the calls that it planned, the warning, and that a replay sent no other.
"""

import asyncio
from typing import Literal

from anabranch import Answer, Client, Question, Run, planner, tool

Place = Literal["Basel", "Cologne"]
PLACES: tuple[Place, ...] = ("Basel", "Cologne")
GAUGES = {"Basel": 5.1, "Cologne": 8.4}

sent: dict[str, str] = {}
"""The warnings by their keys; stands for a service that sends a message once for each key."""


# The types become a schema, which is shown to the model and checked against its arguments. The docstring is
# what the model reads. The tool may be async; one that is not runs in a thread.
@tool(timeout=10.0)
async def water_level(place: Place) -> float:
    """The water level of the Rhine at a place, in metres."""
    await asyncio.sleep(0.1)  # stands for a request over the network
    return GAUGES[place]


# ``side_effects`` says that calling it twice is not the same as once. If the process dies during a call,
# nobody can tell whether it has acted; so a resumed run does not call it again, and its node fails with
# ``tool_interrupted``. With the parameter ``idempotency_key`` it is called again, with the same key, and must
# then only return what it returned before. The run makes the key; models and planners do not see it.
@tool(side_effects=True)
def warn(place: Place, metres: float, idempotency_key: str) -> str:
    """Warn the people who live at a place."""
    return sent.setdefault(idempotency_key, f"{place} is warned: {metres} m")


@planner("flood_watch")
async def flood_watch(run: Run, question: Question, *, above: float = 8.0) -> Answer:
    """Read all gauges at the same time, and warn where the water is higher than ``above`` metres."""
    levels = [run.tool("water_level", {"place": place}) for place in PLACES]
    metres = dict(zip(PLACES, await run.join(levels), strict=True))
    # ``warn`` is not one of the client's tools, so that no model is offered it. Planner code may bring its
    # own.
    warnings = [run.tool(warn, {"place": place, "metres": m}) for place, m in metres.items() if m > above]
    return Answer("\n".join(await run.join(warnings)) or "nobody is warned")


def main() -> None:
    """Let a model use the one tool, and our own planner both."""
    with Client(tools=[water_level], planners=[flood_watch]) as client:
        question = "What is the water level of the Rhine in Cologne?"
        solution = client.solve(question, planner="llm_compiler")
        print(solution.answer)
        for node in client.trace(solution.trace_id).walk():
            if node.kind == "tool" and node.request is not None:
                print(f"  {node.label} {node.request['arguments']}: {node.value}")

        watched = client.solve("Who must be warned?", planner="flood_watch")
        print(watched.answer)
        again = client.replay(watched.trace_id)
        print(f"replayed {again.events} events; warnings sent: {len(sent)}")


if __name__ == "__main__":
    main()
