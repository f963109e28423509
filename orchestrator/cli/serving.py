"""Declares the commands about what can answer: ``models``, ``planners``, ``serve`` and ``workers``."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.given import settings
from orchestrator.cli.parameters import AsJson, Database, Engine, FixPermissions, HttpTools, Mcp, Model

commands = typer.Typer()


@commands.command()
def models(as_json: AsJson = False) -> None:
    """List the models in the catalogue, and which of them are on this machine."""
    from orchestrator.cli.looking import list_models

    list_models(as_json=as_json)


@commands.command()
def planners(as_json: AsJson = False) -> None:
    """List the reasoning methods with their options."""
    from orchestrator.cli.looking import list_planners

    list_planners(as_json=as_json)


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 means any free port.")] = 8080,
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
    made = settings(
        engine=engine,
        model=model,
        database=database,
        mcp_servers=mcp,
        http_tools=http_tools,
        check=check,
        fix_permissions=fix_permissions or None,
    )
    serve_here(made, host, port)


@commands.command()
def workers(
    url: Annotated[
        str, typer.Option(envvar="ANABRANCH_URL", help="The URL of the service.")
    ] = "http://127.0.0.1:8080",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep running, and show changes.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between updates.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show the workers of a running service: load, prefix hits, and which of them are down."""
    from orchestrator.cli.watching import show_workers

    show_workers(url, watch=watch, every=every, as_json=as_json)
