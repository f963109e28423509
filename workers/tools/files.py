"""Tools that are declared in JSON: read from a text or a file, with ``${NAME}`` from the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from workers.tools.http_json import http_tool
from workers.tools.tool import Tool

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def read_declarations(given: str) -> Any:
    """The JSON of a text that begins with ``{`` or ``[``, or else of the file that it names.

    In its texts, ``${NAME}`` is replaced by what the environment has, and ``${NAME:-else}`` by ``else`` where
    it has nothing.

    Raises:
        ValueError: it cannot be read, is not JSON, or names a variable that is not set.
    """
    text, source = given, "it"
    if given.lstrip()[:1] not in ("{", "["):
        source = given
        try:
            text = Path(given).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{given} cannot be read: {error}") from None
    try:
        return _filled(json.loads(text), os.environ)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}") from None


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _variable(found, environment), value)
    if isinstance(value, dict):
        return {name: _filled(inner, environment) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environment) for inner in value]
    return value


def _variable(found: re.Match[str], environment: Mapping[str, str]) -> str:
    value = environment.get(found[1]) or found[2]
    if value is None:
        raise ValueError(f"the environment has no {found[1]}, which {found[0]} stands for")
    return value


class _HttpTool(BaseModel):
    """An HTTP tool in a file; the fields are the arguments of :func:`http_tool`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z_]\w*$")
    url: str
    description: str
    arguments: dict[str, Any] = {"type": "object", "properties": {}}
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[str, str] = {}
    private_hosts: list[str] = []
    side_effects: bool | None = None
    key_header: str = ""
    timeout: float = 30.0
    cuts: bool = False
    concurrency: int | None = None
    rate: str = ""
    exclusive: str = ""
    retries: int = 0
    examples: list[str] = []


_HTTP_TOOLS: TypeAdapter[list[_HttpTool]] = TypeAdapter(list[_HttpTool])


def http_tools(given: str) -> Sequence[Tool]:
    """The HTTP tools of a JSON list, or of a file with one; see :func:`read_declarations`.

    Raises:
        ValueError: it cannot be read, or one of them is wrong (a ``pydantic.ValidationError``, too).
    """
    declared = _HTTP_TOOLS.validate_python(read_declarations(given))
    try:
        return [http_tool(**dict(each)) for each in declared]
    except TypeError as error:
        raise ValueError(str(error)) from None
