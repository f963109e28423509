"""Typed Python callables as tools that a planner can name, describe to a model, and invoke with its words."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticSerializationError, to_jsonable_python

from workers.errors import ToolError
from workers.tools.threads import in_thread

GROUP = "anabranch.tools"
"""The entry points under which installed packages offer tools."""

IDEMPOTENCY_KEY = "idempotency_key"
"""A parameter of this name is not the model's to give: see :class:`Tool`."""

_SHOWN = 80  # characters of a wrong value in an error
_TOLD = 2_000  # characters of what a tool raised
_FAULTS = 5  # wrong arguments that an error names


@dataclass(frozen=True, slots=True)
class Tool:
    """A callable with what a model must know to call it, and what a run must know to repeat it.

    Attributes:
        name: unique in a toolbox.
        description: what the model reads; the docstring of the callable.
        arguments: validates arguments by name.
        schema: the JSON schema of the arguments.
        side_effects: whether invoking it twice is not the same as once. A run that resumes does not invoke
            such a tool again, unless it takes a key.
        timeout: seconds.
        function: the callable.
        takes_key: whether the function has the parameter ``idempotency_key: str``, and does once what it is
            told several times with one key. The key is no argument: planners and models do not see it.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    schema: Mapping[str, Any]
    side_effects: bool
    timeout: float
    function: Callable[..., object]
    takes_key: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the arguments, in the order in which they may be given without names."""
        return tuple(field.alias or name for name, field in self.arguments.model_fields.items())

    async def invoke(self, arguments: Mapping[str, object] | Sequence[object], *, key: str = "") -> JsonValue:
        """Validate the arguments, given by name or in order, and run the tool; with ``key`` if it takes one.

        A synchronous function runs in a thread of its own. A timeout leaves that thread behind, since Python
        cannot stop it; it does not keep the process from ending.

        Raises:
            ToolError: the arguments do not fit, the tool raised or took too long, its result is not JSON, or
                it takes a key and was given none.
        """
        values = self._validated(self._named(arguments))
        if self.takes_key:
            if not key:
                raise ToolError(f"{self.name} must not be invoked without an idempotency key")
            values[IDEMPOTENCY_KEY] = key
        run = self.function if inspect.iscoroutinefunction(self.function) else self._in_thread
        try:
            async with asyncio.timeout(self.timeout) as limit:
                result = await run(**values)
        except ToolError:
            raise
        except TimeoutError as error:
            if limit.expired():
                raise ToolError(f"{self.name} took more than {self.timeout:g} s") from None
            raise self._failed(error) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._failed(error) from error  # it gave up by itself
        except (Exception, SystemExit) as error:
            raise self._failed(error) from error
        return self._jsonable(result)

    def _named(self, arguments: Mapping[str, object] | Sequence[object]) -> dict[str, object]:
        if isinstance(arguments, Mapping):
            return dict(arguments)
        if isinstance(arguments, str | bytes):
            raise ToolError(f"{self.name} takes arguments as a list or by name, not as {_show(arguments)}")
        names = self.parameters
        if len(arguments) > len(names):
            raise ToolError(
                f"{self.name} takes at most {len(names)} arguments ({', '.join(names) or 'none'}), "
                f"but {len(arguments)} were given"
            )
        return dict(zip(names, arguments, strict=False))

    def _validated(self, arguments: dict[str, object]) -> dict[str, object]:
        try:
            valid = self.arguments.model_validate(arguments)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            wrong = "; ".join(map(self._explain, faults[:_FAULTS]))
            more = f"; and {len(faults) - _FAULTS} more" if faults[_FAULTS:] else ""
            raise ToolError(f"{self.name}: {wrong}{more}") from error
        return {field.alias or name: getattr(valid, name) for name, field in type(valid).model_fields.items()}

    def _explain(self, detail: ErrorDetails) -> str:
        where = _cut(".".join(map(str, detail["loc"])), _SHOWN)
        if detail["type"] == "missing":
            return f"argument {where!r} is missing"
        if detail["type"] == "extra_forbidden":
            return f"there is no argument {where!r}, only {', '.join(self.parameters) or 'none'}"
        message = _cut(detail["msg"][:1].lower() + detail["msg"][1:], _TOLD)
        return f"argument {where!r} was given {_show(detail['input'])}, but {message}"

    async def _in_thread(self, **values: object) -> object:
        def call() -> object:
            try:
                return self.function(**values)
            except ToolError:
                raise
            except BaseException as error:  # also SystemExit, which is not to end the event loop
                raise self._failed(error) from error

        return await in_thread(call, f"tool {self.name}")

    def _failed(self, error: BaseException) -> ToolError:
        return ToolError(f"{self.name} raised {type(error).__name__}: {_cut(_told(error, str), _TOLD)}")

    def _jsonable(self, result: object) -> JsonValue:
        try:
            plain: JsonValue = to_jsonable_python(result)
            json.dumps(plain, allow_nan=False)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise ToolError(
                f"{self.name} returned {_show(result)}, not JSON: return text, numbers, lists or dicts"
            ) from error
        return plain


@overload
def tool(function: Callable[..., object], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, side_effects: bool = False, timeout: float = 30.0
) -> Callable[[Callable[..., object]], Tool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    side_effects: bool = False,
    timeout: float = 30.0,
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a tool of a typed function, sync or async. Its docstring is what the model reads.

    A parameter takes a description and constraints from ``Annotated[int, Field(description=…, ge=0)]``.

    Args:
        function: the callable, when the decorator is used without arguments.
        name: None: the function's name.
        side_effects: see :class:`Tool`, also for the parameter ``idempotency_key``.
        timeout: seconds.

    Raises:
        TypeError: a parameter has no type or cannot be named, the docstring is missing, or a tool that takes
            an idempotency key does not say that it has side effects.
    """

    def make(function: Callable[..., object]) -> Tool:
        title = name or function.__name__
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"the tool {title} needs a docstring: it tells the model what the tool does")
        if timeout <= 0:
            raise TypeError(f"the timeout of the tool {title} is {timeout}: give seconds above 0")
        takes_key = _takes_key(function, title)
        if takes_key and not side_effects:
            raise TypeError(f"the tool {title} takes an idempotency key: declare @tool(side_effects=True)")
        arguments = _arguments(function, title)
        schema = arguments.model_json_schema(schema_generator=_PlainSchema)
        schema.pop("title", None)
        return Tool(title, description, arguments, schema, side_effects, timeout, function, takes_key)

    return make if function is None else make(function)


class Toolbox(Mapping[str, Tool]):
    """An immutable set of tools by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for entry in tools:
            if entry.name in self._tools:
                raise ValueError(f"two tools are named {entry.name!r}: name one of them with @tool(name=…)")
            self._tools[entry.name] = entry

    @classmethod
    def installed(cls) -> Toolbox:
        """The tools that installed packages offer under the entry points ``anabranch.tools``; reads files.

        Raises:
            ToolError: one of them cannot be imported or is not a tool.
        """
        return cls(_load(entry.name, entry.load) for entry in entry_points(group=GROUP))

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def find(self, name: str) -> Tool:
        """The tool of this name.

        Raises:
            ToolError: there is none; the message lists those that there are.
        """
        if name not in self._tools:
            known = ", ".join(self._tools) or "none at all"
            raise ToolError(f"there is no tool {_show(name)}, only {known}")
        return self._tools[name]

    def with_tools(self, *tools: Tool) -> Toolbox:
        """These tools as well; of equal names the new one."""
        return Toolbox({**self._tools, **{entry.name: entry for entry in tools}}.values())

    def describe(self) -> list[dict[str, Any]]:
        """What planners and models can know of the tools, as JSON."""
        return [
            {
                "name": entry.name,
                "description": entry.description,
                "schema": entry.schema,
                "side_effects": entry.side_effects,
                **({"takes_key": True} if entry.takes_key else {}),
            }
            for entry in self._tools.values()
        ]

    def as_described(self, descriptions: Iterable[Mapping[str, Any]]) -> Toolbox:
        """The tools that :meth:`describe` told of, with the functions of this toolbox where it has them."""
        return Toolbox(self._described(description) for description in descriptions)

    def _described(self, description: Mapping[str, Any]) -> Tool:
        name, schema = str(description["name"]), description["schema"]
        here = self._tools.get(name) or _absent(name, schema, takes_key=bool(description.get("takes_key")))
        return replace(
            here,
            description=str(description["description"]),
            schema=schema,
            side_effects=bool(description["side_effects"]),
        )


class _PlainSchema(GenerateJsonSchema):
    """Without a title for each field, which repeats its name and costs tokens."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _arguments(function: Callable[..., object], title: str) -> type[BaseModel]:
    """A model of the parameters of a function."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"the tool {title} has the parameter {parameter}: all must be plain and named")
        if name == IDEMPOTENCY_KEY:
            continue
        if name not in hints:
            raise TypeError(f"the parameter {name} of the tool {title} needs a type")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    return _model(title, fields)


def _takes_key(function: Callable[..., object], title: str) -> bool:
    if IDEMPOTENCY_KEY not in inspect.signature(function).parameters:
        return False
    if get_type_hints(function).get(IDEMPOTENCY_KEY) is not str:
        raise TypeError(f"the parameter {IDEMPOTENCY_KEY} of the tool {title} must have the type str")
    return True


def _model(title: str, fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    """A model of fields with type and default. Their names are aliases, as pydantic keeps some for itself."""
    renamed: dict[str, Any] = {
        f"argument_{number}": (kind, Field(default=default, alias=name))
        for number, (name, (kind, default)) in enumerate(fields.items())
    }
    return create_model(title, __config__=ConfigDict(extra="forbid"), **renamed)


def _absent(name: str, schema: Mapping[str, Any], *, takes_key: bool) -> Tool:
    """Stands for a tool that a journal tells of and that this process does not have."""

    def missing(**_: object) -> None:
        raise ToolError(f"the tool {name} is not installed in this process")

    arguments = _model(name, dict.fromkeys(schema.get("properties", {}), (Any, None)))
    return Tool(name, "", arguments, schema, False, 1.0, missing, takes_key)


def _load(name: str, load: Callable[[], object]) -> Tool:
    try:
        loaded = load()
    except Exception as error:
        raise ToolError(f"the tool {name} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, Tool):
        raise ToolError(f"the entry point {name} of {GROUP} is {_show(loaded)}: decorate it with @tool")
    return loaded


def _show(value: object) -> str:
    return _cut(_told(value, repr), _SHOWN)


def _told(value: object, tell: Callable[[object], str]) -> str:
    """A value as text; its type where it has none: a number of too many digits, or too deep a nest."""
    try:
        return tell(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
