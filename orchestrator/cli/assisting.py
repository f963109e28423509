"""The command ``mcp``: what Anabranch offers to assistants, over the pipes of this process or over HTTP.

An assistant waits for an answer to ``initialize``: what that does not need is imported when it is needed.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.ending import ENDED_SECONDS, INTERRUPTED, end_within, run_here
from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.api.server import Binding
    from orchestrator.engines import OnProgress
    from orchestrator.mcp.pipes import Wire
    from orchestrator.mcp.tools import Tools
    from orchestrator.tasks.service import Service
    from workers.engines.vllm.supervision import Starting
    from workers.models.files import Progress


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

    Raises:
        typer.Exit: a signal came.
    """
    from orchestrator.mcp.pipes import serve_pipes
    from orchestrator.mcp.server import server_of

    async def run() -> None:
        async with AsyncExitStack() as closing:
            try:
                await serve_pipes(server_of(lambda: _tools(settings, closing)), wire)
            finally:
                end_within(ENDED_SECONDS, 0)

    try:
        run_here(run())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _tools(settings: Settings, closing: AsyncExitStack) -> Tools:
    """The tools over a service of this process, opened at the first call and closed with the rest."""
    from orchestrator.cli.solving import opened
    from orchestrator.cli.ticking import Announcer
    from orchestrator.mcp.local import Local
    from orchestrator.mcp.tools import Tools
    from orchestrator.toolbox import build_toolbox

    announcer = Announcer()

    def opening(on_progress: OnProgress) -> AbstractAsyncContextManager[Service]:
        def both(progress: Progress | Starting) -> None:
            announcer(progress)
            on_progress(progress)

        return opened(settings, build_toolbox(settings), both)

    return Tools(Local(opening, closing))


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
