"""Anabranch in a notebook, cell by cell; it runs as a script, too.

Editors that know ``# %%`` (VS Code, PyCharm, Spyder, Jupytext) show each part as a cell. ``solve`` and its
siblings may be called from a cell although a notebook already runs an event loop: the client has its own.

Prints an answer with its clusters, the tree of its trace, and the events of a second run as they happen.
"""

# %% A client stays open from cell to cell, and its engine warm, until `client.close()` or the program's end
import asyncio

from anabranch import Client, Event, Progress, Solution

client = Client()
question = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)

# %% Ask
solution = client.solve(question, planner="vote", options={"n": 5}, sampling={"max_tokens": 400})
print(solution.answer)

# %% How sure is it? Branches that gave the same answer are one cluster
for cluster in solution.clusters:
    print(f"  {'█' * cluster.count} {cluster.count} {cluster.claim}")
print(f"confidence {solution.confidence}, entropy {solution.entropy} nats")

# %% What happened: the trace is a tree of nodes, with what a stop rule or a planner decided
trace = client.trace(solution.trace_id)
for node in trace.walk():
    depth = "  " * node.path.count(".")
    print(f"{depth}{node.path} {node.kind} {node.label}: {node.state}, {node.tokens} tokens")
for decision in trace.decisions:
    print(f"{decision.by}: {decision.verdict}")


# %% Events as they happen, and finally the solution
async def watch() -> None:
    """Ask again, and print what happens."""
    async for item in client.stream(question, planner="direct", sampling={"max_tokens": 400}):
        match item:
            case Event():
                print(f"{item.seq:3} {item.path or 'run'}: {item.type}")
            case Progress() if item.tokens % 50 == 0:
                print(f"    {item.path} has {item.tokens} tokens")
            case Solution():
                print(f"answer: {item.answer}")


# %% In a notebook `await watch()` is enough; a script has no running loop, and starts one
try:
    watching = asyncio.get_running_loop().create_task(watch())
except RuntimeError:
    asyncio.run(watch())
