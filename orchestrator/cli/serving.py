"""Declares the commands about what can answer: ``models``, ``planners``, ``serve``, ``mcp``, ``workers``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.given import flags, given_of, here_only, key_of, settings, settings_here
from orchestrator.cli.parameters import AsJson, Database, Engine, FixPermissions, HttpTools, Mcp, Model

if TYPE_CHECKING:
    from orchestrator.api.server import Binding

DEFAULT_HOST, DEFAULT_PORT, MCP_PORT = "127.0.0.1", 8080, 8081
DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"

commands = typer.Typer()


@commands.command()
def models(as_json: AsJson = False) -> None:
    """List the models in the catalogue, and which of them are on this machine."""
    from orchestrator.cli.looking import list_models

    here_only("`models` lists what embedded engines of this machine can run; see `anabranch workers`")
    list_models(as_json=as_json)


@commands.command()
def planners(as_json: AsJson = False) -> None:
    """List the reasoning methods with their options."""
    from orchestrator.cli.looking import list_planners

    here_only("`planners` lists those that are installed here; the service does not tell which it has")
    list_planners(as_json=as_json)


Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default=DEFAULT_HOST)]
Uds = Annotated[
    Path | None, typer.Option(help="Listen on a Unix socket at this path, which only this user can use.")
]
AllowedHosts = Annotated[
    str | None,
    typer.Option(help="Further names that clients may use for it without a key, separated by commas."),
]
AllowedOrigins = Annotated[
    str | None,
    typer.Option(help="Pages from elsewhere that may use it: https://app.example, separated by commas."),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Without keys, let everybody in who reaches it, not only this machine."),
]


@commands.command()
def serve(
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 means any free port.", show_default=str(DEFAULT_PORT)),
    ] = None,
    uds: Uds = None,
    allowed_hosts: AllowedHosts = None,
    allowed_origins: AllowedOrigins = None,
    insecure: Insecure = False,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    mcp: Mcp = None,
    http_tools: HttpTools = None,
    skip_check: Annotated[
        bool, typer.Option("--skip-check", help="Start even if the SQLite file is damaged.")
    ] = False,
    fix_permissions: FixPermissions = False,
) -> None:
    """Serve the HTTP API and work on its tasks; SIGTERM drains."""
    from orchestrator.cli.hosting import serve_here

    check = False if skip_check else None
    made = settings_here(
        "`serve` is what serves at a URL; --host and --port say where",
        about_database=False,
        engine=engine,
        model=model,
        database=database,
        mcp_servers=mcp,
        http_tools=http_tools,
        check=check,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        fix_permissions=fix_permissions or None,
    )
    serve_here(made, _binding(host, port, uds, insecure=insecure, usual=DEFAULT_PORT))


def _binding(host: str | None, port: int | None, uds: Path | None, *, insecure: bool, usual: int) -> Binding:
    """Where to listen. Raises InvalidRequest if that is said twice."""
    from orchestrator.api.server import Binding
    from orchestrator.errors import InvalidRequest

    if uds is not None and (host is not None or port is not None):
        raise InvalidRequest("--uds: a Unix socket has no host and no port; give one or the other")
    return Binding(
        host=DEFAULT_HOST if host is None else host,
        port=usual if port is None else port,
        uds=uds,
        insecure=insecure,
    )


@commands.command("mcp")
def assist(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP at /mcp, instead of one client's pipes.")
    ] = False,
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 means any free port.", show_default=str(MCP_PORT)),
    ] = None,
    uds: Uds = None,
    allowed_hosts: AllowedHosts = None,
    allowed_origins: AllowedOrigins = None,
    insecure: Insecure = False,
    url: Annotated[
        str | None, typer.Option(help="Ask the service there, instead of an engine of this process.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="A key of that service; better in ANABRANCH_KEY.")] = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    mcp: Mcp = None,
    http_tools: HttpTools = None,
    fix_permissions: FixPermissions = False,
) -> None:
    """Offer solve, trace and replay to assistants, as an MCP server."""
    from orchestrator.cli.assisting import check_together, claim_pipes, offer_by_http, offer_by_pipes

    wire = None if http else claim_pipes()
    here = given_of(engine=engine, model=model, database=database, mcp_servers=mcp, http_tools=http_tools)
    listening = given_of(host=host, port=port, uds=uds, insecure=insecure or None)
    listening |= given_of(allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
    before = flags()  # what stands before the command
    elsewhere = given_of(url=url or before.url, key=key or key_of(before))
    check_together(http=http, listening=listening, here=here, elsewhere=elsewhere)
    made = settings(
        **here,
        **elsewhere,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        fix_permissions=fix_permissions or None,
    )
    if wire is None:
        offer_by_http(made, _binding(host, port, uds, insecure=insecure, usual=MCP_PORT))
    elif here:  # which counts more than a URL in the environment
        offer_by_pipes(made.model_copy(update={"url": None}), wire)
    else:
        offer_by_pipes(made, wire)


@commands.command()
def workers(
    url: Annotated[
        str | None,
        typer.Option(envvar="ANABRANCH_URL", help="The URL of the service.", show_default=DEFAULT_URL),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="ANABRANCH_KEY", show_envvar=True, help="A key of it, with the scope read."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep running, and show changes.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between updates.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show the workers of a running service: load, prefix hits, and which of them are down."""
    from orchestrator.cli.watching import show_workers

    before = flags()  # what stands before the command
    show_workers(
        before.url or url or DEFAULT_URL,
        key=key_of(before) or key,
        plain_http=before.plain_http,
        watch=watch,
        every=every,
        as_json=as_json,
    )
