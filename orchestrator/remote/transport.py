"""Requests to a service elsewhere: what they cost in patience, when they are repeated, and how they fail."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeAlias

import aiohttp

from orchestrator.bodies import VERSION
from orchestrator.errors import AnabranchError, ServiceError, Unavailable
from orchestrator.remote.address import Address
from orchestrator.remote.frames import Frame, read_frames
from orchestrator.remote.refusals import error_of, problem_in
from orchestrator.remote.trying import Attempts, Patience

LARGEST = 256_000_000
"""The most bytes of one answer, which is read as a whole."""

AWAY = frozenset({502, 503, 504})
"""With these, a proxy says that the service behind it is not there, or does not answer."""

REFUSED_UNSEEN = frozenset({"rate_limited", "too_many_tasks", "draining", "overloaded", "busy"})
"""Codes of refusals before anything is done: any request may be made again after one of them."""

Query: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    ``again`` says that it does no harm, and no work twice, if the service gets it twice; ``works`` that the
    service has to compute the answer, which takes its time.
    """

    method: str
    path: str
    _: KW_ONLY
    again: bool
    works: bool = False
    query: Query = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is no refusal."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one service, and nothing of them anywhere else: it follows no redirect.

    It belongs to the event loop in which its first request is made.
    """

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        self.address = address
        self.patience = patience or Patience()
        self._session: aiohttp.ClientSession | None = None
        self._known = False
        self._closed = False

    def attempts(self) -> Attempts:
        """Attempts that go on while a service that was there may be away."""
        return Attempts(lambda: self.patience.away if self._known else self.patience.absent)

    async def ask(self, request: Request) -> Reply:
        """The response to a request, which is repeated where that is safe and helps.

        Raises:
            AnabranchError: what the service refuses with, or why there is no answer from it.
        """
        attempts = self.attempts()
        while True:
            try:
                async with self._sent(request, self._whole(request)) as response:
                    return Reply(response.status, response.headers, await self._read(response))
            except AnabranchError as error:
                if not may_repeat(error, request):
                    raise
                await attempts.wait(error)

    @asynccontextmanager
    async def frames(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncGenerator[Frame, None]]:
        """The events of a stream, from one connection that is not made again.

        Raises:
            AnabranchError: it is refused, breaks off, or is silent for too long.
        """
        asked = {"Accept": "text/event-stream", **(headers or {})}
        request = Request("GET", path, again=True, query=query or {}, headers=asked)
        async with self._sent(request, self._silence()) as response:
            if response.content_type != "text/event-stream":
                raise self._foreign(response, await self._read(response))
            async with aclosing(read_frames(response.content.iter_any())) as frames:
                yield frames

    @asynccontextmanager
    async def lines(self, path: str) -> AsyncIterator[AsyncGenerator[str, None]]:
        """The lines of a text, each with its newline, from one connection. Raises like :meth:`frames`."""
        request = Request("GET", path, again=True)
        async with (
            self._sent(request, self._silence()) as response,
            aclosing(_lines(response.content.iter_any())) as lines,
        ):
            yield lines

    async def send(self, path: str, pieces: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> Reply:
        """The response to a ``POST`` whose body comes in pieces; it is made once. Raises like :meth:`ask`."""
        async with aclosing(pieces):
            request = Request("POST", path, again=False, headers=headers)
            async with self._sent(request, self._silence(), data=pieces) as response:
                return Reply(response.status, response.headers, await self._read(response))

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # -- one attempt ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _sent(
        self, request: Request, timeout: aiohttp.ClientTimeout, *, data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to one attempt; what goes wrong while it is read is an error of ours too."""
        if self._closed:
            raise Unavailable("the client was closed", code="client_closed", http_status=503, retryable=False)
        try:
            async with self._opened().request(
                request.method,
                self.address.at(request.path),
                params=dict(request.query) or None,
                json=request.json,
                data=data,
                headers=dict(request.headers),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    raise self._refusal(response, await self._read(response))
                self._known = True
                yield response
        except aiohttp.ClientError as error:
            raise self._lost(error) from error
        except TimeoutError as error:
            raise self._lost(error) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # a stream must keep no cancellation waiting
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"anabranch/{VERSION}", **self.address.headers},
                proxy=self.address.proxy,
            )
        return self._session

    def _whole(self, request: Request) -> aiohttp.ClientTimeout:
        seconds = self.patience.work if request.works else self.patience.answer
        return aiohttp.ClientTimeout(total=seconds, sock_connect=self.patience.connect)

    def _silence(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=None, sock_connect=self.patience.connect, sock_read=self.patience.silence
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > LARGEST:
                raise self._strange(f"an answer of more than {LARGEST / 1e6:,.0f} MB")
        return bytes(body)

    # -- what goes wrong --------------------------------------------------------------------------

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes) -> AnabranchError:
        problem = problem_in(body)
        if problem is None:
            return self._foreign(response, body)
        self._known = True
        return error_of(problem, response.status, response.headers)

    def _foreign(self, response: aiohttp.ClientResponse, body: bytes) -> AnabranchError:
        """The error for a response that no service like ours has written."""
        status, path = response.status, response.url.path
        if 300 <= status < 400:
            to = response.headers.get("Location", "nowhere")
            return self._strange(
                f"a redirect to {_shown(to)}; redirects are not followed, since the key would go along: give "
                "the URL that the service itself has"
            )
        said = f"status {status} with {_said(response.content_type, body)} at {path}"
        if status in AWAY:
            error = self._unreachable(
                f"it answers {said}, which a proxy sends when there is no service behind it"
            )
            error.http_status = status
            return error
        if status == 407:
            return self._strange(f"{said}: a proxy wants to know who asks")
        return self._strange(f"{said}; is the URL right?")

    def _strange(self, what: str) -> ServiceError:
        error = ServiceError(f"what answers at {self.address} is no Anabranch service: {what}")
        error.code = "not_a_service"
        return error

    def _lost(self, error: aiohttp.ClientError | TimeoutError) -> AnabranchError:
        """The error for a connection that could not be made, or broke."""
        match error:
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                failed = self._unreachable(
                    f"no secure connection can be made: {_told(error)}", retryable=False
                )
                failed.code = "insecure_connection"
                return failed
            case aiohttp.InvalidURL() | aiohttp.ClientResponseError() if not self._known:
                return self._strange(f"it does not speak HTTP as services do: {_told(error)}")
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                hint = "" if self._known else "; start one with `anabranch serve`, or give the URL of another"
                cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
                failed = self._unreachable(f"{_told(cause)}{hint}")
                failed.code = NOT_SENT
                return failed
            case TimeoutError():
                return self._unreachable("it did not answer in time")
            case _:
                return self._unreachable(f"the connection broke: {_told(error)}")

    def _unreachable(self, why: str, *, retryable: bool = True) -> Unavailable:
        return Unavailable(
            f"no service answers at {self.address}: {why}",
            code="service_unreachable",
            http_status=503,
            retryable=retryable,
        )


NOT_SENT = "no_service"
"""The code of the error of a request that has not even been sent."""


def may_repeat(error: AnabranchError, request: Request) -> bool:
    """Whether a request may be made again after this error, and whether that could help."""
    return error.retryable and (request.again or error.code == NOT_SENT or error.code in REFUSED_UNSEEN)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The lines of a text that comes in pieces; what follows the last newline is the last one."""
    begun: list[bytes] = []
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            begun.append(end + b"\n")
            yield b"".join(begun).decode(errors="replace")
            begun.clear()
        begun.append(rest)
    if any(begun):
        yield b"".join(begun).decode(errors="replace")


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _said(content_type: str, body: bytes) -> str:
    """What a foreign response is, with the title of a page."""
    title = re.search(rb"<title[^>]*>\s*(.{1,200}?)\s*</title>", body[:20_000], re.DOTALL | re.IGNORECASE)
    if title is not None:
        return f"a page {_shown(title[1].decode(errors='replace'))}"
    return f"{content_type}: {_shown(body[:80].decode(errors='replace'))}" if body else "nothing in it"


def _shown(text: str) -> str:
    return repr(text[:200])
