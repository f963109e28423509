"""A typed callable that a planner can name, describe to a model, and invoke with the model's words."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, to_jsonable_python

from workers.errors import ToolError
from workers.tools.showing import SHOWN, cut, show, told
from workers.tools.threads import in_thread

IDEMPOTENCY_KEY = "idempotency_key"
"""A parameter of this name is not given by the model: see :class:`Tool`."""

_TOLD = 2_000  # characters that an error quotes of what a tool raised
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
        takes_key: whether the function has the parameter ``idempotency_key: str``, and acts only once if
            invoked several times with one key. The key is not an argument: planners and models do not see it.
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
        """Validate the arguments, given by name or in order, and run the tool, with ``key`` if it takes one.

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
            raise ToolError(f"{self.name} takes arguments as a list or by name, not as {show(arguments)}")
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
        where = cut(".".join(map(str, detail["loc"])), SHOWN)
        if detail["type"] == "missing":
            return f"argument {where!r} is missing"
        if detail["type"] == "extra_forbidden":
            return f"there is no argument {where!r}, only {', '.join(self.parameters) or 'none'}"
        message = cut(detail["msg"][:1].lower() + detail["msg"][1:], _TOLD)
        return f"argument {where!r} was given {show(detail['input'])}, but {message}"

    async def _in_thread(self, **values: object) -> object:
        def call() -> object:
            try:
                return self.function(**values)
            except ToolError:
                raise
            except BaseException as error:  # also SystemExit, which must not end the event loop
                raise self._failed(error) from error

        return await in_thread(call, f"tool {self.name}")

    def _failed(self, error: BaseException) -> ToolError:
        return ToolError(f"{self.name} raised {type(error).__name__}: {cut(told(error, str), _TOLD)}")

    def _jsonable(self, result: object) -> JsonValue:
        try:
            plain: JsonValue = to_jsonable_python(result)
            json.dumps(plain, allow_nan=False)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise ToolError(
                f"{self.name} returned {show(result)}, not JSON: return text, numbers, lists or dicts"
            ) from error
        return plain
