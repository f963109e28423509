from __future__ import annotations

import pytest

from tests.workers.engines.openai.harness import connected, read, text
from tests.workers.engines.raw_server import DONE, HEAD, Exchange, event, raw_server, respond
from workers.engines.openai.addresses import read_address


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://h", "http://h/v1"),
        ("http://h/", "http://h/v1"),
        ("http://h/v1/", "http://h/v1"),
        ("http://h/v1/chat/completions", "http://h/v1"),
        ("http://h/v1/completions/", "http://h/v1"),
        ("http://h/chat/completions", "http://h/v1"),
        ("http://h/api/", "http://h/api"),
        ("http://h/models", "http://h/models"),
        ("http://h/openai/deployments/a%2Fb/chat/completions", "http://h/openai/deployments/a/b"),
        ("http://me:word@h:80/v1#part", "http://me:word@h/v1"),
    ],
)
def test_an_address_is_what_people_mean_by_it(given: str, base: str) -> None:
    assert str(read_address(given).base) == base


def test_the_query_goes_with_every_request() -> None:
    address = read_address("https://h/openai/deployments/m?api-version=2026-01-01&x=a%20b")
    assert str(address.at("chat/completions")) == (
        "https://h/openai/deployments/m/chat/completions?api-version=2026-01-01&x=a+b"
    )
    assert str(read_address("http://h/api/v1?k=1").at("/health")) == "http://h/api/health?k=1"
    assert str(read_address("http://h/v1").at("/metrics")) == "http://h/metrics"


@pytest.mark.parametrize(
    ("given", "others"),
    [
        ("http://h", [""]),
        ("http://h/v1", [""]),
        ("http://h/openai", ["/openai/v1"]),
        ("http://h/api/v1", ["/api"]),
        ("http://h/v1beta/openai", []),
        ("http://h/openai/deployments/m", []),
    ],
)
def test_where_else_the_server_may_be(given: str, others: list[str]) -> None:
    assert [one.base.path.removeprefix("/") for one in read_address(given).elsewhere()] == [
        other.removeprefix("/") for other in others
    ]


@pytest.mark.parametrize(
    ("given", "headers"),
    [
        ("https://api.example.org/v1", {"Authorization": "Bearer k"}),
        ("https://r.openai.azure.com/openai/v1", {"api-key": "k"}),
        ("https://r.services.ai.azure.com/models", {"api-key": "k"}),
        ("https://gateway/openai/deployments/m", {"Authorization": "Bearer k", "api-key": "k"}),
    ],
)
def test_a_key_is_sent_as_the_server_wants_it(given: str, headers: dict[str, str]) -> None:
    assert read_address(given).credentials("k") == headers


def test_a_token_of_microsoft_entra_is_no_key() -> None:
    address = read_address("https://r.openai.azure.com/openai/v1")
    assert address.credentials("eyJ0") == {"Authorization": "Bearer eyJ0"}


@pytest.mark.parametrize(
    ("given", "there"), [("", "/v1"), ("", ""), ("/v1", ""), ("/openai", "/openai/v1"), ("/v1", "/v1")]
)
@pytest.mark.parametrize(
    "elsewhere",
    [
        respond("404 Not Found", {"detail": "Not Found"}),
        respond("200 OK", {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
        respond("500 X", "no route"),
    ],
)
async def test_a_server_is_found_with_v1_and_without(given: str, there: str, elsewhere: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("hi", "stop") + DONE)

    async with raw_server(script) as server:
        usual = server._answer

        def only_there(path: str, body: object) -> bytes:
            if path not in (f"{there}/models", f"{there}/chat/completions"):
                return elsewhere
            return usual(path, body)  # type: ignore[arg-type]

        server._answer = only_there  # type: ignore[method-assign]
        async with connected(server.url.removesuffix("/v1") + given) as engine:
            assert text(await read(engine)) == "hi"
        assert server.paths[-1] == f"{there}/chat/completions"


async def test_a_deployment_names_its_model_and_gets_query_key_and_headers() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("hi", "stop") + DONE)

    async with raw_server(script) as server:
        server.get = lambda _: respond("404 X", {"error": {"code": "404", "message": "Resource not found"}})
        url = server.url.replace("/v1", "/openai/deployments/mine/?api-version=2026-01-01")
        async with connected(url, api_key="key", headers={"X-Title": "t", "AUTHORIZATION": "mine"}) as engine:
            assert (await engine.capabilities()).model == "mine"
            await read(engine)
        head = server.exchanges[-1].headers.lower()
        assert "post /openai/deployments/mine/chat/completions?api-version=2026-01-01 " in head
        assert "\r\napi-key: key\r\n" in head
        assert "\r\nx-title: t\r\n" in head
        assert "\r\nauthorization: mine\r\n" in head
        assert "bearer" not in head
