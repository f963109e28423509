from __future__ import annotations

import pytest
from yarl import URL

from orchestrator.errors import InvalidRequest
from orchestrator.webhooks.targets import reach_of, target_of

NOWHERE = reach_of(())


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?a=b%20c",
        "https://example.com:8443/hook",
        "https://xn--bcher-kva.example/",
        "https://93.184.215.14/hook",
        "https://[2606:4700::1111]:443/",
    ],
)
def test_https_to_the_public_internet_is_allowed(url: str) -> None:
    assert target_of(url, NOWHERE) == URL(url, encoded=True)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("example.com/hook", "https://"),
        ("https:///hook", "host"),
        ("https://user:word@example.com/", "user"),
        ("https://@example.com/", "user|URL|host"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/a b", "blanks"),
        ("https://example.com/\r\nX-Evil: 1", "blanks"),
        ("https://bücher.example/", "percent-encoded"),
        ("https://example.com:25/", "port 25"),
        ("https://example.com:0/", "port 0"),
        ("https://example.com:99999/", "URL"),
        ("https://localhost/", "own machine"),
        ("https://localhost./", "own machine"),
        ("https://LOCALHOST/", "own machine"),
        ("https://a.localhost/", "own machine"),
        ("https://127.0.0.1/", "public"),
        ("https://10.1.2.3/", "public"),
        ("https://169.254.169.254/latest", "public"),
        ("https://[::1]/", "public"),
        ("https://[::ffff:127.0.0.1]/", "public"),
        ("https://[64:ff9b::7f00:1]/", "public"),
        ("https://[64:ff9b:1::1]/", "public"),
        ("https://[2002:7f00:1::]/", "public"),
        ("https://[2001:0:7f00:1::]/", "public"),
        ("https://[fe80::1]/", "public"),
        ("https://[ff02::1]/", "public"),
        ("https://2130706433/", "four plain decimal"),
        ("https://0x7f000001/", "four plain decimal"),
        ("https://0177.0.0.1/", "four plain decimal"),
        ("https://127.1/", "four plain decimal"),
        ("https://127.0.0.1./", "four plain decimal"),
        ("https://0x7f.1/", "four plain decimal"),
        (f"https://example.com/{'a' * 3000}", "characters"),
    ],
)
def test_all_else_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        target_of(url, NOWHERE)


def test_an_operator_allows_hosts_and_networks_by_plain_http_too() -> None:
    reach = reach_of(("localhost", "10.0.0.0/8", "hooks.internal"))
    for url in ("http://localhost:8000/", "http://10.1.2.3/", "https://10.1.2.3/", "http://hooks.internal/"):
        target_of(url, reach)
    for url in ("http://127.0.0.1/", "http://example.com/", "http://11.1.2.3/"):
        with pytest.raises(InvalidRequest):
            target_of(url, reach)
    with pytest.raises(InvalidRequest, match="ANABRANCH_WEBHOOK_PRIVATE_HOSTS"):
        reach_of(("http://localhost",))
