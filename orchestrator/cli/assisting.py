"""The command ``mcp``: what Anabranch offers to assistants, over the pipes of this process or over HTTP.

An assistant waits for an answer to ``initialize``: what that does not need is imported when it is needed.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.ending import ENDED_SECONDS, INTERRUPTED, TERMINATED, end_within, run_here
from orchestrator.cli.saying import tell
from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.api.server import Binding
    from orchestrator.engines import OnProgress
    from orchestrator.mcp.local import Open
    from orchestrator.mcp.pipes import Wire
    from orchestrator.mcp.tools import Tools
    from orchestrator.tasks.service import Service
    from workers.engines.vllm.supervision import Starting
    from workers.models.files import Progress


def check_together(
    *,
    http: bool,
    listening: Mapping[str, object],
    here: Mapping[str, object],
    elsewhere: Mapping[str, object],
) -> None:
    """Let nothing be given that would count for nothing.

    Raises:
        InvalidRequest: something about listening was given without HTTP, or about a service elsewhere with
            HTTP or with something about one of this process.
    """

    def first(given: Mapping[str, object]) -> str:
        return f"--{next(iter(given)).replace('_', '-').replace('mcp-servers', 'mcp')}"

    if listening and not http:
        raise InvalidRequest(f"{first(listening)}: pipes have nothing of that kind; add --http")
    if elsewhere and http:
        raise InvalidRequest(f"{first(elsewhere)}: --http offers a service of this process; leave one out")
    if elsewhere and here:
        raise InvalidRequest(
            f"{first(elsewhere)} asks a service elsewhere, and {first(here)} sets up one of this process; "
            "give one or the other"
        )


def claim_pipes() -> Wire:
    """Standard input and output for the protocol alone, before anything else can use them.

    Raises:
        InvalidRequest: the extra is not installed.
        OSError: one of them is closed.
    """
    _check_extra()
    from orchestrator.mcp.pipes import claimed

    return claimed()


def offer_by_pipes(settings: Settings, wire: Wire) -> None:
    """Answer the client at the pipes until it leaves; the engine starts when it is first needed.

    With a URL in the settings, the service there answers.

    Raises:
        typer.Exit: a signal came.
    """
    from orchestrator.mcp.pipes import serve_pipes
    from orchestrator.mcp.server import server_of

    if os.isatty(wire.source):
        tell("waiting for messages of an assistant that speaks MCP; docs/mcp.md says how to set one up")

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            end_within(ENDED_SECONDS, TERMINATED)
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        async with AsyncExitStack() as closing:
            server = server_of(lambda: _tools(settings, closing))
            await serve_pipes(server, wire, on_end=lambda: end_within(ENDED_SECONDS, 0))

    try:
        run_here(run())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _tools(settings: Settings, closing: AsyncExitStack) -> Tools:
    """The tools over a service, which is opened at the first call and closed with the rest."""
    from orchestrator.mcp.local import Local
    from orchestrator.mcp.tools import Tools

    return Tools(Local(_here(settings) if settings.url is None else _elsewhere(settings), closing))


def _here(settings: Settings) -> Open:
    """Opens a service of this process."""
    from orchestrator.cli.solving import opened
    from orchestrator.cli.ticking import Announcer
    from orchestrator.toolbox import build_toolbox

    announcer = Announcer()

    def opening(on_progress: OnProgress) -> AbstractAsyncContextManager[Service]:
        def both(progress: Progress | Starting) -> None:
            announcer(progress)
            on_progress(progress)

        return opened(settings, build_toolbox(settings), both)

    return opening


def _elsewhere(settings: Settings) -> Open:
    """Opens connections to the service that the settings name."""
    from orchestrator.cli.elsewhere import opened_service_elsewhere

    return lambda _: opened_service_elsewhere(settings)


def offer_by_http(settings: Settings, binding: Binding) -> None:
    """Serve streamable HTTP until a signal comes, then drain.

    Raises:
        InvalidRequest: the extra is not installed, there is no such host, or others than this machine would
            be served without keys.
        Unavailable: the database or the engine cannot be used, or the service cannot go on.
        OSError: the address cannot be bound.
    """
    _check_extra()
    from orchestrator.cli.hosting import serve_here
    from orchestrator.mcp.http import PATH, create_application

    serve_here(settings, binding, make=create_application, path=PATH)


def _check_extra() -> None:
    try:
        importlib.import_module("mcp.server.lowlevel.server")
    except ImportError as error:
        raise InvalidRequest(f"mcp needs the extra 'mcp': pip install 'anabranch[mcp]' ({error})") from None
