"""Which addresses a tool may connect to: those of the public internet, and what its operator allows."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from workers.errors import ToolError

_PUBLIC_6: Final = IPv6Network("2000::/3")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are an IPv4 address, to which a translator connects."""

_REFUSED: Final[tuple[IPv4Network | IPv6Network, ...]] = (
    *map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, with Alibaba's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's metadata
            "169.254.0.0/16",  # link-local, with most metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    ),
    *map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID and other special purposes
            "2001:db8::/32",
            "2002::/16",  # 6to4, which leads to whatever IPv4 address is in it
            "3fff::/20",
        ),
    ),
)
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""The bits before the last 32 of an address that tunnels to the IPv4 address there (RFC 5214)."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is global unicast, and leads to no other kind of address that is embedded in it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _PUBLIC_6 or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    return not any(address in network for network in _REFUSED if network.version == address.version)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a tool may connect to besides the public internet: hosts by name, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, private: Sequence[str]) -> Reach:
        """The reach that the operator gives: host names, addresses, and networks such as ``10.0.0.0/8``.

        Raises:
            ValueError: one is none of them.
        """
        hosts, networks = set(), []
        for each in private:
            try:
                networks.append(ip_network(each))
            except ValueError:
                if not each or "/" in each or "*" in each:
                    raise ValueError(
                        f"{each!r} is no host, address or network, such as localhost, 10.1.2.3 or 10.0.0.0/8"
                    ) from None
                hosts.add(each.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def allows(self, host: str, address: str) -> bool:
        """Whether a connection may be made to an address, which is one that a host name has."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:  # decimal, octal and other forms, which the system would take for an address
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return (
            host.lower().rstrip(".") in self.hosts
            or any(found in network for network in self.networks if network.version == found.version)
            or is_public(found)
        )

    def socket(self, host: str, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one address of a host, as ``getaddrinfo`` tells of it, if it may be used.

        It is asked for in the moment in which the connection is made, so that no other address is used than
        the one that was looked at, however often and with whatever result the name is resolved.

        Raises:
            Refused: it may not.
        """
        family, kind, protocol, _, address = info
        if not self.allows(host, str(address[0])):
            raise Refused(
                f"{host} is at {address[0]}, which is not a public address; an operator may allow it in "
                "private_hosts"
            )
        return socket.socket(family, kind, protocol)


class Refused(ToolError):
    """A tool may not connect there."""
