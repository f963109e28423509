"""How people reach a service that is safe from pages: curl, containers, proxies, IPv6, files."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from orchestrator.api.application import create_application
from orchestrator.api.listening import listening
from orchestrator.settings import Settings
from tests.orchestrator.api.conftest import Api, Open
from tests.orchestrator.api.every import bearer

BODY = {"query": "x", "planner": "direct"}


@asynccontextmanager
async def forwarded(port: int) -> AsyncIterator[int]:
    """Another port that leads to this one, as ``docker run -p`` makes it; yields its number."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onwards = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, onwards[1]), pump(onwards[0], writer), return_exceptions=True)

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def proxied(port: int, *, keeps_host: bool) -> AsyncIterator[str]:
    """A reverse proxy before a service; yields its URL."""

    async def pass_on(request: web.Request) -> web.Response:
        host = request.headers["Host"] if keeps_host else f"127.0.0.1:{port}"
        headers = {**request.headers, "Host": host, "X-Forwarded-Host": "evil.example"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"http://127.0.0.1:{port}{request.path_qs}",
                headers=headers,
                data=await request.read(),
            ) as response,
        ):
            return web.Response(
                status=response.status, body=await response.read(), content_type=response.content_type
            )

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", pass_on)
    async with listening(application, "127.0.0.1", 0) as url:
        yield url


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_needs_nothing_but_the_url(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{api.port}/v1/tasks"
            data = ["-H", "Content-Type: application/json", "-d", '{"query": "x", "planner": "direct"}']
            for options in ([], data):
                curl = await asyncio.create_subprocess_exec(
                    "curl", "-sS", "--fail-with-body", "--ipv4", *options, url, stdout=asyncio.subprocess.PIPE
                )
                said, _ = await curl.communicate()
                assert curl.returncode == 0, said


async def test_a_container_is_reached_through_a_port_of_its_host(open_api: Open) -> None:
    async with open_api(work=False, host="0.0.0.0") as api:
        async with api.session.get(f"http://127.0.0.1:{api.port}/v1/tasks") as response:
            assert response.status == 200  # from within, as long as there are no keys
        key = await api.key("a")
        async with forwarded(api.port) as port, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v1/tasks"
            for host in (f"localhost:{port}", f"192.168.1.5:{port}", "gpu-box:8080", "reason.example"):
                said = {**bearer(key)["headers"], "Host": host}
                assert (await session.post(url, json=BODY, headers=said)).status == 202
            probe = {"Host": f"10.1.2.3:{port}"}  # as a supervisor asks that knows the address alone
            assert (await session.get(f"http://127.0.0.1:{port}/healthz", headers=probe)).status == 200
            assert (await session.get(url, headers=probe)).status == 401
            assert (await session.get(url, headers={"Host": "evil.example"})).status == 421


async def test_without_keys_only_this_machine_is_served(open_api: Open) -> None:
    own = _own_address()
    if own is None:
        pytest.skip("this machine has no address but its loopback")
    async with open_api(work=False, host="0.0.0.0") as api, aiohttp.ClientSession() as session:
        for path, status in (("/healthz", 200), ("/v1/tasks", 401)):
            async with session.get(f"http://{own}:{api.port}{path}") as response:
                assert response.status == status
                body = await response.json()
        assert "no keys yet" in body["error"]["message"]
    async with open_api(work=False, host="0.0.0.0", insecure=True) as api, aiohttp.ClientSession() as session:
        assert (await session.get(f"http://{own}:{api.port}/v1/tasks")).status == 200
        key = await api.key("a")
        assert (await session.get(f"http://{own}:{api.port}/v1/tasks")).status == 401
        assert (await session.get(f"http://{own}:{api.port}/v1/tasks", **bearer(key))).status == 200


def _own_address() -> str | None:
    """The address by which others reach this machine; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


async def test_a_reverse_proxy_keeps_the_name_and_it_is_allowed(open_api: Open) -> None:
    named = {"Host": "reason.example"}
    page = {**named, "Origin": "https://reason.example", "Sec-Fetch-Site": "same-origin"}
    async with (
        open_api(work=False) as api,
        aiohttp.ClientSession() as session,
        proxied(api.port, keeps_host=True) as url,
        session.get(f"{url}/v1/tasks", headers=named) as response,
    ):
        assert response.status == 421
        assert "--allowed-hosts reason.example" in (await response.json())["error"]["message"]
    async with (
        open_api(work=False, settings=Settings.model_validate({"allowed_hosts": "reason.example"})) as api,
        aiohttp.ClientSession() as session,
        proxied(api.port, keeps_host=True) as url,
    ):
        assert (await session.get(f"{url}/v1/tasks", headers=named)).status == 200
        assert (await session.post(f"{url}/v1/tasks", headers=page, json=BODY)).status == 202
        foreign = {**page, "Origin": "https://evil.example"}
        assert (await session.post(f"{url}/v1/tasks", headers=foreign, json=BODY)).status == 403


async def test_a_reverse_proxy_that_puts_its_own_name_there_works_too(open_api: Open) -> None:
    page = {"Host": "reason.example", "Origin": "https://reason.example", "Sec-Fetch-Site": "same-origin"}
    for origins, status in (("", 403), ("https://reason.example", 202)):
        async with (
            open_api(work=False, settings=Settings.model_validate({"allowed_origins": origins})) as api,
            aiohttp.ClientSession() as session,
            proxied(api.port, keeps_host=False) as url,
        ):
            assert (await session.get(f"{url}/v1/tasks", headers={"Host": "any"})).status == 200
            assert (await session.post(f"{url}/v1/tasks", headers=page, json=BODY)).status == status


async def test_ipv6_is_reached_by_its_address(open_api: Open) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with open_api(work=False, host="::1") as api:
        assert "[::1]" in str(api.session._base_url)
        assert (await api.submit()).status == 202
        assert (await api.submit(headers={"Origin": f"http://[::1]:{api.port}"})).status == 202
        assert (await api.get("/v1/tasks", headers={"Host": "evil.example"})).status == 421
    async with open_api(work=False, host="::") as api:
        for host in ("127.0.0.1", "[::1]"):  # the first through the second, where the system maps it
            url = f"http://{host}:{api.port}/v1/tasks"
            try:
                async with api.session.get(url) as response:
                    assert response.status == 200
            except aiohttp.ClientConnectorError:
                assert host == "127.0.0.1"


@asynccontextmanager
async def at_file(api: Api, path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the same service at a Unix socket."""
    application = create_application(api.service)
    async with listening(application, "", 0, uds=path) as url:
        assert url == f"unix:{path}"
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession("http://any.name", connector=connector) as session:
            yield session


async def test_a_unix_socket_is_for_its_user_alone_and_for_any_name(open_api: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    before = os.umask(0)
    try:
        async with open_api(work=False) as api, at_file(api, path) as session:
            mode = path.stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
            assert (await session.post("/v1/tasks", json=BODY)).status == 202
            page = {"Origin": "https://evil.example"}
            assert (await session.post("/v1/tasks", json=BODY, headers=page)).status == 403
            key = await api.key("a")
            assert (await session.get("/v1/tasks")).status == 401
            assert (await session.get("/v1/tasks", **bearer(key))).status == 200
        assert not path.exists()
    finally:
        os.umask(before)


async def test_only_a_socket_that_nobody_listens_at_is_replaced(open_api: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    async with open_api(work=False) as api:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
        async with at_file(api, path) as session:
            assert (await session.get("/v1/tasks")).status == 200
            with pytest.raises(OSError, match="another process listens there"):
                async with at_file(api, path):
                    pass
            assert (await session.get("/v1/tasks")).status == 200
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="is no socket"):
            async with at_file(api, path):
                pass
        assert path.read_text() == "mine"
        for bad in (tmp_path / "missing" / "a.sock", tmp_path / ("a" * 200)):
            with pytest.raises(OSError, match=bad.name):
                async with at_file(api, bad):
                    pass
