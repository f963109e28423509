"""One attempt of a delivery: a POST to an address that was looked at, of which little is believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Final

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver

from orchestrator.errors import InvalidRequest
from orchestrator.webhooks.messages import signed_headers
from orchestrator.webhooks.names import Names
from orchestrator.webhooks.schedule import LONGEST_RETRY_AFTER, asked_wait, retry_in
from orchestrator.webhooks.targets import target_of
from storage.endpoints import Attempt, Due
from workers.showing import raised, whole_characters
from workers.tools.addresses import Reach, Refused

log = structlog.get_logger()

ATTEMPT_SECONDS: Final = 15.0
"""How long an attempt may take, from the look-up of the name to the head of the answer."""

CONNECT_SECONDS: Final = 5.0

READ_BYTES: Final = 4_096
"""Of an answer's body, which is read out of politeness: what is in it counts for nothing."""

READ_SECONDS: Final = 1.0

_GONE: Final = 410
_VERSION: Final = version("anabranch")


class Sender:
    """Makes attempts.

    The address is looked at in the moment in which it is connected to, so that no other one is used, however
    often and with whatever result a name is resolved. No proxy is used, no cookie is kept, no redirect is
    followed, and an answer's body is not read beyond some kilobytes.

    Args:
        reach: where it may connect.
        retries: seconds from each failed attempt to the next.
        seconds: how long an attempt may take.
        resolver: what looks up names; None: the system.
    """

    def __init__(
        self,
        reach: Reach,
        retries: Sequence[float],
        *,
        seconds: float = ATTEMPT_SECONDS,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._reach = reach
        self._retries = tuple(retries)
        self._seconds = seconds
        self._resolver = resolver or Names()

    async def attempt(self, due: Due) -> Attempt:
        """Send a delivery, whatever comes of it."""
        try:
            status, after = await self._send(due)
        except TimeoutError:
            return self._failed(due, f"no answer within {self._seconds:g} s")
        except InvalidRequest as error:
            return self._failed(due, f"not allowed: {error}")
        except Refused as error:  # the address would tell a stranger about the network around us
            log.warning("webhooks: not allowed", webhook=due.webhook.id, error=str(error))
            return self._failed(due, "not allowed: its host is not at a public address")
        except (aiohttp.ClientError, OSError) as error:
            return self._failed(due, f"not delivered: {_told(error)}")
        except Exception as error:  # a mistake of ours, which must not make this delivery go on for ever
            log.exception("webhooks: an attempt went wrong", delivery=due.delivery.id)
            return self._failed(due, f"not delivered: {type(error).__name__}")
        if 200 <= status < 300:
            return Attempt(http_status=status)
        if status == _GONE:
            return Attempt(http_status=status, error="it answered 410: it wants no more messages", gone=True)
        moved = "; redirects are not followed, so register the new URL" if 300 <= status < 400 else ""
        return self._failed(due, f"it answered {status}{moved}", status, after)

    def _failed(self, due: Due, error: str, status: int | None = None, asked: float | None = None) -> Attempt:
        wait = retry_in(due.delivery.attempts, self._retries, asked)
        pause = min(asked or 0.0, LONGEST_RETRY_AFTER)
        return Attempt(http_status=status, error=error, retry_in=wait, pause=pause)

    async def _send(self, due: Due) -> tuple[int, float | None]:
        """The status of the answer, and how long it asks to wait."""
        now = time.time()
        delivery, webhook = due.delivery, due.webhook
        url = target_of(webhook.url, self._reach)  # what the operator allows may have changed
        headers = signed_headers(delivery.id, delivery.body, webhook.secrets, now, _VERSION)
        if not headers["webhook-signature"]:
            raise InvalidRequest("the endpoint has no secret that can be read; rotate it")
        connector = aiohttp.TCPConnector(
            force_close=True,
            happy_eyeballs_delay=None,  # else a refusal would be taken for one address that does not work
            use_dns_cache=False,
            resolver=self._resolver,
            socket_factory=partial(self._reach.socket, url.host or ""),
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        session._retry_connection = False  # attempts are counted here
        async with session:
            async with asyncio.timeout(self._seconds):
                response = await session.post(
                    url,
                    data=delivery.body.encode(),
                    headers=headers,
                    allow_redirects=False,
                    skip_auto_headers=("Accept-Encoding",),
                )
            try:
                with suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout(READ_SECONDS):
                        await response.content.read(READ_BYTES)
            finally:
                response.close()
            return response.status, asked_wait(response.headers.get("Retry-After"), now)


def _told(error: Exception) -> str:
    """What an error says, as a text that every database can store."""
    if isinstance(error, aiohttp.ClientResponseError):  # it would repeat what a stranger has sent
        return "the answer is broken HTTP"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return whole_characters(f"the certificate of {error.host} is not valid: {error.certificate_error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return whole_characters(f"{error.host} cannot be reached: {error.os_error}").replace("\0", "")
    return whole_characters(raised(error)).replace("\0", "")
