"""Makes tools of HTTP endpoints that answer in JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import to_jsonable_python

from workers.errors import ToolError
from workers.tools.addresses import Reach
from workers.tools.arguments import arguments_of, schema_of
from workers.tools.declaration import checked, limits_of
from workers.tools.endpoint import Endpoint
from workers.tools.exchange import Request, exchanged
from workers.tools.schemas import OMITTED, arguments_of_schema, given, plain_schema
from workers.tools.tool import IDEMPOTENCY_KEY, TRANSIENT, Tool

_METHODS: Final = {"GET": False, "POST": True, "PUT": True, "PATCH": True, "DELETE": True}
"""The methods, and whether a tool has side effects with them unless it says otherwise."""

_HEADER: Final = re.compile(r"[!#$%&'*+.^`|~\w-]+", re.ASCII)
_BREAKING: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What ends a header, or may not be in one; values that are read from files often end with a line end."""

_BODILESS: Final = ("GET", "DELETE")


def http_tool(
    *,
    name: str,
    url: str,
    description: str,
    arguments: type[BaseModel] | Callable[..., object] | Mapping[str, Any],
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    private_hosts: Sequence[str] = (),
    side_effects: bool | None = None,
    key_header: str = "",
    timeout: float = 30.0,
    cuts: bool = False,
    concurrency: int | None = None,
    rate: str = "",
    exclusive: str = "",
    retries: int = 0,
    examples: Sequence[str] = (),
) -> Tool:
    """Make a tool of an HTTP endpoint. It returns the JSON or the text that the server answers.

    Arguments whose names stand in braces in the path or query of ``url`` are put there, percent-encoded; the
    others go into the query for GET and DELETE, and into a JSON object else. None of them can change scheme,
    host, port or headers. The tool connects to public addresses only, however the host's name is resolved.

    Args:
        arguments: a pydantic model, a function whose typed parameters are the arguments (it is not called),
            or a JSON schema of an object.
        method: GET, POST, PUT, PATCH or DELETE.
        headers: sent with each request, such as credentials; not to another host that a redirect names.
        private_hosts: hosts, addresses and networks (``10.0.0.0/8``) that the tool may connect to although
            they are not public.
        side_effects: None: for all methods but GET.
        key_header: the header for the run's idempotency key, such as ``Idempotency-Key``, if the server acts
            only once for each key.
        timeout, cuts, concurrency, rate, exclusive, retries, examples: as for :func:`tool`. A server that
            cannot be reached, or answers 429, 502, 503 or 504, is tried again.

    Raises:
        TypeError: something does not fit together; the message says what.
    """
    if method not in _METHODS:
        raise TypeError(f"the tool {name}: method {method!r} is none of {', '.join(_METHODS)}")
    if not description.strip():
        raise TypeError(f"the tool {name} needs a description: it tells the model what the tool does")
    try:
        model = _model(name, arguments)
        schema = plain_schema(arguments, name) if isinstance(arguments, Mapping) else schema_of(model)
        fields = {field.alias or each: field for each, field in model.model_fields.items()}
        endpoint = Endpoint.of(url, fields)
        reach = Reach.of(private_hosts)
    except (ValueError, ToolError) as error:
        raise TypeError(f"the tool {name}: {error}") from None
    for each in sorted(endpoint.in_url):
        if fields[each].default is OMITTED:
            raise TypeError(f"the tool {name}: {each!r} stands in its url: it must be required")
    sent = dict(headers or {})
    for each, value in {**sent, key_header or "-": ""}.items():
        if not _HEADER.fullmatch(each) or _BREAKING.search(value):  # which may be a key: it is not shown
            raise TypeError(f"the tool {name}: the header {each!r} cannot be sent: look for line ends in it")

    async def call(**values: object) -> JsonValue:
        key = values.pop(IDEMPOTENCY_KEY, None)
        plain = {name: _plain(value) for name, value in given(values).items()}
        inside = {name: plain.pop(name) for name in endpoint.in_url}
        bodiless = method in _BODILESS
        target = endpoint.url(inside, {n: v for n, v in plain.items() if v is not None} if bodiless else {})
        extra = {key_header: str(key)} if key is not None else {}
        body = None if bodiless else plain
        return await exchanged(Request(method, target, {**sent, **extra}, body), reach, name)

    has_effects = _METHODS[method] if side_effects is None else side_effects
    return checked(
        Tool(
            name,
            description.strip(),
            model,
            schema,
            has_effects,
            timeout,
            call,
            has_effects and bool(key_header),
            cuts,
            limits_of(name, concurrency, rate, exclusive),
            retries,
            TRANSIENT,
            tuple(examples),
        )
    )


def _model(
    name: str, arguments: type[BaseModel] | Callable[..., object] | Mapping[str, Any]
) -> type[BaseModel]:
    if isinstance(arguments, Mapping):
        return arguments_of_schema(name, arguments)
    if isinstance(arguments, type) and issubclass(arguments, BaseModel):
        return type(arguments.__name__, (arguments,), {"model_config": ConfigDict(extra="forbid")})
    return arguments_of(arguments, name)


def _plain(value: object) -> JsonValue:
    plain: JsonValue = to_jsonable_python(value)
    return plain
