from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api.hosts import Authority, Hosts, parse_authority, parse_origin

GOOD = {
    "localhost": ("localhost", None),
    "LocalHost:8080": ("localhost", 8080),
    "a-b.c_d.example": ("a-b.c_d.example", None),
    "xn--bcher-kva.example": ("xn--bcher-kva.example", None),
    "10.0.0.7:1": ("10.0.0.7", 1),
    "[::1]": ("::1", None),
    "[2001:DB8:0:0::1]:65535": ("2001:db8::1", 65535),
    "1password.example": ("1password.example", None),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_host_is_read(text: str) -> None:
    found = parse_authority(text)
    assert found is not None
    assert (found.host, found.port) == GOOD[text]


@given(st.text(max_size=40))
def test_a_host_that_is_read_is_one_that_is_written_so(text: str) -> None:
    found = parse_authority(text)
    if found is not None:
        host = f"[{found.host}]" if found.host.count(":") else found.host
        written = host if found.port is None else f"{host}:{found.port}"
        assert parse_authority(written) == found
        assert not set(text) & set("/\\@?#%, \t\r\n\x00")


@given(st.from_regex(r"[0-9a-fx.]{1,16}", fullmatch=True))
def test_what_browsers_take_for_an_address_is_never_a_name(text: str) -> None:
    found = parse_authority(text)
    if found is not None and found.address is None:
        assert not text.rpartition(".")[2].isdigit()
        assert not text.rpartition(".")[2].startswith("0x")


@pytest.mark.parametrize(
    "text", ["null", "", "example", "https://", "https://a/b", "https://a:0", "https://a@b"]
)
def test_what_is_no_origin_is_none(text: str) -> None:
    assert parse_origin(text) is None


def test_the_usual_port_need_not_be_said() -> None:
    page = parse_origin("https://a.example")
    assert page is not None
    assert page.is_at(Authority("a.example"))
    assert page.is_at(Authority("a.example", 443))
    assert not page.is_at(Authority("a.example", 80))
    assert not page.is_at(Authority("b.example"))


def test_who_listens_everywhere_answers_to_every_address_and_to_no_further_name() -> None:
    hosts = Hosts()
    address, name = parse_authority("192.168.1.5:80"), parse_authority("evil.example")
    assert address is not None
    assert name is not None
    for bound in (("0.0.0.0",), ("::",), ("", "0.0.0.0", "::")):
        assert hosts.allow(address, bound)
        assert not hosts.allow(name, bound)
    assert hosts.allow(address, ("192.168.1.5",))
    assert not hosts.allow(address, ("192.168.1.6",))
    assert not hosts.allow(address, ("127.0.0.1",))
    assert hosts.allow(name, ("Evil.example", "127.0.0.1"))
