"""What a client asks, and how that is opened: a service of this process, or one elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

import structlog

from orchestrator import logs
from orchestrator.client.local import LocalService
from orchestrator.errors import InvalidRequest
from orchestrator.opening import opened_service
from orchestrator.planning.planner import Planner
from orchestrator.remote.address import Address
from orchestrator.remote.service import RemoteService
from orchestrator.remote.trying import Patience
from orchestrator.settings import Settings
from orchestrator.solver import Solver
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.toolbox import build_toolbox
from workers.engine import Engine
from workers.tools.tool import Tool


class SolveOptions(TypedDict, total=False):
    """What may be given besides the query; see :class:`~orchestrator.tasks.requests.TaskRequest`."""

    context: str
    choices: Sequence[str]
    history: Sequence[Mapping[str, str]]
    format: Mapping[str, Any] | None
    stop: Sequence[str]
    metadata: Mapping[str, str]
    planner: str | Planner
    options: Mapping[str, Any]
    sampling: Mapping[str, Any]
    budget: Mapping[str, Any]
    seed: int
    abstain_below: float | None
    priority: Literal["interactive", "batch"]
    deadline: float | datetime | None
    tenant: str
    idempotency_key: str | None


class ClientOptions(TypedDict, total=False):
    """How a client is set up.

    ``url`` and ``key`` are those of a service elsewhere, by default ``ANABRANCH_URL`` and ``ANABRANCH_KEY``;
    the key may travel over ``plain_http`` to another machine only if that is said. ``patience`` is how long
    such a service is waited for.

    Everything else is for a service of this process. ``engine`` is an engine, or its name (``embedded``,
    ``vllm``, URLs of servers), by default what the settings say; ``model`` a catalogue name, a GGUF file, or
    the model of a server. Traces are kept in the ``database``; ``memory`` keeps them until the client is
    closed. Planners may call ``tools`` besides the installed ones, and those of ``mcp_servers``, a JSON file
    or that JSON itself. ``planners`` are those that no installed package provides; they may be passed to
    ``solve`` as well.
    """

    url: str | None
    key: str | None
    plain_http: bool | None
    patience: Patience | None
    engine: Engine | str | None
    model: str | None
    database: str | None
    tools: Iterable[Tool]
    mcp_servers: str | None
    planners: Iterable[Planner]
    settings: Settings | None


def check_options(given: ClientOptions) -> None:
    """Raise TypeError for options that no client has."""
    if unknown := given.keys() - ClientOptions.__annotations__.keys():
        raise TypeError(f"a client has no option {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a client opens when it is first asked; with an ``address``, the service that is there."""

    settings: Settings
    address: Address | None = None
    patience: Patience | None = None
    engine: Engine | None = None
    tools: tuple[Tool, ...] = ()
    planners: Mapping[str, Planner]

    @classmethod
    def of(cls, given: ClientOptions) -> Plan:
        """What a client was given, with the settings of the environment for the rest.

        Raises:
            InvalidRequest: a setting is wrong, or what is given is for a service of this process and for one
                elsewhere.
            TypeError: there is no such option.
        """
        check_options(given)
        base = given.get("settings") or Settings.read()
        if not structlog.is_configured():  # unconfigured, it would print every line to standard output
            logs.configure(base)
        engine = given.get("engine")
        named = {
            "engine": engine if isinstance(engine, str) else None,
            "model": given.get("model"),
            "database": given.get("database"),
            "mcp_servers": given.get("mcp_servers"),
        }
        own = engine if engine is not None and not isinstance(engine, str) else None
        return cls(
            settings=base.model_copy(
                update={name: value for name, value in named.items() if value is not None}
            ),
            address=_address(given, base),
            patience=given.get("patience"),
            engine=own,
            tools=tuple(given.get("tools", ())),
            planners={planner.name: planner for planner in given.get("planners", ())},
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Solver]:
        """What answers; closed at the end of the block.

        Raises:
            InvalidRequest: a setting is wrong.
            Unavailable: the database, the engine or its model, or an MCP server cannot be used.
        """
        if self.address is not None:
            remote = RemoteService(self.address, self.patience)
            try:
                yield remote
            finally:
                await remote.close()
            return
        toolbox = await asyncio.to_thread(build_toolbox, self.settings, self.tools)
        async with opened_service(
            self.settings, toolbox, engine=self.engine, planners=self.planners
        ) as service:
            yield LocalService(service, lent=self.engine is not None)


def request_to(solver: Solver, query: str, options: SolveOptions) -> TaskRequest:
    """The request for a question; a planner that is given as an object is made known first.

    Raises:
        InvalidRequest: the query or an option is wrong; the message says what would be right.
    """
    request: dict[str, Any] = {"query": query, **options}
    if isinstance(planner := request.get("planner"), Planner):
        solver.add_planner(planner)
        request["planner"] = planner.name
    return parse(request)


_OF_THIS_PROCESS = ("engine", "model", "database", "tools", "mcp_servers", "planners")


def _address(given: ClientOptions, settings: Settings) -> Address | None:
    """Where the service is that is to be asked; None for one of this process.

    What is given counts more than the environment: with an engine or a database, ``ANABRANCH_URL`` does not.
    """
    local = [name for name in _OF_THIS_PROCESS if given.get(name)]
    if (url := given.get("url")) is not None:
        if local:
            raise InvalidRequest(
                f"url asks a service elsewhere, and {', '.join(local)} sets up one of this process; give one "
                "or the other"
            )
    elif local or settings.url is None:
        if given.get("key") is not None:
            raise InvalidRequest("key is for a service elsewhere; give its url too, or set ANABRANCH_URL")
        return None
    made = settings.asking(url=url, key=given.get("key"), plain_http=given.get("plain_http"))
    return address_in(made)


def address_in(settings: Settings) -> Address | None:
    """Where the service is that the settings name; None if they name none.

    Raises:
        InvalidRequest: it is no URL of a service, or the key may not be sent there.
    """
    if settings.url is None:
        return None
    key = None if settings.key is None else settings.key.get_secret_value()
    return Address.of(settings.url, key, plain_http=settings.plain_http)
