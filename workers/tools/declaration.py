"""Makes tools from functions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import overload

from workers.tools.arguments import arguments_of, schema_of, takes_key
from workers.tools.limits import Limits
from workers.tools.tool import TRANSIENT, Tool


@overload
def tool(function: Callable[..., object], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    side_effects: bool = False,
    timeout: float = 30.0,
    cuts: bool = False,
    concurrency: int | None = None,
    rate: str = "",
    exclusive: str = "",
    retries: int = 0,
    transient: Sequence[type[Exception]] = TRANSIENT,
    examples: Sequence[str] = (),
) -> Callable[[Callable[..., object]], Tool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    side_effects: bool = False,
    timeout: float = 30.0,
    cuts: bool = False,
    concurrency: int | None = None,
    rate: str = "",
    exclusive: str = "",
    retries: int = 0,
    transient: Sequence[type[Exception]] = TRANSIENT,
    examples: Sequence[str] = (),
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a tool from a typed function, sync or async. Its docstring is what the model reads.

    A parameter takes a description and constraints from ``Annotated[int, Field(description=…, ge=0)]``.

    Args:
        function: the callable, when the decorator is used without arguments.
        name: None: the function's name.
        side_effects: see :class:`Tool`, also about the parameter ``idempotency_key``.
        timeout: seconds, from when the function begins; a call may have waited for its limits before.
        cuts: a text that is larger than a run lets a result be is cut, with a mark, and does not fail.
        concurrency: how many calls may be under way at a time, over all runs of the process.
        rate: how many calls may begin in a time: ``10/second``, ``60/minute`` or ``500/hour``.
        exclusive: the name of what only one call may use at a time, of all tools that give the same name.
        retries: how often a call is tried again that raised one of ``transient``, after 0.2 s, 0.4 s and so
            on, or as long as a :class:`ToolUnavailable` asks for.
        transient: the errors that a second try may not meet.
        examples: calls as text, which planners show to models, such as ``search("the mayor of Paris")``.

    Raises:
        TypeError: a parameter has no type or cannot be named, the docstring is missing, a tool that takes
            an idempotency key does not say that it has side effects, one with side effects is to be tried
            again but takes no key, or a limit or an example makes no sense.
    """

    def make(function: Callable[..., object]) -> Tool:
        title = name or function.__name__
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"the tool {title} needs a docstring: it tells the model what the tool does")
        keyed = takes_key(function, title)
        if keyed and not side_effects:
            raise TypeError(f"the tool {title} takes an idempotency key: declare @tool(side_effects=True)")
        arguments = arguments_of(function, title)
        return checked(
            Tool(
                title,
                description,
                arguments,
                schema_of(arguments),
                side_effects,
                timeout,
                function,
                keyed,
                cuts,
                limits_of(title, concurrency, rate, exclusive),
                retries,
                tuple(transient),
                tuple(examples),
            )
        )

    return make if function is None else make(function)


def limits_of(title: str, concurrency: int | None, rate: str, exclusive: str) -> Limits:
    """The limits of a tool, however it is declared.

    Raises:
        TypeError: they make no sense.
    """
    try:
        return Limits(concurrency, rate, exclusive)
    except ValueError as error:
        raise TypeError(f"the tool {title}: {error}") from None


def checked(made: Tool) -> Tool:
    """A tool, if what it declares fits together.

    Raises:
        TypeError: it does not.
    """
    if not made.timeout > 0:
        raise TypeError(f"the timeout of the tool {made.name} is {made.timeout}: give seconds above 0")
    if made.retries < 0:
        raise TypeError(f"the tool {made.name} has {made.retries} retries: give 0 or more")
    if made.retries and made.side_effects and not made.takes_key:
        raise TypeError(
            f"the tool {made.name} has side effects: for retries, it must take an idempotency_key: str"
        )
    for example in made.examples:
        if not re.fullmatch(rf"{re.escape(made.name)}\(.*\)", example):
            raise TypeError(f"the example {example!r} is no call of the tool: write {made.name}(…)")
    return made
