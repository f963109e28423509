"""Tools: typed Python callables that a planner may call by name."""

from __future__ import annotations

import asyncio
import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from workers.errors import ToolError

GROUP = "anabranch.tools"
Function = Callable[..., Any]


@dataclass(frozen=True)
class Tool:
    """A callable with a name, a description for models, and typed arguments.

    ``side_effects`` says that calling it twice is not the same as calling it once; such a call is recorded
    before it is made, and not repeated after a crash. ``timeout`` is in seconds.
    """

    name: str
    description: str
    function: Function
    side_effects: bool = False
    timeout: float = 60.0
    recorded_schema: Mapping[str, Any] | None = None
    """Set where the tool stands for one that a journal describes."""

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The arguments as a pydantic model; unknown ones are refused."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise ToolError(f"tool {self.name}: *{parameter.name} has no fixed arguments; name them")
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The arguments as a JSON schema."""
        if self.recorded_schema is not None:
            return self.recorded_schema
        schema = self.arguments.model_json_schema()
        return {key: value for key, value in schema.items() if key != "title"}

    async def invoke(self, arguments: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Call the function with named or positional arguments; its value must be JSON.

        Synchronous functions run in a thread, which goes on after a time-out since it cannot be stopped.

        Raises:
            ToolError: the arguments do not fit, the function raised, took too long, or gave no JSON.
        """
        call = self._bind(arguments)
        try:
            async with asyncio.timeout(self.timeout):
                value = await call()
        except TimeoutError:
            raise ToolError(f"tool {self.name} did not end within {self.timeout:g} s") from None
        except ToolError:
            raise
        except Exception as error:
            raise ToolError(f"tool {self.name} raised {type(error).__name__}: {error}") from error
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ToolError(f"tool {self.name} gave {type(value).__name__}, not JSON: {error}") from None
        return value

    def _bind(self, arguments: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Awaitable[Any]]:
        names = list(self.arguments.model_fields)
        if not isinstance(arguments, Mapping):
            if len(arguments) > len(names):
                raise ToolError(
                    f"tool {self.name} takes {len(names)} arguments ({', '.join(names)}), got {len(arguments)}"
                )
            arguments = dict(zip(names, arguments, strict=False))
        try:
            model = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}, got {problem['input']!r}"
                for problem in error.errors(include_url=False)
            )
            raise ToolError(f"tool {self.name}({', '.join(names)}): {problems}") from None
        values = {name: getattr(model, name) for name in names}

        async def call() -> Any:
            if inspect.iscoroutinefunction(self.function):
                return await self.function(**values)
            return await asyncio.to_thread(self.function, **values)

        return call


def tool(
    function: Function | None = None,
    *,
    name: str | None = None,
    side_effects: bool = False,
    timeout: float = 60.0,
) -> Any:
    """Declare a function, sync or async, as a :class:`Tool`; its docstring tells models what it does.

    To make it known by name, list it under the entry-point group ``anabranch.tools``.
    """

    def declare(function: Function) -> Tool:
        description = inspect.getdoc(function) or ""
        return Tool(name or function.__name__, description, function, side_effects, timeout)

    return declare if function is None else declare(function)


class Toolbox(Mapping[str, Tool]):
    """Tools by name; immutable."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    @classmethod
    def installed(cls) -> Toolbox:
        """The tools that installed packages provide."""
        return cls(point.load() for point in entry_points(group=GROUP))

    def with_tools(self, *tools: Tool) -> Toolbox:
        """These tools as well; of equal names the new one."""
        return Toolbox([*self._tools.values(), *tools])

    def find(self, name: str) -> Tool:
        """The tool of that name.

        Raises:
            ToolError: there is none; the message lists those that there are.
        """
        if name not in self._tools:
            raise ToolError(f"no tool is called {name!r}; there are {', '.join(self._tools) or 'none'}")
        return self._tools[name]

    def describe(self) -> list[dict[str, Any]]:
        """What planners can know of the tools, as JSON."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "schema": tool.schema,
                "side_effects": tool.side_effects,
            }
            for tool in self._tools.values()
        ]

    def as_described(self, descriptions: Iterable[Mapping[str, Any]]) -> Toolbox:
        """The tools that :meth:`describe` told of, with the functions of this toolbox where it has them."""
        return Toolbox(self._described(description) for description in descriptions)

    def _described(self, description: Mapping[str, Any]) -> Tool:
        name = str(description["name"])

        def missing(**_: object) -> None:
            raise ToolError(f"the tool {name} is not installed in this process")

        here = self._tools.get(name) or Tool(name, "", missing)
        return replace(
            here,
            description=str(description["description"]),
            side_effects=bool(description["side_effects"]),
            recorded_schema=description["schema"],
        )
