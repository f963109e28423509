"""Declares the commands about what can answer: ``models``, ``planners``, ``serve`` and ``workers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.given import flags, here_only, key_of, settings_here
from orchestrator.cli.parameters import AsJson, Database, Engine, FixPermissions, HttpTools, Mcp, Model

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
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


@commands.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.", show_default=DEFAULT_HOST)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 means any free port.", show_default=str(DEFAULT_PORT)),
    ] = None,
    uds: Annotated[
        Path | None, typer.Option(help="Listen on a Unix socket at this path, which only this user can use.")
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(help="Further names that clients may use for it without a key, separated by commas."),
    ] = None,
    allowed_origins: Annotated[
        str | None,
        typer.Option(help="Pages from elsewhere that may use it: https://app.example, separated by commas."),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Without keys, let everybody in who reaches it, not only this machine."
        ),
    ] = False,
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
    from orchestrator.api.server import Binding
    from orchestrator.cli.hosting import serve_here
    from orchestrator.errors import InvalidRequest

    if uds is not None and (host is not None or port is not None):
        raise InvalidRequest("--uds: a Unix socket has no host and no port; give one or the other")
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
    binding = Binding(
        host=DEFAULT_HOST if host is None else host,
        port=DEFAULT_PORT if port is None else port,
        uds=uds,
        insecure=insecure,
    )
    serve_here(made, binding)


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
