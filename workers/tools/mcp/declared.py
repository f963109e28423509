"""MCP servers as a user declares them, in the form that other MCP clients read too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator
from yarl import URL

from workers.redaction import redacted
from workers.tools.files import read_declarations

_KINDS = {"stdio": "command", "http": "url", "streamable-http": "url", "streamableHttp": "url"}


class Declared(BaseModel):
    """How one server is reached. What only other clients understand is ignored.

    Attributes:
        command, args, env, cwd: a server that is started as a process, and spoken to over its pipes. Of our
            environment it gets what it needs to run (``PATH``, ``HOME`` …), and ``env``.
        url, headers: a server that is spoken to by streamable HTTP.
        type: which of the two; need not be given.
        disabled: leave it out.
        timeout: seconds that one call may take.
        concurrency: how many calls the server is sent at a time; None: any number.
        include_tools: the names of the tools to offer; None: all of them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str | None = Field(None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = Field(None, pattern=r"^https?://")
    headers: dict[str, str] = {}
    type: str | None = None
    disabled: bool = False
    timeout: PositiveFloat = Field(60.0, allow_inf_nan=False)
    concurrency: PositiveInt | None = None
    include_tools: frozenset[str] | None = Field(None, alias="includeTools")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give command (for a process) or url (for streamable HTTP)")
        if self.type is not None and _KINDS.get(self.type) != ("url" if self.command is None else "command"):
            raise ValueError(f"type {self.type!r} is not supported here: stdio with command, http with url")
        return self

    def discreet(self, text: str) -> str:
        """What is told of a server, without the keys in its headers, its ``env`` and its ``url``."""
        query = URL(self.url or "").query.values()
        secret = (*self.headers.values(), *self.env.values(), *query)
        return redacted(text, *secret, *(each.split()[-1] for each in secret if each.strip()))


class _File(BaseModel):
    servers: dict[str, Declared] = Field(alias="mcpServers")


def mcp_servers(given: str) -> Mapping[str, Declared]:
    """The servers by name in ``{"mcpServers": {…}}``, or in a file with that, that are not disabled.

    Raises:
        ValueError: it cannot be read, or one of them is wrong (a ``pydantic.ValidationError``, too).
    """
    servers = _File.model_validate(read_declarations(given)).servers
    return {name: declared for name, declared in servers.items() if not declared.disabled}
