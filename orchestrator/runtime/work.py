"""What a node does once its inputs are ready."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orchestrator.errors import PlannerError
from orchestrator.runtime.gate import Gate
from orchestrator.runtime.messages import Message, bind, inputs_of, nodes_in, render
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.plain import canonical, digest, plain
from workers.calls import Prompt, Sampling
from workers.functions import Function
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

_DEFAULTS = {
    field.name: getattr(Sampling(), field.name) for field in fields(Sampling) if field.name != "seed"
}


@dataclass(frozen=True, slots=True)
class Generation:
    """Ask an engine for a completion."""

    messages: tuple[Message, ...]
    sampling: Sampling
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    role: str = "branch"
    breaks: str | None = None
    """For streams: the characters after which text is handed to the planner."""
    scored: bool = False
    """Keep how sure the model was of each token in place of the log-probabilities, which are large."""
    return_token_ids: bool = False
    """Keep the tokens. This does not change what is asked, so it is not part of the content key."""
    functions: tuple[Function, ...] = ()
    answers: bool = False
    """Whether its text becomes the answer of its scope. This does not change what is asked."""
    rendered: Prompt | None = None
    """The prompt, once it is :meth:`bound`."""

    def inputs(self) -> Sequence[Node[Any]]:
        """The nodes whose text the prompt contains."""
        return inputs_of(self.messages)

    def bound(self) -> Generation:
        """The same with its prompt, in which the results of its inputs are in their places."""
        return Generation(
            self.messages,
            self.sampling,
            self.schema,
            self.grammar,
            self.role,
            self.breaks,
            self.scored,
            self.return_token_ids,
            self.functions,
            self.answers,
            self.prompt(),
        )

    def size(self) -> int:
        """The length of the prompt in characters."""
        return sum(len(segment.text) for segment in self.prompt().segments)

    def request(self) -> dict[str, Any]:
        """What is asked, for the journal, with its content key, which does not cover the seed."""
        given = self.sampling
        asked: dict[str, Any] = {
            "prompt": [
                [segment.role, segment.text, *([plain(segment.calls)] if segment.calls else ())]
                for segment in self.prompt().segments
            ],
            "sampling": {
                name: value for name, usual in _DEFAULTS.items() if (value := getattr(given, name)) != usual
            },
        }
        if self.schema is not None:
            asked["schema"] = self.schema
        if self.grammar is not None:
            asked["grammar"] = self.grammar
        if self.functions:
            asked["functions"] = plain(self.functions)
        if self.role != "branch":
            asked["role"] = self.role
        if self.scored:
            asked["scored"] = True
        key = digest(asked)
        return {"key": key, "seed": self.sampling.seed, **asked}

    def prompt(self) -> Prompt:
        """The prompt, with the results of its inputs."""
        return render(self.messages) if self.rendered is None else self.rendered


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Call a tool by name."""

    name: str
    arguments: Mapping[str, Any] | Sequence[Any]
    own: Tool | None = None
    """Set if planner code brings the tool itself."""

    def inputs(self) -> Iterator[Node[Any]]:
        """The nodes whose values the arguments contain."""
        return nodes_in(self.arguments)

    def bound(self) -> ToolUse:
        """The same with arguments in JSON form, and the results of its inputs in their places."""
        return replace(self, arguments=plain(bind(self.arguments)))

    def size(self) -> int:
        """The length of the arguments' JSON in characters; only once they are :meth:`bound`."""
        return len(canonical(self.arguments)) if self.arguments else 2

    def request(self) -> dict[str, Any]:
        """What is asked, for the journal, with its content key; only once it is :meth:`bound`."""
        asked = {"tool": self.name, "arguments": self.arguments}
        return {"key": digest(asked), **asked}

    def has_side_effects(self, toolbox: Toolbox) -> bool:
        """Whether the tool acts on the world."""
        tool = self.own or toolbox.get(self.name)
        return tool is not None and tool.side_effects

    def takes_key(self, toolbox: Toolbox) -> bool:
        """Whether the tool takes an idempotency key, to know when it is invoked again."""
        tool = self.own or toolbox.get(self.name)
        return tool is not None and tool.takes_key


@dataclass(frozen=True, slots=True)
class Merging:
    """Apply a pure function to values."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def inputs(self) -> Iterator[Node[Any]]:
        """The nodes whose values are merged."""
        return nodes_in(self.arguments)

    def apply(self) -> Any:
        """The merged value; raises whatever the function raises, and PlannerError if it is async."""
        value = self.function(*bind(self.arguments))
        if isinstance(value, Coroutine):
            value.close()
            raise PlannerError("a merge applies a plain function; run an async one with run.spawn")
        return value


@dataclass(frozen=True, slots=True)
class Child:
    """Run planner code in a scope of its own."""

    function: Callable[..., Coroutine[Any, Any, Any]]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    gate: Gate | None = None
    """Set if the code runs ahead of what it starts from."""

    def inputs(self) -> Iterator[Node[Any]]:
        """The nodes whose values the function is called with."""
        return nodes_in((self.arguments, self.keywords))

    def body(self, run: Any) -> Coroutine[Any, Any, Any]:
        """The coroutine of the child, not yet started; ``run`` is what its code is handed."""
        return self.function(run, *bind(self.arguments), **bind(self.keywords))


Work = Generation | ToolUse | Merging | Child
