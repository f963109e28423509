"""The table of routes: what each takes and sends, and who may use it, declared next to its handler.

The application, what it lets in, its limits and the OpenAPI document are all made from this table, and tests
go over every route of it; there are no other routes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from orchestrator.access.caller import Scope
from orchestrator.api.dialects import Dialect
from orchestrator.errors import AnabranchError
from storage.errors import StorageError
from workers.errors import WorkerError

SAFE = ("GET", "HEAD", "OPTIONS")
"""The methods that must change nothing: pages from anywhere can have browsers send them."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""The content types that a form can send, from any page and without being asked whether it may."""

JSON, EVENTS = "application/json", "text/event-stream"

Parameter = Mapping[str, Any]
"""A parameter as OpenAPI describes it."""

Content = type[BaseModel] | Mapping[str, Any]
"""A model for a JSON body; for anything else a media type, as OpenAPI describes it."""

Refusal = type[AnabranchError] | type[StorageError] | type[WorkerError]
"""An error that a route answers with."""

Answer = tuple[int, str, Content]
"""A status, what it means, and the body that comes with it."""

Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: where it is, what it is for, what it takes and what it answers.

    Attributes:
        scope: what its caller needs; None: anybody may ask.
        changes: whether it changes state; no ``GET`` may.
        errors: those of its own; what every route may answer is added by :mod:`orchestrator.api.openapi`.
        takes: its body; None: it takes none.
        media: the content types of its body.
        needs_body: whether the body must be there.
        example: a body that it takes.
        sends: models within content that is not a JSON body.
        head: whether ``HEAD`` is answered too.
        max_body: the most bytes of its body; None: as the settings say.
        watched: it tells how the process is, and is answered when nothing else can be.
        errors_as: the protocol in whose shape it refuses; None: in our own.
        open_ended: whether the last parameter of its path may have slashes.
        keyed: its caller must be known as for a scope, but which scope it needs is its handler's to say.
        form: it takes what a form can send, and so only from clients that say something no form can say.

    Raises:
        ValueError: it cannot be served safely as it is declared.
    """

    method: str
    path: str
    name: str
    summary: str
    scope: Scope | None
    changes: bool
    answers: tuple[Answer, ...]
    errors: tuple[Refusal, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    takes: Content | None = None
    media: tuple[str, ...] = ()
    needs_body: bool = True
    example: Mapping[str, Any] | None = None
    sends: tuple[type[BaseModel], ...] = ()
    head: bool = True
    max_body: int | None = None
    watched: bool = False
    errors_as: Dialect | None = None
    open_ended: bool = False
    keyed: bool = False
    form: bool = False

    def __post_init__(self) -> None:
        if self.changes and self.method in SAFE:
            raise ValueError(f"{self.name}: {self.method} {self.path} must not change state")
        if self.changes and self.scope is None:
            raise ValueError(f"{self.name}: what changes state needs a scope")
        if self.keyed and self.scope is not None:
            raise ValueError(f"{self.name}: either it has a scope, or its handler looks at scopes")
        if any(media in FORMS for media in self.media) and not self.form:
            raise ValueError(f"{self.name}: forms of any page could send it {', '.join(self.media)}")
        if self.example is not None and isinstance(self.takes, type):
            self.takes.model_validate(dict(self.example))

    @property
    def streams(self) -> bool:
        """Whether it may answer for hours."""
        return any(EVENTS in content for _, _, content in self.answers if not isinstance(content, type))

    @property
    def pattern(self) -> str:
        """The path as a router takes it."""
        return f"{self.path[:-1]}:.+}}" if self.open_ended else self.path

    def models(self) -> Iterator[type[BaseModel]]:
        """The models of what it sends."""
        yield from self.sends
        for _, _, content in self.answers:
            if isinstance(content, type):
                yield content
        if self.errors_as is not None:
            yield self.errors_as.model


def route(
    method: str,
    path: str,
    *answers: Answer,
    scope: Scope | None,
    changes: bool = False,
    name: str | None = None,
    errors: Sequence[Refusal] = (),
    parameters: Sequence[Parameter] = (),
    takes: Content | None = None,
    media: Sequence[str] = (),
    needs_body: bool = True,
    example: Mapping[str, Any] | None = None,
    sends: Sequence[type[BaseModel]] = (),
    head: bool = True,
    max_body: int | None = None,
    watched: bool = False,
    errors_as: Dialect | None = None,
    open_ended: bool = False,
    keyed: bool = False,
    form: bool = False,
) -> Callable[[H], H]:
    """Declare a method as a route, with its name and the first line of its docstring.

    If no ``media`` are given, a body is of those that it names itself, and one with a model is JSON.
    """
    named = () if takes is None else (JSON,) if isinstance(takes, type) else tuple(takes)

    def declare(handler: H) -> H:
        handler.route = Route(  # type: ignore[attr-defined]
            method=method,
            path=path,
            name=name or handler.__name__,
            summary=(inspect.getdoc(handler) or "").partition("\n")[0],
            scope=scope,
            changes=changes,
            answers=answers,
            errors=tuple(errors),
            parameters=tuple(parameters),
            takes=takes,
            media=tuple(media) or named,
            needs_body=needs_body,
            example=example,
            sends=tuple(sends),
            head=head,
            max_body=max_body,
            watched=watched,
            errors_as=errors_as,
            open_ended=open_ended,
            keyed=keyed,
            form=form,
        )
        return handler

    return declare


def routes_of(handlers: type) -> dict[str, Route]:
    """The routes of a class of handlers, by method name, in the order of the class."""
    members = {name: member for each in reversed(handlers.__mro__) for name, member in vars(each).items()}
    found = {name: getattr(member, "route", None) for name, member in members.items()}
    return {name: each for name, each in found.items() if isinstance(each, Route)}


def route_of(request: web.Request) -> Route | None:
    """The route that a request has come to; None if there is none for its path and method."""
    found = getattr(request.match_info.handler, "route", None)
    return found if isinstance(found, Route) else None


def bound(handlers: object) -> Iterator[web.RouteDef]:
    """The routes of ``handlers``, as an application takes them."""
    for method, each in routes_of(type(handlers)).items():
        handler = getattr(handlers, method)
        if each.method == "GET":
            yield web.get(each.pattern, handler, allow_head=each.head)
        else:
            yield web.route(each.method, each.pattern, handler)


def header(
    name: str, description: str, *, schema: Parameter | None = None, example: str | None = None
) -> Parameter:
    """A header as a parameter."""
    shown = {} if example is None else {"example": example}
    return {
        "name": name,
        "in": "header",
        "schema": schema or {"type": "string"},
        "description": description,
        **shown,
    }


def queries(model: type[BaseModel]) -> list[Parameter]:
    """The fields of a model as query parameters."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": parameter}
        for name, parameter in schema["properties"].items()
    ]
