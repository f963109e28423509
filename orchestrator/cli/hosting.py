"""The command ``serve``: the API over this process's engine, until a signal comes."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import typer

from orchestrator.api.application import create_application
from orchestrator.api.server import Binding, Make, check_binding, serve
from orchestrator.api.signals import obeyed
from orchestrator.cli.ending import ENDED_SECONDS, end_within
from orchestrator.cli.saying import tell
from orchestrator.cli.solving import CLOSING_SECONDS, opened
from orchestrator.cli.ticking import Announcer
from orchestrator.errors import InvalidRequest, translated
from orchestrator.settings import Settings
from orchestrator.toolbox import build_toolbox

GIVEN_UP_SECONDS = CLOSING_SECONDS + 3.0
"""How long a process may take to end that is told to while it starts."""


def serve_here(
    settings: Settings, binding: Binding, *, make: Make = create_application, path: str = ""
) -> None:
    """Serve until a signal comes, then drain: the API, or what ``make`` makes, which is found at ``path``.

    Raises:
        InvalidRequest: there is no such host, or it must not be served without keys.
        Unavailable: the database or the engine cannot be used, or the service cannot go on.
        OSError: the address cannot be bound.
    """
    toolbox = build_toolbox(settings)

    async def run() -> int:
        async with obeyed(on_given_up=lambda number: end_within(GIVEN_UP_SECONDS, 128 + number)) as signals:
            try:
                with translated():
                    async with opened(
                        settings,
                        toolbox,
                        Announcer(),
                        staying=True,
                        on_store=partial(check_binding, binding, settings),
                    ) as service:
                        try:
                            await serve(
                                service,
                                binding,
                                signals,
                                make=make,
                                on_listening=lambda url: tell(
                                    f"listening on {url}{'' if binding.uds else path}"
                                ),
                            )
                        finally:
                            if signals.draining.is_set():
                                end_within(ENDED_SECONDS, 0 if signals.first else 1)
            except asyncio.CancelledError:
                if signals.first is None:
                    raise
                return 128 + signals.first
        return 0

    try:
        code = asyncio.run(run())
    except socket.gaierror as error:
        raise InvalidRequest(
            f"--host {binding.host!r}: {error.strerror}; 127.0.0.1 is this machine only"
        ) from None
    if code:
        raise typer.Exit(code)
