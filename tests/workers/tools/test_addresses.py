from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from workers.tools.addresses import Reach, Refused, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_global_unicast_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.7",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:4860::5efe:7f00:1",
        "2001:4860::200:5efe:10.0.0.1",
    ],
)
def test_all_other_addresses_are_not(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", ""])
def test_other_forms_of_addresses_are_allowed_to_nobody(address: str) -> None:
    assert not Reach().allows("example.org", address)
    assert not Reach.of(["0.0.0.0/0"]).allows("example.org", address)


def test_an_operator_allows_hosts_addresses_and_networks() -> None:
    reach = Reach.of(["LocalHost", "10.1.2.3", "192.168.0.0/16", "fd00::/8"])
    assert reach.allows("localhost", "127.0.0.1")
    assert reach.allows("localhost.", "::1")
    assert not reach.allows("localhost.example.org", "127.0.0.1")
    assert reach.allows("intranet", "10.1.2.3")
    assert reach.allows("intranet", "::ffff:192.168.7.7")
    assert reach.allows("intranet", "fd12::1%eth0")
    assert not reach.allows("intranet", "10.1.2.4")
    for wrong in ("", "10.0.0.0/33", "*.example.org"):
        with pytest.raises(ValueError, match="no host, address or network"):
            Reach.of([wrong])


def test_a_socket_is_given_for_addresses_that_are_allowed() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    with pytest.raises(Refused, match=r"example\.org is at 127\.0\.0\.1, which is not a public address"):
        Reach().socket("example.org", info)
    Reach.of(["127.0.0.0/8"]).socket("example.org", info).close()
