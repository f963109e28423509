"""One connection of a client: refusals in the API's own shape, and no patience without end.

aiohttp answers some requests by itself, before any of our code sees them: those that it cannot parse, and
those with an unknown ``Expect``. Here they get the body that every other error has.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.typedefs import Handler
from typing_extensions import override

from orchestrator.api.problems import Overloaded, Unexpected, http_problem, problem, refusal

log = structlog.get_logger()

LONGEST_LINE, LONGEST_HEADER = 8190, 8192
"""In bytes. That they differ tells which of the two a request exceeded."""

IDLE_SECONDS = 75.0
"""How long a connection may have no request: longer than the proxies in front keep theirs."""

WATCHED = ("/healthz", "/livez", "/readyz", "/metrics")
"""What tells how the process is, and must be answered when nothing else can be."""

LOOKS = 10
"""How often, while a client reads nothing, to look whether it still does."""

PARTING_SECONDS, LINGERING_SECONDS = 0.5, 2.0
"""How long a client may go on sending a refused request, or the rest of a refused body; closing at once could
cost it the response."""


class Connection(web.RequestHandler):
    """A connection that ends when its client sends a request too slowly, or leaves unread what it is sent.

    ``extra`` is one beyond those that the process has room for; it gets a single response.
    """

    def __init__(
        self,
        server: web.Server,
        *,
        patience: float,
        extra: bool = False,
        on_lost: Callable[[Connection], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=min(LINGERING_SECONDS, patience),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
        )
        self.extra = extra
        self._patience = patience
        self._on_lost = on_lost
        self._arriving: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._refused = False
        self._idle_since = loop.time()

    @property
    def idle_seconds(self) -> float:
        """How long it has had no request; 0 while it has one."""
        return self._loop.time() - self._idle_since if self._waits() else 0.0

    def _waits(self) -> bool:
        """Whether no request has arrived in full."""
        return self._waiter is not None and not self._waiter.done()

    # -- reading ----------------------------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if not self._waits():
            self._stop_timers(reading=True)
        elif self._arriving is None:
            self._arriving = self._loop.call_later(self._patience, self._too_slow)

    def _too_slow(self) -> None:
        self._arriving = None
        if self._waits():
            self.force_close()

    # -- writing ----------------------------------------------------------------------------------

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timers(writing=True)

    def _watch(self, before: int | None = None, idle: int = 0) -> None:
        """Drop the client once it has read nothing for some time.

        ``before`` is what it had to read at the last look, and ``idle`` how many looks before found no less.
        """
        if self.transport is None:
            return
        now = self._bytes_unread()
        idle = idle + 1 if before is not None and now >= before else 0
        if idle >= LOOKS:
            log.info("a client that does not read was dropped", bytes=now)
            self.transport.abort()
        else:
            self._unread = self._loop.call_later(self._patience / LOOKS, self._watch, now, idle)

    def _bytes_unread(self) -> int:
        """What the client has still to read, with what the kernel keeps for it.

        The kernel takes more only when much of that, often a megabyte, was read.
        """
        assert self.transport is not None
        unread = self.transport.get_write_buffer_size()
        with suppress(OSError, AttributeError):  # not every system tells, and a closed socket does not
            kept = fcntl.ioctl(self.transport.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4))
            unread += struct.unpack("i", kept)[0]
        return unread

    def _stop_timers(self, *, reading: bool = False, writing: bool = False) -> None:
        if reading and self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None
        if writing and self._unread is not None:
            self._unread.cancel()
            self._unread = None

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._stop_timers(reading=True, writing=True)
        self._on_lost(self)

    # -- responses --------------------------------------------------------------------------------

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("part of a response was sent; another cannot follow it")
        if isinstance(exc, HttpProcessingError):
            response = malformed(exc)
            self._refused = True
        else:
            log.error("request failed", exc_info=exc)
            response = refusal(Unexpected())
        response.force_close()
        return response

    @override
    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = http_problem(request, resp)
        if self.extra:
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        if self._refused:
            await asyncio.sleep(PARTING_SECONDS)
        self._idle_since = self._loop.time()
        return finished


def malformed(error: HttpProcessingError) -> web.Response:
    """The response to a request that cannot be parsed."""
    if isinstance(error, LineTooLong):
        if error.args[1] == LONGEST_LINE:
            return problem(414, "uri_too_long", f"the request line has more than {LONGEST_LINE} bytes")
        return problem(431, "headers_too_large", f"a header has more than {LONGEST_HEADER} bytes")
    if "Too many headers" in error.message:
        return problem(431, "headers_too_large", "the request has too many headers")
    why = error.message.partition("\n")[0].rstrip(":")
    return problem(400, "malformed_request", f"the request is not HTTP/1.1 as it should be: {why}")


@web.middleware
async def room(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes over extra connections, but for the question how the process is."""
    extra = isinstance(request.protocol, Connection) and request.protocol.extra
    if extra and request.path not in WATCHED:
        raise Overloaded("the server has too many connections; close some, or try again later")
    return await handler(request)
