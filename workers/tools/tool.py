"""A typed callable that a planner can name, describe to a model, and invoke with the model's words."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from workers.contained import Escaped, Overdue, contained
from workers.errors import ToolError, ToolUnavailable
from workers.showing import SAID, SHOWN, cut, raised, show
from workers.tools.limits import UNLIMITED, Limits
from workers.tools.results import as_json
from workers.tools.threads import in_thread

IDEMPOTENCY_KEY = "idempotency_key"
"""A parameter of this name is not given by the model: see :class:`Tool`."""

_SHORT = 10_000  # characters of a text that is looked at at once, not in a thread
_FAULTS = 5  # wrong arguments that an error names
_FIRST_PAUSE = 0.2  # seconds before a tool is tried again; they double
_LONGEST_PAUSE = 30.0  # seconds; a tool that asks for a longer one is not tried again

TRANSIENT: Final[tuple[type[Exception], ...]] = (ConnectionError, TimeoutError, ToolUnavailable)
"""What a tool raises where the same call may succeed a moment later, unless it declares other errors."""

T = TypeVar("T")


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
        cuts: whether a text that is larger than a result may be is cut, instead of being an error.
        limits: how many calls may be under way or begin, over all runs of the process.
        retries: how often a call is tried again that raised one of ``transient``. A tool with side effects
            is only tried again if it takes a key.
        transient: the errors of which trying again may be the cure.
        examples: calls as text, such as ``search("the mayor of Paris")``, which planners show to models.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    schema: Mapping[str, Any]
    side_effects: bool
    timeout: float
    function: Callable[..., object]
    takes_key: bool = False
    cuts: bool = False
    limits: Limits = UNLIMITED
    retries: int = 0
    transient: tuple[type[Exception], ...] = TRANSIENT
    examples: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the arguments, in the order in which they may be given without names."""
        return tuple(field.alias or name for name, field in self.arguments.model_fields.items())

    async def invoke(
        self,
        arguments: Mapping[str, object] | Sequence[object],
        *,
        key: str = "",
        most: int | None = None,
        permit: Callable[[], Awaitable[None]] | None = None,
    ) -> JsonValue:
        """Validate the arguments, given by name or in order, and run the tool, with ``key`` if it takes one.

        It waits until its limits let it begin; the timeout counts from then on, for each try anew. ``permit``
        is awaited last, and may raise. A synchronous function runs in a thread of its own. A timeout leaves
        that thread behind, since Python cannot stop it; it does not keep the process from ending. An
        asynchronous one that does not end when it is cancelled is left behind, too. ``most`` bounds the
        result, in characters of its JSON.

        Raises:
            ToolResultTooLarge: its result has more than ``most`` characters.
            ToolUnavailable: the tool says that what it uses is not there for now.
            ToolError: the arguments do not fit, the tool raised or took too long, its result is not JSON, or
                it takes a key and was given none.
        """
        try:
            values = self._values(arguments, key)
        except ToolError:
            raise
        except BaseException as error:  # validators are foreign code, too
            raise self._failed(error) from error
        tries = 1
        while True:
            try:
                return await self._try(values, most, permit)
            except ToolError as error:
                pause = self._pause(error, tries)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            tries += 1

    def _pause(self, error: ToolError, tries: int) -> float | None:
        """Seconds until a call that has failed so many times is tried again; None: it is not."""
        may_repeat = not self.side_effects or self.takes_key
        is_transient = any(isinstance(each, self.transient) for each in (error, error.__cause__))
        if tries > self.retries or not may_repeat or not is_transient:
            return None
        pause = max(_FIRST_PAUSE * 2.0 ** (tries - 1), error.retry_after or 0.0)
        return pause if pause <= _LONGEST_PAUSE else None

    async def _try(
        self, values: dict[str, object], most: int | None, permit: Callable[[], Awaitable[None]] | None
    ) -> JsonValue:
        leave = await self.limits.begin(self.name, self.timeout)
        is_begun = False

        async def run() -> JsonValue:
            nonlocal is_begun
            is_begun = True
            return await self._result(values, most, leave)

        try:
            if permit is not None:
                await permit()
            return await self._contained(run)
        finally:
            if not is_begun:
                leave()

    async def _contained(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await contained(work, f"the tool {self.name}", seconds=self.timeout)
        except Overdue as overdue:
            raise ToolError(f"{self.name} {overdue.why}") from None
        except Escaped as escaped:
            raise self._failed(escaped.error) from escaped.error
        except ToolError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _values(self, arguments: Mapping[str, object] | Sequence[object], key: str) -> dict[str, object]:
        values = self._validated(self._named(arguments))
        if self.takes_key:
            if not key:
                raise ToolError(f"{self.name} must not be invoked without an idempotency key")
            values[IDEMPOTENCY_KEY] = key
        return values

    async def _result(
        self, values: dict[str, object], most: int | None, leave: Callable[[], None]
    ) -> JsonValue:
        thread = f"tool {self.name}"
        if not inspect.iscoroutinefunction(self.function):
            return await in_thread(lambda: self._as_json(self.function(**values), most), thread, leave)
        try:
            result = await self.function(**values)
        finally:
            leave()
        if _is_small(result):
            return self._as_json(result, most)
        return await in_thread(lambda: self._as_json(result, most), thread)

    def _as_json(self, result: object, most: int | None) -> JsonValue:
        return as_json(result, self.name, most, cuts=self.cuts)

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
        message = cut(detail["msg"][:1].lower() + detail["msg"][1:], SAID)
        return f"argument {where!r} was given {show(detail['input'])}, but {message}"

    def _failed(self, error: BaseException) -> ToolError:
        return ToolError(f"{self.name} raised {raised(error)}")


def _is_small(result: object) -> bool:
    """Whether it takes no time to look at."""
    return (
        result is None or type(result) in (bool, int, float) or (type(result) is str and len(result) < _SHORT)
    )
