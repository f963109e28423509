"""The engine's own function calling, in rounds: as many calls at once as the model makes, until it answers.

This is the baseline "OpenAI parallel function calling" of LLMCompiler (arXiv 2312.04511).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, calling, result
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.acting import CONCLUDING, Action, Actions, by_turns, told
from planners.fitting import fitting_tool, lacks_tools
from planners.questions import Temperature, Tokens, answer_of, said, set_task
from planners.react import react
from workers.functions import FunctionCall

TASK = (
    "Call the functions that help to answer the question. Calls that do not need each other's results belong "
    "into one message. Call nothing twice. Once you have the results that you need, answer.\n"
)
NO_CALLING = "the engine has no function calling"


def lacks(run: Run, question: Question) -> str:
    """Why this planner cannot be used here; empty if it can."""
    return lacks_tools(run, question) or ("" if run.capabilities.function_calls else NO_CALLING)


SUITS = Suits(
    "with what tools find out, as the engine calls them",
    cost=70,
    sign=fitting_tool,
    lacks=lacks,
    calls=2,
    yields_to=("llm_compiler",),
    settles=True,
)


@planner("calls", suits=SUITS)
async def calls(
    run: Run,
    question: Question,
    *,
    max_rounds: Annotated[int, Field(ge=1, le=64)] = 8,
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Offer the run's tools to the model as functions, make its calls at once, and tell it the results.

    A call of an unknown function, or with arguments that cannot be used, is a result for the model to read.
    Equal calls are made once; a round with nothing new in it is the last. Where there is no answer in the
    end, one is made from what was found. An engine without function calling gets ``react`` instead. The
    trace has the reason in both cases. ``max_rounds`` bounds the rounds.

    Raises:
        NodeFailed: the engine failed even then.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    reason = lacks(run, question)
    if reason == NO_CALLING:
        run.decide("calls", "react", {"reason": reason})
        return await react(run, question, temperature=temperature, max_tokens=max_tokens)
    return await by_turns(
        run,
        question,
        _Rounds(run, question, temperature, max_tokens),
        max_rounds,
        by="calls",
        turn="round",
        lacking=reason,
        temperature=temperature,
        max_tokens=max_tokens,
    )


@dataclass(slots=True)
class _Rounds:
    run: Run
    question: Question
    temperature: float
    max_tokens: int
    actions: Actions = field(init=False)
    prompt: list[Message] = field(init=False)

    def __post_init__(self) -> None:
        self.actions = Actions(self.run)
        self.prompt = set_task(self.question, TASK + CONCLUDING)

    async def turn(self, number: int) -> Answer | str:
        """Hold one round; returns the answer, or why there is no next round, empty if there is one."""
        outcome = await self.run.generate(
            self.prompt,
            label=f"round {number}",
            role="planner",
            functions=list(self.run.tools.values()),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        ).settled()
        if not isinstance(outcome, Succeeded):
            return f"round {number} failed: {outcome.why}"
        completion = outcome.value
        if not completion.calls:
            if not said(completion) and completion.finish_reason != "refused" and self.actions.found():
                return f"round {number} says nothing"
            return replace(
                answer_of(completion, self.question), undecided=no_answer(completion, self.max_tokens)
            )
        is_new, results = await self._results(number, completion.calls)
        if not is_new:
            return f"round {number} calls nothing new"
        self.prompt += [calling(completion), *results]
        return ""

    async def _results(self, number: int, made: Sequence[FunctionCall]) -> tuple[bool, list[Message]]:
        """Whether any of the calls is new, and the messages with what came of each, once all have settled."""
        taken: list[tuple[FunctionCall, Node[Any] | str]] = []
        is_new = False
        for call in made:
            values = call.values()
            if values is None:
                taken.append((call, f"the arguments are no JSON object: {call.arguments[:500]}"))
                is_new = True
                continue
            action = Action(call.name, values)
            is_new |= not self.actions.has(action)
            node = self.actions.take(action, f"{number} {call.name}")
            taken.append((call, self.actions.unknown(call.name) if node is None else node))
        await self.run.outcomes([each for _, each in taken if isinstance(each, Node)])
        told_of = [result(call, each if isinstance(each, str) else told(each)) for call, each in taken]
        return is_new, told_of
