"""The HTTP beneath the protocol: connections, the phases of a request, refusals."""

from __future__ import annotations

import errno
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

from workers.engines.openai.addresses import Address
from workers.engines.openai.answers import garbage
from workers.engines.openai.parameters import ParametersRefused, refused_parameters
from workers.engines.openai.refusals import Refusals, error_told
from workers.engines.openai.timeouts import Patience, Timeouts
from workers.errors import (
    EngineFailed,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    EngineUnavailable,
    ProcessExhausted,
    WorkerError,
)
from workers.redaction import redacted
from workers.showing import SHOWN, cut

_BODY_LIMIT = 4 << 20  # bytes of an answer that is not a stream
_ERROR_LIMIT = 1 << 16  # bytes of an error page
_KEEP_ALIVE = 4.0  # seconds; uvicorn, under most of these servers, closes idle connections after 5
_LISTING = 10.0  # seconds for the list of models
_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key", "ocp-apim-subscription-key"})
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""Reasons why no connection can be opened that have nothing to do with the server."""


class _Permitted(aiohttp.BytesPayload):
    """A body that is written as soon as that is permitted."""

    def __init__(self, data: bytes, permitted: Callable[[], Awaitable[None]]) -> None:
        super().__init__(data)
        self._permitted = permitted

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await self._permitted()
        await super().write_with_length(writer, content_length)


class Transport:
    """The connections to one server.

    Args:
        name: of the server, for errors.
        address: where it is; may be set to another before the first call.
        key: sent as a bearer token, or as Azure wants it; None or empty: none is sent.
        key_env: the variable that it should come from, for errors.
        headers: sent with every request, in place of ours of the same name.
        timeouts: for each phase of a call.
        socket: a Unix domain socket to which all connections go; None: TCP to the address.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        key: str | None,
        key_env: str,
        timeouts: Timeouts,
        headers: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> None:
        self.address = address
        self.timeouts = timeouts
        self._name = name
        self._headers = CIMultiDict(address.credentials(key) if key else {})
        self._headers.update(headers or {})
        self._secrets = (key, address.base.password, *(headers or {}).values())
        self._socket = socket
        has_key = not _CREDENTIALS.isdisjoint(map(str.lower, self._headers))
        self._refusals = Refusals(name, key_env, has_key, self._secrets)
        self._session: aiohttp.ClientSession | None = None
        self._in_flight: WeakSet[Patience] = WeakSet()
        self._closed = False

    def begin(self, timeouts: Timeouts) -> Patience:
        """The patience for a request that begins now.

        Raises:
            EngineUnavailable: the transport was closed.
        """
        if self._closed:
            raise EngineUnavailable(f"{self._name} was closed")
        patience = Patience(self._name, timeouts)
        self._in_flight.add(patience)
        return patience

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Take the key out of the errors that are raised here: servers and proxies may quote it."""
        try:
            yield
        except WorkerError as error:
            error.args = (redacted(str(error), *self._secrets),)
            raise

    async def ask(self, path: str, body: Mapping[str, object] | None) -> object:
        """One request that is not streamed; see :data:`~workers.engines.openai.answers.Ask`."""
        with self.discreet():
            data = await self._asked(path, body)
            try:
                answer = json.loads(data.decode())
            except (ValueError, RecursionError) as error:
                raise garbage("an answer that is not JSON in UTF-8", data[:_ERROR_LIMIT]) from error
            if isinstance(answer, dict) and answer.get("error"):
                raise error_told(self._name, answer, body or ())
            return answer

    async def text(self, path: str) -> str:
        """What is at a path, as text; raises what :meth:`ask` raises."""
        with self.discreet():
            return (await self._asked(path, None)).decode(errors="replace")

    async def _asked(self, path: str, body: Mapping[str, object] | None) -> bytes:
        timeouts = self.timeouts
        if body is None:  # a list of models is not computed: a server that is slow to send it hangs
            timeouts = replace(timeouts, first_token=min(_LISTING, timeouts.first_token))
        patience = self.begin(timeouts)
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        response = await self.send(method, self.address.at(path), data, patience)
        try:
            if response.status != 200:
                raise await self.refusal(response, patience, body or ())
            answer = await self._body(response, _BODY_LIMIT, patience)
        finally:
            response.close()
        if len(answer) > _BODY_LIMIT:
            raise garbage(f"an answer of more than {_BODY_LIMIT} bytes", answer[:_ERROR_LIMIT])
        return answer

    async def send(
        self,
        method: str,
        url: URL,
        data: bytes | None,
        patience: Patience,
        permitted: Callable[[], Awaitable[None]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of the response. ``headers`` are its own.

        Servers close idle connections without notice, so a request may use one that is gone. If a
        connection breaks before anything came back, the request is sent once more. ``permitted`` is awaited
        before that, and each time in the moment in which the bytes leave: this process may have been stopped
        while it opened the connection.
        """
        if self._session is None:
            self._session = self._open()
        repeated = False
        while True:
            try:
                body = data if data is None or permitted is None else _Permitted(data, permitted)
                async with patience.wait():
                    response = await self._session.request(
                        method, url, data=body, headers=headers, allow_redirects=False
                    )
                return self._plain(response)
            except aiohttp.ConnectionTimeoutError as error:
                raise EngineTimeout(
                    f"{self._name} did not accept a connection within {self.timeouts.connect:g} s (connect)"
                ) from error
            except TimeoutError:
                raise patience.expired() from None
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, aiohttp.ClientOSError) and error.errno in _OURS:
                    raise ProcessExhausted(f"no connection to {self._name} can be opened: {error}") from error
                if self._closed or isinstance(error, aiohttp.ClientConnectorError):
                    raise EngineUnavailable(f"{self._name} cannot be reached: {error}") from error
                if repeated:
                    raise EngineFailed(f"{self._name} broke the connection off: {error}") from error
                repeated = True
                if permitted is not None:
                    await permitted()
            except aiohttp.ClientError as error:
                raise garbage(f"{self._name} does not speak HTTP", str(error)) from error

    def _plain(self, response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        """The response, unless its body would have to be unpacked: a few bytes may stand for gigabytes."""
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() == "identity":
            return response
        response.close()
        raise EngineProtocolError(
            f"{self._name} packed its answer ({cut(coding, SHOWN)!r}) although it was asked not to"
        )

    async def read(self, response: aiohttp.ClientResponse, patience: Patience) -> bytes:
        """The next bytes of a body; none at its end."""
        try:
            async with patience.wait():
                return await response.content.readany()
        except TimeoutError:
            raise patience.expired() from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineInterrupted(f"{self._name} broke off its answer: {error}") from error

    async def refusal(
        self, response: aiohttp.ClientResponse, patience: Patience, sent: Collection[str] = ()
    ) -> WorkerError:
        """The error that a response to a request with the parameters ``sent`` stands for."""
        body = await self._body(response, _ERROR_LIMIT, patience)
        error = self._refusals.read(response.status, response.headers, body)
        if names := refused_parameters(response.status, body, sent):
            return ParametersRefused(str(error), names)
        return error

    def abandon(self) -> None:
        """Abort the requests in flight, and refuse later ones."""
        self._closed = True
        # Closing the session does not wake those who read from its connections.
        for patience in self._in_flight:
            patience.abandon()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        headers = CIMultiDict({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        headers.update(self._headers)
        if self._socket is None:
            connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
        else:
            path = str(self._socket)
            connector = aiohttp.UnixConnector(path, limit=0, keepalive_timeout=_KEEP_ALIVE)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect),
        )

    async def _body(self, response: aiohttp.ClientResponse, limit: int, patience: Patience) -> bytes:
        """The body, or its beginning if it is longer than ``limit`` bytes."""
        body = bytearray()
        while len(body) <= limit and (data := await self.read(response, patience)):
            body += data
        return bytes(body)
