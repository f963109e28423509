"""Names of hosts, as requests and settings give them: read strictly, and compared without asking anybody.

A ``Host`` that one part of a program reads loosely and another strictly has opened doors elsewhere. Here it
is a name or an address, with a port or without, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from orchestrator.errors import InvalidRequest

LONGEST_HOST = 253
"""The most characters that a name can have in the DNS."""

_NAME = r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_AUTHORITY = re.compile(rf"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>{_NAME}))(?::(?P<port>[0-9]{{1,5}}))?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#@\s]+)")
_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Authority:
    """A host with a port, or with the one that its scheme has. ``address`` is None for a name."""

    host: str
    port: int | None = None
    address: Address | None = None

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, by a name that no DNS can point elsewhere or by an address."""
        if self.address is not None:
            return is_loopback(self.address)
        return self.host == "localhost" or self.host.endswith(".localhost")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page of a browser comes from."""

    scheme: str
    authority: Authority

    def is_at(self, authority: Authority) -> bool:
        """Whether the page comes from the host and the port that a request was sent to.

        Who ends TLS before us hides the scheme, so a port that is not given is that of the page's scheme.
        """
        usual = _PORTS.get(self.scheme)
        own, other = self.authority, authority
        return own.host == other.host and (own.port or usual) == (other.port or usual)


@lru_cache(256)
def parse_authority(text: str) -> Authority | None:
    """The host and port in a text such as ``Host`` has; None if it is anything else than those."""
    found = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    host, port = found["v6"] or found["name"], found["port"]
    if len(host) > LONGEST_HOST or (port is not None and not 0 < int(port) < 65_536):
        return None
    address: Address | None = None
    # Browsers read a name that ends in a number as an address, as in `0x7f.1` or `2130706433`.
    if found["v6"] or _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            address = IPv6Address(host) if found["v6"] else IPv4Address(host)
        except ValueError:
            return None
        host = str(address)
    return Authority(host, None if port is None else int(port), address)


def parse_origin(text: str) -> Origin | None:
    """The origin in a text such as ``Origin`` has; None for ``null`` and what is none."""
    found = _ORIGIN.fullmatch(text.lower())
    authority = None if found is None else parse_authority(found["authority"])
    return None if found is None or authority is None else Origin(found["scheme"], authority)


def parse_address(text: str) -> Address | None:
    """The address that a socket gives, without the zone of IPv6; None if it is none."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_loopback(address: Address) -> bool:
    """Whether an address is that of this machine alone, also if IPv6 wraps it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Hosts:
    """The names that a service answers to, besides those of its own machine.

    Each is a name, an address, or ``*.`` before a name for all names beneath it; ports are not compared.

    Raises:
        InvalidRequest: one is something else.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._beneath: list[str] = []
        for text in allowed:
            host = parse_authority(text.removeprefix("*."))
            if host is None or host.port is not None or (text.startswith("*.") and host.address is not None):
                raise InvalidRequest(
                    f"allowed hosts: {text!r} is none; each is a name, an address or *.name, without a port"
                )
            if text.startswith("*."):
                self._beneath.append(f".{host.host}")
            else:
                self._exact.add(host.host)

    def allow(self, authority: Authority, bound: Iterable[str] = ()) -> bool:
        """Whether a service answers to that host which listens at the addresses ``bound``.

        One that listens at every address answers to each: no name has to be looked up for an address, so none
        can be made to point here.
        """
        if authority.loopback or authority.host in self._exact:
            return True
        if any(authority.host.endswith(suffix) for suffix in self._beneath):
            return True
        if authority.address is None:
            return authority.host in {each.lower() for each in bound}
        here = [address for each in bound if (address := parse_address(each)) is not None]
        return authority.address in here or any(each.is_unspecified for each in here)


class Origins:
    """The pages that may use a service from elsewhere: ``scheme://host[:port]`` each.

    Raises:
        InvalidRequest: one is something else.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: set[Origin] = set()
        for text in allowed:
            origin = parse_origin(text.removesuffix("/"))
            if origin is None:
                raise InvalidRequest(
                    f"allowed origins: {text!r} is none; it must be like https://app.example or "
                    "http://localhost:3000, and * is not taken: name the pages that may use this service"
                )
            self._allowed.add(_plain(origin))

    def allow(self, origin: Origin | None) -> bool:
        """Whether a page may use the service that does not come from it."""
        return origin is not None and _plain(origin) in self._allowed


def _plain(origin: Origin) -> Origin:
    """The origin without the port that its scheme has anyway, as browsers write it."""
    own = origin.authority
    if own.port != _PORTS.get(origin.scheme):
        return origin
    return Origin(origin.scheme, Authority(own.host, None, own.address))
