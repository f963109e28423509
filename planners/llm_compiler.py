"""LLMCompiler (arXiv 2312.04511): a plan of tool calls that run while the plan is still being written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, assistant, system, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer, Question
from planners.direct import direct
from planners.fetching import Fetcher
from planners.fitting import fitting_tool, tools_at_hand
from planners.joining import Unanswered, join, join_prompt
from planners.plan_json import JsonReader, plan_schema
from planners.plan_text import TextReader
from planners.plans import Plan, Reader, Step
from planners.questions import Temperature, Tokens, asked

if TYPE_CHECKING:
    from workers.tools.tool import Tool

END_OF_PLAN = "<END_OF_PLAN>"
LONGEST_AFTERMATH = 64
"""Characters that may follow the join of a plan before its generation is cancelled."""

PLANNER = (
    "You plan how to find out what the question asks, by calls of tools. You do not answer it.\n"
    "- Use only the tools below. Number the steps.\n"
    "- An argument can use the result of an earlier step: write $ and its number, as in $1.\n"
    "- Steps that do not use each other run at the same time, so use a result only where it is needed.\n"
    "- The last step is join, without arguments. The results are then read and the question is answered.\n"
    "\nThe form, shown with other tools:\n"
)
JSON_FORM = (
    '{"steps": [{"id": 1, "tool": "weather", "arguments": {"city": "Paris"}}, '
    '{"id": 2, "tool": "weather", "arguments": {"city": "Rome"}}, '
    '{"id": 3, "tool": "compare", "arguments": {"first": "$1", "second": "$2"}}, '
    '{"id": 4, "tool": "join"}]}\n'
)
TEXT_FORM = (
    '1. weather(city="Paris")\n2. weather(city="Rome")\n3. compare(first=$1, second=$2)\n4. join()\n'
    f"{END_OF_PLAN}\n"
)
REPAIR = "This plan cannot be used:\n{errors}\nWrite the whole plan again without these errors."
REPLAN = (
    "\n\nSteps that were taken, with their results:\n",
    "\nWhat is missing: {missing}\nPlan only the steps for this. Do not repeat steps; use their results. "
    "The next step has the number {first}.",
)


def lacks_tools(run: Run, question: Question) -> str:
    """Why there is nothing to plan with; the calculator is no reason to plan, unless it is named."""
    if tools_at_hand(run) or fitting_tool(run, question):
        return ""
    return "there are no tools but for arithmetic" if run.tools else "there are no tools"


SUITS = Suits(
    "with what tools must find out first, in one or more steps",
    cost=50,
    sign=fitting_tool,
    lacks=lacks_tools,
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
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Plan calls of the run's tools, make them side by side, and answer from their results.

    A step starts once it is written and what it refers to is ready; only tools with side effects wait until
    the plan is whole and valid. A step that failed is a result for the joiner to judge. An invalid plan is
    sent back once with its errors; if that does not help, the question is asked plainly, with the reason in
    the trace. ``max_replans`` is how often the joiner may ask for more, for which it needs evidence;
    ``max_tasks`` bounds one plan.

    Raises:
        NodeFailed: the engine failed even when asked plainly.
    """
    work = _Work(run, question, Fetcher(run), max_tasks, temperature, max_tokens)
    trouble = "" if run.tools else "there are no tools"
    missing = ""
    for replans_left in range(max_replans, -1, -1):
        trouble = trouble or await work.plan(missing)
        if not work.fetcher.steps:
            break
        may_replan = replans_left > 0 and not trouble
        run.expect(join_prompt(question, may_replan=may_replan), role="planner")
        verdict = await join(
            run,
            question,
            await work.fetcher.observations(),
            lacking=work.fetcher.lacking(),
            may_replan=may_replan,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        if isinstance(verdict, Answer):
            return verdict
        if isinstance(verdict, Unanswered):
            trouble = verdict.reason
            break
        missing = verdict.what
    run.decide("llm_compiler", "direct", {"reason": trouble})
    work.fetcher.abandon()
    return await direct(run, question)


@dataclass(frozen=True, slots=True)
class _Work:
    run: Run
    question: Question
    fetcher: Fetcher
    max_tasks: int
    temperature: float
    max_tokens: int

    async def plan(self, missing: str) -> str:
        """Have a plan written while its steps start; returns why there is no valid one, empty if there is."""
        prompt = await self._planning(missing)
        errors: list[str] = []
        for label in ("plan", "repaired plan"):
            plan = Plan(self.run.tools, self.fetcher.steps, self.max_tasks)
            try:
                text, errors = await self._write(plan, prompt, label)
            except NodeFailed as error:
                self.fetcher.refuse(plan)
                return f"the plan could not be written: {error.failure.message}"
            if not errors:
                self.fetcher.accept(plan)
                return "" if plan.steps else "the plan has no steps"
            self.fetcher.refuse(plan)
            self.run.decide("llm_compiler", "refuse", {"plan": label, "errors": errors})
            listed = "\n".join(f"- {error}" for error in errors)
            prompt = [
                *prompt,
                assistant(split_thinking(text).answer or "(nothing)"),
                user(REPAIR.format(errors=listed)),
            ]
        return f"the plan is invalid: {'; '.join(errors)}"

    async def _planning(self, missing: str) -> list[Message]:
        listed = "\n".join(described(tool) for tool in self.run.tools.values())
        form = JSON_FORM if self.run.capabilities.guided_json else TEXT_FORM
        prompt = [system(f"{PLANNER}{form}\nThe tools:\n{listed}")]
        if not self.fetcher.steps:
            return [*prompt, user(*asked(self.question))]
        before, after = REPLAN
        first = max(self.fetcher.steps) + 1
        taken = await self.fetcher.observations()
        return [
            *prompt,
            user(*asked(self.question), before, *taken, after.format(missing=missing, first=first)),
        ]

    async def _write(self, plan: Plan, prompt: list[Message], label: str) -> tuple[str, list[str]]:
        """The text of a plan and what is wrong with it; its steps start as they are read."""
        guided = self.run.capabilities.guided_json
        schemas = {name: tool.schema for name, tool in self.run.tools.items()}
        parameters = {name: list(schema.get("properties", ())) for name, schema in schemas.items()}
        reader: Reader = JsonReader() if guided else TextReader(parameters, plan.first)
        stream = self.run.stream(
            prompt,
            label=label,
            schema=plan_schema(schemas, self.max_tasks) if guided else None,
            role="planner",
            breaks="}\n",
            stop=() if guided else (END_OF_PLAN,),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        text, aftermath = "", 0
        async for piece in stream:
            text += piece
            aftermath += len(piece) if plan.joined else 0
            if aftermath > LONGEST_AFTERMATH:
                stream.cancel("the plan has ended")
                break
            self._fetch(plan, reader.feed(piece))
        self._fetch(plan, reader.finish())
        outcome = await stream.settled()
        cut_off = isinstance(outcome, Succeeded) and outcome.value.finish_reason != "stop"
        return text, plan.close(cut_off=cut_off)

    def _fetch(self, plan: Plan, steps: list[Step]) -> None:
        for step in steps:
            if plan.admit(step):
                self.fetcher.fetch(step, plan)


def described(tool: Tool) -> str:
    """A tool as it is described to the model that plans: ``name(argument: type, …): what it does``."""
    properties = tool.schema.get("properties", {})
    required = tool.schema.get("required", ())
    arguments = (
        f"{name}: {schema.get('type', 'any')}{'' if name in required else ' (optional)'}"
        for name, schema in properties.items()
    )
    return f"- {tool.name}({', '.join(arguments)}): {' '.join(tool.description.split())}"
