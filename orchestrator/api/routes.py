"""The table of routes: what each takes and sends, declared next to its handler.

Both the application and the OpenAPI document are made from this table; there are no other routes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from orchestrator.access.caller import Scope

Parameter = Mapping[str, Any]
"""A parameter as OpenAPI describes it."""

Content = type[BaseModel] | Mapping[str, Any]
"""A model for a JSON body; for anything else a media type, as OpenAPI describes it."""

Answer = tuple[int, str, Content]
"""A status, what it means, and the body that comes with it."""

Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: where it is, what it is for, what it takes and what it answers.

    ``scope`` is what its caller needs; None means that anybody may ask. ``changes`` says whether it changes
    state. ``sends`` are models within content that is not a JSON body. ``head`` says whether ``HEAD`` is
    answered too.
    """

    method: str
    path: str
    name: str
    summary: str
    scope: Scope | None
    changes: bool
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    takes: Content | None = None
    sends: tuple[type[BaseModel], ...] = ()
    head: bool = True

    def models(self) -> Iterator[type[BaseModel]]:
        """The models of what it sends."""
        yield from self.sends
        for _, _, content in self.answers:
            if isinstance(content, type):
                yield content


def route(
    method: str,
    path: str,
    *answers: Answer,
    scope: Scope | None,
    changes: bool = False,
    name: str | None = None,
    parameters: Sequence[Parameter] = (),
    takes: Content | None = None,
    sends: Sequence[type[BaseModel]] = (),
    head: bool = True,
) -> Callable[[H], H]:
    """Declare a method as a route, with its name and the first line of its docstring."""

    def declare(handler: H) -> H:
        handler.route = Route(  # type: ignore[attr-defined]
            method=method,
            path=path,
            name=name or handler.__name__,
            summary=(inspect.getdoc(handler) or "").partition("\n")[0],
            scope=scope,
            changes=changes,
            answers=answers,
            parameters=tuple(parameters),
            takes=takes,
            sends=tuple(sends),
            head=head,
        )
        return handler

    return declare


def routes_of(handlers: type) -> dict[str, Route]:
    """The routes of a class of handlers, by method name, in the order of the class."""
    members = {name: member for each in reversed(handlers.__mro__) for name, member in vars(each).items()}
    found = {name: getattr(member, "route", None) for name, member in members.items()}
    return {name: each for name, each in found.items() if isinstance(each, Route)}


def bound(handlers: object) -> Iterator[web.RouteDef]:
    """The routes of ``handlers``, as an application takes them."""
    for method, each in routes_of(type(handlers)).items():
        handler = getattr(handlers, method)
        if each.method == "GET":
            yield web.get(each.path, handler, allow_head=each.head)
        else:
            yield web.route(each.method, each.path, handler)


def header(name: str, description: str) -> Parameter:
    """A header as a parameter."""
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


def queries(model: type[BaseModel]) -> list[Parameter]:
    """The fields of a model as query parameters."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return [
        {"name": name, "in": "query", "schema": parameter} for name, parameter in schema["properties"].items()
    ]
