"""What planners share that use tools by turns: the turns, actions taken once, results told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import text_of
from orchestrator.runtime.nodes import Failed, Node, Succeeded
from orchestrator.runtime.plain import canonical
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.handing import PLAIN, instead
from planners.questions import answer_of, set_task, slot
from planners.schemas import properties_of, takes_text

if TYPE_CHECKING:
    from workers.tools.tool import Tool

LONGEST_SHOWN = 4_000
"""Characters of one result that a model is shown."""

CONCLUDING = (
    "If the question has a short answer, such as a number, a name, yes or no, or the letter of a choice, the "
    'last line of your answer is that alone, after "Answer:".'
)
"""How an answer ends. It shows no answer, as a small model would give that."""
FROM_RESULTS = "Answer the question from the results above. "


def fitted(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with numbers as text where the tool takes text."""
    properties = properties_of(tool.schema)
    return {
        name: text_of(value)
        if isinstance(value, int | float) and takes_text(properties.get(name, {}))
        else value
        for name, value in arguments.items()
    }


@dataclass(frozen=True, slots=True)
class Action:
    """A call of one of the run's tools, with its arguments by name."""

    tool: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.tool}({canonical(self.arguments)})"


class Actions:
    """The actions of a run, each made once: only tools of the run are called, and equal calls are one node.

    An action that failed in a way that may pass is made again.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes: dict[str, Node[Any]] = {}
        self._refused: set[str] = set()

    def has(self, action: Action) -> bool:
        """Whether the action was taken before, and would come to the same."""
        key = str(self._fitted(action))
        if (node := self._nodes.get(key)) is None:
            return key in self._refused
        return not (isinstance(node.outcome, Failed) and node.outcome.failure.retryable)

    def take(self, action: Action, label: str) -> Node[Any] | None:
        """The node of the action; None if the run has no such tool."""
        if action.tool not in self._run.tools:
            self._refused.add(str(action))
            return None
        action = self._fitted(action)
        if not self.has(action):
            self._nodes[str(action)] = self._run.tool(action.tool, action.arguments, label=label)
        return self._nodes[str(action)]

    def unknown(self, name: str) -> str:
        """What a model is told that names a tool which the run does not have."""
        return f"there is no tool {name[:100]!r}; the tools are {', '.join(self._run.tools)}"

    def found(self) -> list[str]:
        """The results so far, one action a line; failures are none."""
        return [
            f"{action} = {told(node)}"
            for action, node in self._nodes.items()
            if isinstance(node.outcome, Succeeded)
        ]

    def _fitted(self, action: Action) -> Action:
        tool = self._run.tools.get(action.tool)
        return action if tool is None else Action(action.tool, fitted(tool, action.arguments))


def told(node: Node[Any]) -> str:
    """What came of a node that has settled, as a model is told it; a failure is a result, too."""
    match node.outcome:
        case Succeeded(value):
            text = text_of(value)
            if len(text) > LONGEST_SHOWN:
                return f"{text[:LONGEST_SHOWN]}… (cut after {LONGEST_SHOWN} of {len(text)} characters)"
            return text or "(nothing)"
        case Failed(failure):
            return f"failed: {failure.message} ({failure.code})"
        case _:
            return "was cancelled"


class Agent(Protocol):
    """What takes turns, in each of which a model acts or answers."""

    actions: Actions

    async def turn(self, number: int) -> Answer | str:
        """Take a turn; returns the answer, or why there is no next turn, empty if there is one."""
        ...


async def by_turns(
    run: Run,
    question: Question,
    agent: Agent,
    most: int,
    *,
    by: str,
    turn: str,
    lacking: str,
    temperature: float,
    max_tokens: int,
) -> Answer:
    """The answer of an agent that takes up to ``most`` turns, or one from what it has found until then.

    ``by`` is who decides, in the trace, ``turn`` what a turn is called there, and ``lacking`` why not even
    the first one can be taken, empty if it can.

    Raises:
        NodeFailed: the engine failed even when asked for an answer from what was found.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    reason = lacking
    for number in range(1, most + 1):
        if reason:
            break
        read = await agent.turn(number)
        if isinstance(read, Answer):
            return _resting_on(agent.actions.found(), read)
        reason = read
    found = agent.actions.found()
    reason = reason or f"{most} {turn}s have come to no answer"
    if not found:
        name, ask = instead(run, question, PLAIN)
        run.decide(by, name, {"reason": reason})
        return await ask(run, question)
    run.decide(by, "answer from results", {"reason": reason})
    answer = await from_found(run, question, found, temperature=temperature, max_tokens=max_tokens)
    return _resting_on(found, answer)


def _resting_on(found: list[str], answer: Answer) -> Answer:
    """An answer that was made from what tools have found, if they have found something."""
    if not found:
        return answer
    results = "1 result of a tool" if len(found) == 1 else f"{len(found)} results of tools"
    return replace(answer, basis=f"made from {results}", reasoning="\n".join(found))


async def from_found(
    run: Run, question: Question, found: list[str], *, temperature: float, max_tokens: int
) -> Answer:
    """The answer where acting has come to none, from what was found.

    Raises:
        NodeFailed: the call failed.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    prompt = set_task(question, slot("results", "\n".join(found)), FROM_RESULTS + CONCLUDING)
    completion = await run.generate(prompt, label="answer", temperature=temperature, max_tokens=max_tokens)
    return replace(answer_of(completion, question), undecided=no_answer(completion, max_tokens))
