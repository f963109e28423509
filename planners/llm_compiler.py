"""LLMCompiler (arXiv 2312.04511): a plan of tool calls that run while the plan is still being written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.values import Answer, Question
from planners.asking import MOST, Asked, asking
from planners.compiling import Method, compiled
from planners.decompose import decompose
from planners.fitting import lacks_tools, wants_tools
from planners.offers import computing, merged, tools_of
from planners.plan_examples import Examples, read_examples
from planners.plans import JOIN
from planners.questions import Temperature, Tokens
from planners.react import react
from planners.vote import vote


def lacks(run: Run, question: Question) -> str:
    """Why this planner cannot be used here; empty if it can."""
    return lacks_tools(run, question) or _taken(run)


def _taken(run: Run) -> str:
    return f"a tool is called {JOIN}, as the step that ends a plan" if JOIN in run.tools else ""


SUITS = Suits(
    "with what tools must find out first, in one or more steps",
    cost=50,
    sign=wants_tools,
    lacks=lacks,
    calls=2,
    settles=True,
)


@planner("llm_compiler", suits=SUITS)
async def llm_compiler(
    run: Run,
    question: Question,
    *,
    max_replans: Annotated[int, Field(ge=0, le=16)] = 1,
    max_tasks: Annotated[int, Field(ge=1, le=256)] = 16,
    n: Annotated[int, Field(ge=1, le=MOST)] = 1,
    examples: Examples = [],  # noqa: B006 (never changed)
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Plan calls of the run's tools, make them side by side, and answer from their results.

    Beside the tools, a plan may ask the model questions, with ``n`` branches unless it says so, and compute
    on results. A step starts once it is written and what it refers to is ready; only tools with side effects
    wait until the plan is whole and valid. A step that failed is a result for the joiner to judge. An
    invalid plan is sent back once with its errors; if that does not help, ``react`` uses the tools one after
    the other. A question that needs no plan is put to a vote, and without any tools this is ``decompose``;
    the trace has the reason. ``max_replans`` is how often the joiner may ask for more, for which it needs
    evidence; ``max_tasks`` bounds one plan. ``examples`` are questions with their plans.

    Raises:
        NodeFailed: the engine failed even for the method that was used instead.
        InvalidRequest: an example uses what is not offered.
    """
    if not tools_of(run):
        reason = "there are no tools but for arithmetic" if run.tools else "there are no tools"
        run.decide("llm_compiler", "decompose", {"reason": reason})
        return await decompose(
            run,
            question,
            max_replans=max_replans,
            max_tasks=max_tasks,
            n=n,
            examples=examples,
            temperature=temperature,
            max_tokens=max_tokens,
        )
    if reason := _taken(run):
        run.decide("llm_compiler", "react", {"reason": reason})
        return await react(run, question)
    offers = merged(
        tools_of(run).values(), [asking(Asked(n, temperature, max_tokens))], computing(question).values()
    )
    method = Method(
        "llm_compiler",
        offers,
        ("vote", vote),
        ("react", react),
        read_examples(examples),
        max_replans,
        max_tasks,
        temperature,
        max_tokens,
    )
    return await compiled(run, question, method)
