"""Where a service elsewhere is, and with which key it is asked; a key is never shown."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from orchestrator.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a service and the key for it; ``plain_http`` says that the key may travel unencrypted."""

    url: URL
    key: str | None = field(default=None, repr=False)
    plain_http: bool = False

    @classmethod
    def of(cls, url: str, key: str | None = None, *, plain_http: bool = False) -> Address:
        """The address that a user has given.

        Raises:
            InvalidRequest: it is no URL of a service, the key could be in no header, or would be sent over
                plain HTTP to another machine.
        """
        return cls(_base(url), _key(key), plain_http)

    def __post_init__(self) -> None:
        if self.key is None or self.url.scheme == "https" or self.plain_http or self.is_here:
            return
        raise InvalidRequest(
            f"{self} is plain HTTP, and everybody between here and there could read the key: use https://, "
            "or allow it with plain_http=True or ANABRANCH_PLAIN_HTTP=true"
        )

    def __str__(self) -> str:
        return str(self.url).rstrip("/")

    @property
    def is_here(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return _is_here(self.url.host)

    @property
    def headers(self) -> dict[str, str]:
        """What every request says of who asks."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    @property
    def proxy(self) -> URL | None:
        """The proxy that the environment names for this service.

        That alone is taken from there: what ``~/.netrc`` says of the host is no key of a service.
        """
        if self.is_here or self.url.host is None or proxy_bypass(self.url.host):
            return None
        given = getproxies().get(self.url.scheme)
        return URL(given) if given else None

    def at(self, path: str) -> URL:
        """The URL of a path of the service, such as ``/v1/tasks``, which is encoded already."""
        return URL(f"{self}{path}", encoded=True)


def _base(given: str) -> URL:
    with suppress(ValueError):  # an invalid port or host
        url = URL(given.strip())
        if url.scheme in ("http", "https") and url.host:
            if url.user is not None or url.password is not None:
                raise InvalidRequest(
                    f"the URL of the service at {url.host} has a user or a password; give its key as `key`, "
                    "or in ANABRANCH_KEY"
                )
            if url.query_string or url.fragment:
                raise InvalidRequest(f"{str(url.with_query(None))!r}: leave out what comes after the path")
            return url.with_path(url.path.rstrip("/").removesuffix("/v1") or "/")
    raise InvalidRequest(
        f"{given[:80]!r} is not the URL of a service; write it like http://127.0.0.1:8080"
    ) from None


def _key(given: str | None) -> str | None:
    if given is None or not (key := given.strip()):
        return None
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidRequest("the key for the service has spaces or characters that no key has")
    return key


def _is_here(host: str | None) -> bool:
    """Whether what is sent to a host stays on this machine."""
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
