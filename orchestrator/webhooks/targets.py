"""Where messages may go: https to hosts of the public internet, and what the operator allows besides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from yarl import URL

from orchestrator.errors import InvalidRequest
from workers.tools.addresses import Reach

LONGEST_URL: Final = 2_048

_PORTS: Final = frozenset({80, 443})
_FIRST_FREE_PORT: Final = 1_024
"""Below it are the ports of other protocols, such as mail."""

_PLAIN: Final = re.compile(r"[!-~]+")
_NUMBERS: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
"""What a system would take for an IPv4 address, in decimal, octal or hexadecimal."""


def reach_of(private_hosts: Sequence[str]) -> Reach:
    """Where messages may go, with what the operator allows besides the public internet.

    Raises:
        InvalidRequest: it is no list of hosts, addresses and networks.
    """
    try:
        return Reach.of(private_hosts)
    except ValueError as error:
        raise InvalidRequest(f"ANABRANCH_WEBHOOK_PRIVATE_HOSTS: {error}") from None


def target_of(text: str, reach: Reach) -> URL:
    """The URL, if messages may go there as far as it tells; a name is looked at when it is connected to.

    Raises:
        InvalidRequest: they may not.
    """
    if len(text) > LONGEST_URL:
        raise InvalidRequest(f"url has {len(text)} characters; at most {LONGEST_URL} are accepted")
    if not _PLAIN.fullmatch(text):
        raise InvalidRequest("url has blanks, control or other characters that must be percent-encoded")
    try:
        url = URL(text, encoded=True)
        host, port = (url.host or "").lower(), url.port
    except ValueError as error:
        raise InvalidRequest(f"url is no URL: {error}") from None
    if url.scheme not in ("https", "http") or not host:
        raise InvalidRequest("url must begin with https:// and a host")
    if "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]:
        raise InvalidRequest("url must have no user and no password; messages are signed instead")
    if "#" in text:
        raise InvalidRequest("url must have no fragment, which would not be sent")
    _check_host(host, reach)
    if url.scheme == "http" and not _is_private(host, reach):
        raise InvalidRequest("url must begin with https://; http:// is for hosts that the operator allows")
    if port not in _PORTS and (port or 0) < _FIRST_FREE_PORT:
        raise InvalidRequest(f"url has port {port}; allowed are 443, 80, and those from {_FIRST_FREE_PORT}")
    return url


def _check_host(host: str, reach: Reach) -> None:
    try:
        ip_address(host)
    except ValueError:
        if _NUMBERS.fullmatch(host):
            raise InvalidRequest("url has an IPv4 address that is not four plain decimal numbers") from None
        named = host.rstrip(".")
        local = named == "localhost" or named.endswith(".localhost")
        if local and named not in reach.hosts:
            raise InvalidRequest(f"url names {host}, which is this service's own machine") from None
    else:
        if not reach.allows(host, host):
            raise InvalidRequest(f"url has the address {host}, which is not of the public internet")


def _is_private(host: str, reach: Reach) -> bool:
    """Whether the operator allows a host by its name or its address."""
    if host.rstrip(".") in reach.hosts:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in reach.networks if network.version == address.version)
