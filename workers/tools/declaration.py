"""Makes tools from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import overload

from workers.tools.arguments import PlainSchema, arguments_of, takes_key
from workers.tools.tool import Tool


@overload
def tool(function: Callable[..., object], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, side_effects: bool = False, timeout: float = 30.0, cuts: bool = False
) -> Callable[[Callable[..., object]], Tool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    side_effects: bool = False,
    timeout: float = 30.0,
    cuts: bool = False,
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a tool from a typed function, sync or async. Its docstring is what the model reads.

    A parameter takes a description and constraints from ``Annotated[int, Field(description=…, ge=0)]``.

    Args:
        function: the callable, when the decorator is used without arguments.
        name: None: the function's name.
        side_effects: see :class:`Tool`, also about the parameter ``idempotency_key``.
        timeout: seconds.
        cuts: a text that is larger than a run lets a result be is cut, with a mark, and does not fail.

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
        keyed = takes_key(function, title)
        if keyed and not side_effects:
            raise TypeError(f"the tool {title} takes an idempotency key: declare @tool(side_effects=True)")
        arguments = arguments_of(function, title)
        schema = arguments.model_json_schema(schema_generator=PlainSchema)
        schema.pop("title", None)
        return Tool(title, description, arguments, schema, side_effects, timeout, function, keyed, cuts)

    return make if function is None else make(function)
