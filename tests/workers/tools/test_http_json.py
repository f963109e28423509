from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel, Field

from workers.errors import ToolError, ToolUnavailable
from workers.tools import exchange
from workers.tools.http_json import http_tool
from workers.tools.tool import Tool

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SECRET = {"X-Api-Key": "secret"}


class Asked(BaseModel):
    city: str = Field(description="which", min_length=2)
    days: int = 1


class Site:
    """A server that tells what it was asked, and misbehaves as its paths say."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.failing = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        told = {
            "method": request.method,
            "path": request.raw_path,
            "query": [list(pair) for pair in request.query.items()],
            "key": request.headers.get("X-Api-Key"),
            "idempotency": request.headers.get("Idempotency-Key"),
            "body": (await request.read()).decode(),
        }
        self.asked.append(told)
        match request.path.split("/")[1:]:
            case ["moved", *_]:
                status = int(request.query.get("status", 302))
                return web.Response(status=status, headers={"Location": request.query["to"]})
            case ["status", code]:
                self.failing -= 1
                if self.failing >= 0:
                    return web.Response(status=int(code), text="not now", headers={"Retry-After": "0"})
            case ["text"]:
                return web.Response(text="snow, 3 °C")
            case ["image"]:
                return web.Response(body=b"\x89PNG", content_type="image/png")
            case ["broken"]:
                return web.Response(text="[" * 100_000, content_type="application/json")
            case ["bomb"]:
                packed = gzip.compress(b"0" * 100_000_000)
                headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
                return web.Response(body=packed, headers=headers)
            case ["endless"]:
                response = web.StreamResponse(headers={"Content-Type": "application/json"})
                await response.prepare(request)
                while True:
                    await response.write(b"0" * 100_000)
            case ["silent"]:
                await asyncio.sleep(60)
            case ["nothing"]:
                return web.Response(status=204)
        return web.json_response(told)


@pytest.fixture
async def site() -> AsyncIterator[tuple[Site, str]]:
    made, app = Site(), web.Application()
    app.router.add_route("*", "/{rest:.*}", made.answer)
    async with TestServer(app) as server:
        yield made, f"http://localhost:{server.port}"


def declared(url: str, **options: Any) -> Tool:
    given: dict[str, Any] = {"name": "look", "description": "Look.", "arguments": CITY, **options}
    return http_tool(url=url, **{"private_hosts": ["localhost"], **given})


async def test_arguments_go_into_path_query_and_body(site: tuple[Site, str]) -> None:
    made, url = site

    def arguments(city: str, days: int = 3, tags: list[str] | None = None) -> None: ...

    get = declared(f"{url}/of/{{city}}/now?units=m", arguments=arguments)
    told: Any = await get.invoke(["Köln/..x?y#z", 2, ["a", "b&c=d"]])
    assert told["path"].split("?")[0] == "/of/K%C3%B6ln%2F..x%3Fy%23z/now"
    assert told["query"] == [["units", "m"], ["days", "2"], ["tags", "a"], ["tags", "b&c=d"]]
    assert (told["method"], told["body"]) == ("GET", "")
    post = declared(f"{url}/of/{{city}}", method="POST", arguments=arguments)
    told = await post.invoke({"city": "Rome"})
    assert json.loads(told["body"]) == {"days": 3, "tags": None}
    assert (get.side_effects, post.side_effects) == (False, True)
    for text in (".", "..", "", "../../admin", "a/..\\b"):
        with pytest.raises(ToolError, match=r"argument 'city' is .* cannot stand in a path"):
            await get.invoke([text])
    assert len(made.asked) == 2
    with pytest.raises(ToolError, match="cannot stand in a path"):
        await declared(f"{url}/of/.{{city}}").invoke(["./x"])
    told = await declared(f"{url}/ü x?a=b c&d={{city}}").invoke(["x"])
    assert told["path"] == "/%C3%BC%20x?a=b%20c&d=x"


async def test_arguments_are_a_model_a_function_or_a_schema(site: tuple[Site, str]) -> None:
    _, url = site
    tool = declared(url, arguments=Asked)
    assert tool.parameters == ("city", "days")
    assert tool.schema["properties"]["city"]["description"] == "which"
    told: Any = await tool.invoke(["Rome"])
    assert told["query"] == [["city", "Rome"], ["days", "1"]]
    for wrong in ({"city": "R"}, {"city": "Rome", "dyas": 2}, {}):
        with pytest.raises(ToolError, match="look: "):
            await tool.invoke(wrong)
    plain = declared(url)
    assert plain.schema == CITY
    with pytest.raises(ToolError, match="'city' is missing"):
        await plain.invoke({})


@pytest.mark.parametrize(
    ("host", "told"),
    [
        *((each, "not a public address") for each in ("localhost", "127.0.0.1", "[::1]", "0x7f.1")),
        *(
            (each, "canonical|not a public|cannot be reached|raised")
            for each in ("2130706433", "127.1", "017700000001", "127.0.0.1.", "localhost.")
        ),
    ],
)
async def test_addresses_that_are_not_public_are_refused(
    site: tuple[Site, str], host: str, told: str
) -> None:
    made, url = site
    port = url.rpartition(":")[2]
    with pytest.raises(ToolError, match=told):
        await declared(f"http://{host}:{port}/", private_hosts=[]).invoke(["x"])
    assert made.asked == []


async def test_the_address_that_is_connected_to_is_the_one_that_was_looked_at(
    site: tuple[Site, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, url = site
    port = int(url.rpartition(":")[2])

    async def rebound(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
    with pytest.raises(ToolError, match=r"public\.example is at 127\.0\.0\.1, which is not a public address"):
        await declared(f"http://public.example:{port}/").invoke(["x"])
    assert made.asked == []
    told: Any = await declared(f"http://public.example:{port}/", private_hosts=["public.example"]).invoke(
        ["x"]
    )
    assert told["method"] == "GET"


async def test_redirects_are_followed_without_credentials_to_where_the_tool_may_connect(
    site: tuple[Site, str],
) -> None:
    made, url = site
    moved = declared(f"{url}/moved?to={{city}}", headers=SECRET)
    same: Any = await moved.invoke(["/there"])
    assert (same["path"], same["key"]) == ("/there", "secret")
    port = url.rpartition(":")[2]
    elsewhere = declared(f"{url}/moved?to={{city}}", headers=SECRET, private_hosts=["localhost", "127.0.0.1"])
    other: Any = await elsewhere.invoke([f"http://127.0.0.1:{port}/there"])
    assert (other["path"], other["key"]) == ("/there", None)
    asked = len(made.asked)
    for target, told in {
        f"http://127.0.0.1:{port}/there": "not a public address",
        "http://169.254.169.254/latest": "not a public address",
        "http://[::ffff:169.254.169.254]/": "not a public address",
        "http://localhost:22/": "unusual port",
        "http://user@localhost/": "with a user",
        "file:///etc/passwd": "redirects to file|unusual",
        "gopher://localhost:80/": "redirects to gopher",
        "http://[": "no URL",
    }.items():
        with pytest.raises(ToolError, match=told):
            await moved.invoke([target])
    with pytest.raises(ToolError, match="redirects more than 5 times"):
        await declared(f"{url}/moved?to=").invoke(["x"])  # to itself
    assert all(each["path"].startswith("/moved") for each in made.asked[asked:])
    with pytest.raises(ToolError, match="redirects, which is followed for GET only"):
        await declared(f"{url}/moved?to=/there&status=307", method="POST").invoke(["x"])


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The URL of what says the same to all requests, and these."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0 there\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 99_999,
    ],
)
async def test_what_is_no_http_is_told_without_the_keys_in_the_url(answer: bytes) -> None:
    async with saying(answer) as (url, _):
        with pytest.raises(ToolError, match="look: localhost answered with broken HTTP") as failed:
            await declared(f"{url}/?key=secret1").invoke(["x"])
    assert "secret1" not in repr((failed.value, failed.value.__cause__))


async def test_a_text_of_an_odd_encoding_is_read_all_the_same() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=idna\r\nContent-Length: 2\r\n\r\nhi"
    async with saying(answer) as (url, _):
        assert await declared(url).invoke(["x"]) == "hi"


@pytest.mark.parametrize(("method", "retries"), [("GET", 1), ("DELETE", 0)])
async def test_who_hangs_up_is_asked_as_often_as_declared(method: str, retries: int) -> None:
    async with saying(b"") as (url, asked):
        with pytest.raises(ToolUnavailable, match="look: localhost cannot be reached"):
            await declared(url, method=method, retries=retries).invoke(["x"])
    assert len(asked) == 1 + retries


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("image", "answered with image/png, which is neither JSON nor text"),
        ("broken", "broken JSON"),
        ("bomb", "answered with gzip, though asked not to compress"),
        ("endless", "answered with more than 4,000,000 bytes"),
        ("silent", r"look took more than 0\.5 s"),
    ],
)
async def test_answers_that_are_none_are_refused(site: tuple[Site, str], path: str, told: str) -> None:
    _, url = site
    seconds = 0.5 if path == "silent" else 60.0
    with pytest.raises(ToolError, match=told):
        await declared(f"{url}/{path}", timeout=seconds).invoke(["x"])


async def test_texts_and_empty_answers_are_results(site: tuple[Site, str]) -> None:
    _, url = site
    assert await declared(f"{url}/text").invoke(["x"]) == "snow, 3 °C"
    assert await declared(f"{url}/nothing").invoke(["x"]) is None


async def test_failures_say_what_the_server_said_and_whether_to_try_again(site: tuple[Site, str]) -> None:
    made, url = site
    made.failing = 100
    with pytest.raises(ToolError, match="look: localhost answered 404: not now"):
        await declared(f"{url}/status/404", retries=3).invoke(["x"])
    with pytest.raises(ToolUnavailable, match="look: localhost answered 503: not now"):
        await declared(f"{url}/status/503").invoke(["x"])
    assert len(made.asked) == 2
    made.failing = 2
    assert await declared(f"{url}/status/429", retries=2).invoke(["x"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ToolUnavailable, match="look: localhost cannot be reached"):
        await declared(f"http://localhost:{port}").invoke(["x"])


async def test_a_key_is_sent_with_each_try(site: tuple[Site, str]) -> None:
    made, url = site
    made.failing = 1
    pay = declared(f"{url}/status/502", method="POST", key_header="Idempotency-Key", retries=1)
    assert pay.takes_key
    await pay.invoke(["x"], key="k")
    assert [each["idempotency"] for each in made.asked] == ["k", "k"]
    with pytest.raises(TypeError, match="for retries, it must take an idempotency_key"):
        declared(url, method="POST", retries=1)


async def test_a_huge_answer_is_parsed_in_a_thread_and_bounded_by_the_run(
    site: tuple[Site, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = site
    monkeypatch.setattr(exchange, "_AT_ONCE", 10)
    with pytest.raises(ToolError, match="more than the 20"):
        await declared(url).invoke(["x"], most=20)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "ftp://example.org/"}, "write http:// or https://"),
        ({"url": "https://{city}.example.org/"}, "only in its path and query"),
        ({"url": "https://example.org:{city}/"}, "only in its path and query"),
        ({"url": "{city}://example.org/"}, "write http:// or https://"),
        ({"url": "https://{city}"}, "only in its path and query"),
        ({"url": "https://me@example.org/"}, "a user or a fragment does not"),
        ({"url": "https://secret1@example.org/?key=secret1"}, "a user or a fragment does not"),
        ({"url": "https://example.org/{town}?key=secret1"}, "a place for 'town', which is no argument"),
        ({"url": "https://example.org/{city"}, "the name of an argument in braces"),
        ({"method": "HEAD"}, "method 'HEAD' is none of GET"),
        ({"description": " "}, "needs a description"),
        ({"arguments": {"type": "array"}}, '"type": "object"'),
        (
            {
                "url": "https://example.org/{a}",
                "arguments": {**CITY, "required": [], "properties": {"a": {}}},
            },
            "be required",
        ),
        ({"private_hosts": ["*"]}, "no host, address or network"),
        ({"headers": {"X-Key": "secret1\n"}}, "the header 'X-Key' cannot be sent"),
        ({"headers": {"X Key": "a"}}, "the header 'X Key' cannot be sent"),
        ({"rate": "x"}, "write a number and a time"),
    ],
)
def test_declarations_that_do_not_fit_together_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=f"the tool look.*{re.escape(told)}") as failed:
        declared(**{"url": "https://example.org/", **options})
    assert "secret1" not in str(failed.value)
