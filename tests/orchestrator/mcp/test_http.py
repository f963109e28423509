"""The tools over streamable HTTP, as the official client uses them, in both eras of the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.access.caller import Scope
from orchestrator.mcp import tools
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from storage.tasks import TaskStatus
from tests.orchestrator.api.conftest import slow
from tests.orchestrator.mcp.conftest import ERAS, Era, Offered, Open, text_of, until
from workers.engines.simulator.engine import CostModel, Simulator

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
HEADERS = {"Accept": "application/json, text/event-stream"}
VOTE = {"question": "How many clips?", "planner": "vote", "options": {"n": 5}}


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_finds_the_tools_and_what_they_take_and_give(offered: Offered, era: Era) -> None:
    async with offered.client(era) as client:
        assert client.server_info is not None
        assert client.server_info.name == "anabranch"
        assert "stop" in str(client.instructions)
        found = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(found) == ["solve", "trace", "replay", "planners"]
    solve = found["solve"]
    assert solve.input_schema["required"] == ["question"]
    assert all("description" in each for each in solve.input_schema["properties"].values())
    assert "$ref" not in str(solve.input_schema) + str(solve.output_schema)
    assert "null" not in str(solve.input_schema["properties"]).replace("null without", "")
    assert solve.annotations is not None
    assert solve.annotations.read_only_hint is False
    assert solve.annotations.destructive_hint is False
    for name in ("trace", "replay", "planners"):
        hints = found[name].annotations
        assert hints is not None
        assert hints.read_only_hint is True


@pytest.mark.parametrize("era", ERAS)
async def test_an_answer_says_what_it_rests_on_and_its_run_can_be_shown_and_repeated(
    offered: Offered, era: Era
) -> None:
    async with offered.client(era) as client:
        solved = await client.call_tool("solve", VOTE)
        assert not solved.is_error
        given = solved.structured_content
        assert given["answer"] == "72"
        assert given["unsure"] is False
        assert given["outcome"] == "answered"
        assert given["confidence"] > 0.5
        assert given["tokens"]["completion"] > 0
        text = text_of(solved)
        assert text.startswith("72\n")
        assert given["trust"] in text
        assert given["trace_id"] in text

        traced = await client.call_tool("trace", {"trace_id": given["trace_id"]})
        assert "0.0 generate branch 0" in text_of(traced)
        assert traced.structured_content["tree"] == text_of(traced)
        assert traced.structured_content["left_out"] == 0
        short = await client.call_tool("trace", {"trace_id": given["trace_id"], "characters": 500})
        assert len(text_of(short)) <= 500
        assert short.structured_content["left_out"] > 0

        replayed = await client.call_tool("replay", {"trace_id": given["trace_id"]})
        assert replayed.structured_content["identical"] is True
        assert replayed.structured_content["answer"] == "72"
        assert text_of(replayed).startswith("Identical: ")


async def test_an_effort_sets_the_options_that_are_not_given(offered: Offered) -> None:
    async with offered.client() as client:
        for asked, n in (({"effort": "high"}, 16), ({"effort": "low", "options": {"n": 5}}, 5)):
            solved = await client.call_tool("solve", {"question": "?", "planner": "vote", **asked})
            task = await offered.service.task(solved.structured_content["trace_id"])
            assert task.options["options"] == {"n": n}


async def test_a_run_that_would_go_otherwise_now_says_where(offered: Offered) -> None:
    @planner("direct")
    async def changed(run: Run, question: Question) -> Answer:
        return Answer((await run.generate(f"{question.text}, by the way")).text)

    async with offered.client() as client:
        solved = await client.call_tool("solve", {"question": "?", "planner": "direct"})
        trace_id = solved.structured_content["trace_id"]
        offered.service.add_planner(changed)
        result = await client.call_tool("replay", {"trace_id": trace_id})
    assert not result.is_error
    assert result.structured_content["identical"] is False
    assert "node 0 diverges" in result.structured_content["difference"]
    assert text_of(result).startswith("Different: node 0")


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_asks_for_it_learns_how_far_the_run_is(offered: Offered, era: Era) -> None:
    told: list[tuple[float, str]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, str(message)))

    async with offered.client(era) as client:
        await client.call_tool("solve", VOTE, progress_callback=listen)
        await until(lambda: told and told[-1][1].startswith("Enough"))
    steps = [step for step, _ in told]
    assert steps == sorted(set(steps))
    lines = [line for _, line in told]
    assert lines[0] == "A vote begins."
    assert "Branch 1 begins." in lines
    assert "Branch 1 says 72." in lines
    assert any("agree, entropy" in line for line in lines)
    assert "Enough: the branches agree." in lines


async def test_a_run_of_which_there_is_nothing_new_is_told_of_all_the_same(
    open_mcp: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "TICK_SECONDS", 0.02)
    told: list[str] = []
    heard = asyncio.Event()

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        told.append(str(message))
        if "calls running" in told[-1] and "tokens" in told[-1]:
            heard.set()

    async with open_mcp(slow()) as offered, offered.client() as client, anyio.create_task_group() as group:
        group.start_soon(lambda: client.call_tool("solve", VOTE, progress_callback=listen))
        await asyncio.wait_for(heard.wait(), 60)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_cancelled_ends_at_the_engine(open_mcp: Open, era: Era) -> None:
    engine = slow()
    async with open_mcp(engine) as offered, offered.client(era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "solve", VOTE)
            await until(lambda: engine.counters().in_flight)
            group.cancel_scope.cancel()
        await until(lambda: not engine.counters().in_flight)
        [task] = await offered.service.store.list(limit=5)
        await until(lambda: not offered.service.running)
        assert (await offered.service.task(task.id)).status is TaskStatus.CANCELLED
        assert (await client.list_tools()).tools, "the connection is still good"


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_leaves_frees_the_engine(open_mcp: Open, era: Era) -> None:
    engine = slow()
    async with open_mcp(engine) as offered:

        async def ask() -> None:
            async with offered.client(era) as client:
                await client.call_tool("solve", VOTE)

        asking = asyncio.create_task(ask())
        await until(lambda: engine.counters().in_flight)
        asking.cancel()
        await asyncio.wait({asking})
        await until(lambda: not engine.counters().in_flight and not offered.service.running)


async def test_who_leaves_while_a_task_is_stored_leaves_no_task_that_runs(
    open_mcp: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, go_on = asyncio.Event(), asyncio.Event()
    async with open_mcp(slow()) as offered, offered.client() as client:
        submit = offered.service.submit

        async def slowly(*given: Any) -> Any:
            task = await submit(*given)
            stored.set()
            await go_on.wait()
            return task

        monkeypatch.setattr(offered.service, "submit", slowly)
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "solve", VOTE)
            await asyncio.wait_for(stored.wait(), 60)
            group.cancel_scope.cancel()
        go_on.set()
        [task] = await offered.service.store.list(limit=5)
        async for _ in offered.service.events(task.id):
            pass  # until it ends, which it would not do by itself for a minute
        assert (await offered.service.task(task.id)).status is TaskStatus.CANCELLED


async def test_a_connection_that_breaks_frees_the_engine(open_mcp: Open) -> None:
    engine = slow()
    async with open_mcp(engine) as offered, aiohttp.ClientSession(headers=HEADERS) as web:
        async with web.post(offered.url, json=INITIALIZE) as response:
            session = {"Mcp-Session-Id": response.headers["Mcp-Session-Id"]}
            await response.read()
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        async with web.post(offered.url, json=note, headers=session) as response:
            assert response.status == 202
        call = {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "solve", "arguments": VOTE},
        }
        async with web.post(offered.url, json=call, headers=session) as response:
            assert response.status == 200
            await until(lambda: engine.counters().in_flight)
        response.close()
        await until(lambda: not engine.counters().in_flight and not offered.service.running)


async def test_calls_go_on_beside_each_other(open_mcp: Open) -> None:
    engine = Simulator({"slow": "word " * 50_000, "": "ok"}, cost=CostModel(decode_tokens_per_s=100))
    async with open_mcp(engine) as offered, offered.client() as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "solve", {"question": "slow", "planner": "direct"})
        await until(lambda: engine.counters().in_flight)
        quick = await client.call_tool("solve", {"question": "quick", "planner": "direct"})
        assert quick.structured_content["answer"] == "ok"
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("solve", {}, "[invalid_request] question: Field required"),
        ("solve", {"question": "  "}, "[invalid_request] question:"),
        ("solve", {"question": "?", "planer": "vote"}, "[invalid_request] planer: Extra inputs"),
        ("solve", {"question": "?", "planner": "vot"}, "[unknown_planner] no planner is called 'vot'"),
        ("solve", {"question": "?", "planner": "vote", "options": {"m": 1}}, "its options: n, rule"),
        ("solve", {"question": "?", "budget": {"tokens": 0}}, "[invalid_request] budget.tokens:"),
        ("solve", {"question": "?", "planner": "vote", "abstain_below": 0.9}, "[invalid_request] abstain_be"),
        (
            "solve",
            {"question": "?", "planner": "direct", "effort": "low"},
            "effort: planner 'direct' has none",
        ),
        ("solve", {"question": "?", "effort": "much"}, "[invalid_request] effort:"),
        ("solve", {"question": "?" * 200_001}, "at most 200000 are accepted"),
        ("trace", {"trace_id": "nothing"}, "[task_not_found] there is no task 'nothing'"),
        ("trace", {"trace_id": "\x00"}, "[task_not_found]"),
        ("trace", {"trace_id": "x", "characters": 1}, "[invalid_request] characters:"),
        ("replay", {"trace_id": "nothing"}, "[task_not_found]"),
        ("planners", {"x": 1}, "[invalid_request] x: Extra inputs"),
    ],
    ids=lambda value: "-".join(value) or "nothing" if isinstance(value, dict) else str(value)[:30],
)
async def test_what_is_wrong_is_said_in_a_result(
    offered: Offered, tool: str, arguments: dict[str, Any], says: str
) -> None:
    async with offered.client() as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert says in text_of(result)
    assert "Traceback" not in text_of(result)


async def test_a_task_that_fails_is_an_error_with_its_trace(open_mcp: Open) -> None:
    from workers.engines.simulator.faults import Fault

    engine = Simulator("ok", faults=[Fault(kind="refuse")])
    async with open_mcp(engine) as offered, offered.client() as client:
        result = await client.call_tool("solve", {"question": "?", "planner": "direct"})
        assert result.is_error
        [task] = await offered.service.store.list(limit=5)
        assert task.id in text_of(result)


async def test_a_bug_tells_strangers_nothing(offered: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("a secret of ours")

    monkeypatch.setattr(offered.service, "submit", broken)
    async with offered.client() as client:
        with capture_logs() as logs:
            result = await client.call_tool("solve", VOTE)
    assert result.is_error
    assert text_of(result).startswith("[internal] ")
    assert "secret" not in text_of(result)
    assert any(line["log_level"] == "error" for line in logs)


async def test_a_tool_that_is_not_there_is_refused_with_those_that_are(offered: Offered) -> None:
    from mcp import MCPError

    async with offered.client() as client:
        with pytest.raises(MCPError, match="there are solve, trace, replay, planners"):
            await client.call_tool("solved", {})


async def test_unsure_answers_say_so_first(open_mcp: Open) -> None:
    engine = Simulator(["Answer: 1", "Answer: 2", "Answer: 3", "Answer: 4"] * 5)
    async with open_mcp(engine) as offered, offered.client() as client:
        result = await client.call_tool("solve", {**VOTE, "options": {"n": 4, "rule": "fixed"}})
    assert result.structured_content["unsure"] is True
    assert text_of(result).startswith("UNSURE, do not rely on this")
    assert len(result.structured_content["dissent"]) >= 1


async def test_the_text_of_an_answer_may_hold_anything(open_mcp: Open) -> None:
    engine = Simulator("half a pair \ud83d, a nul \x00, a snowman ☃ and two\nlines")
    async with open_mcp(engine) as offered, offered.client() as client:
        result = await client.call_tool("solve", {"question": "☃?", "planner": "direct"})
        assert "☃" in result.structured_content["text"]
        tree = await client.call_tool("trace", {"trace_id": result.structured_content["trace_id"]})
        assert not tree.is_error


# -- who may come in ------------------------------------------------------------------------------


async def refused(offered: Offered, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(headers=HEADERS) as web,
        web.post(offered.url, json=INITIALIZE, headers=headers) as response,
    ):
        body = await response.json() if response.status >= 400 else {"error": {"code": ""}}
        return response.status, body["error"]["code"]


async def test_pages_cannot_come_in_by_a_name_that_their_dns_points_here(offered: Offered) -> None:
    assert await refused(offered, Host="evil.example") == (421, "host_not_allowed")
    assert await refused(offered, Origin="https://evil.example") == (403, "origin_not_allowed")
    assert await refused(offered, **{"Sec-Fetch-Site": "cross-site"}) == (403, "origin_not_allowed")
    assert await refused(offered, **{"Content-Type": "text/plain"}) == (415, "unsupported_media_type")
    assert await refused(offered) == (200, "")


async def test_a_page_that_is_listed_may_come_in(open_mcp: Open) -> None:
    settings = Settings(allowed_origins=("https://app.example",), lease_seconds=3600.0)
    async with open_mcp(settings=settings) as offered:
        assert await refused(offered, Origin="https://app.example") == (200, "")
        ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        async with aiohttp.ClientSession() as web, web.options(offered.url, headers=ask) as leave:
            assert leave.status == 204
            assert "Mcp-Session-Id" in leave.headers["Access-Control-Allow-Headers"]
            assert "Mcp-Session-Id" in leave.headers["Access-Control-Expose-Headers"]


async def test_once_there_is_a_key_every_client_needs_one(offered: Offered) -> None:
    key = await offered.key("acme")
    assert await refused(offered) == (401, "unauthorized")
    assert await refused(offered, Authorization="Bearer anb_wrong") == (401, "unauthorized")
    for era in ERAS:
        async with offered.client(era, key) as client:
            result = await client.call_tool("solve", VOTE)
            assert not result.is_error
            task = await offered.service.task(result.structured_content["trace_id"])
            assert task.tenant == "acme"


async def test_a_key_does_what_its_scopes_allow_and_sees_what_its_tenant_has(offered: Offered) -> None:
    submits, reads = await offered.key("acme", Scope.SUBMIT), await offered.key("acme", Scope.READ)
    other = await offered.key("other")
    async with offered.client(key=submits) as client:
        with capture_logs() as logs:
            trace = (await client.call_tool("solve", VOTE)).structured_content["trace_id"]
        assert [
            (each["what"], each["target"], each["outcome"]) for each in logs if each["event"] == "audit"
        ] == [("mcp_solve", trace, "done")]
        assert "[forbidden]" in text_of(await client.call_tool("trace", {"trace_id": trace}))
    async with offered.client(key=reads) as client:
        assert not (await client.call_tool("trace", {"trace_id": trace})).is_error
        assert "[forbidden]" in text_of(await client.call_tool("solve", VOTE))
    async with offered.client(key=other) as client:
        for tool in ("trace", "replay"):
            result = await client.call_tool(tool, {"trace_id": trace})
            assert "[task_not_found]" in text_of(result)


async def test_nobody_goes_on_with_the_session_of_another_key(offered: Offered) -> None:
    own, other = await offered.key("acme"), await offered.key("acme", id="another")
    async with aiohttp.ClientSession(headers=HEADERS) as web:
        headers = {"Authorization": f"Bearer {own}"}
        async with web.post(offered.url, json=INITIALIZE, headers=headers) as response:
            assert response.status == 200
            session = response.headers["Mcp-Session-Id"]
        asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        for key, status in ((other, 404), (own, 200)):
            headers = {"Authorization": f"Bearer {key}", "Mcp-Session-Id": session}
            async with web.post(offered.url, json=asked, headers=headers) as response:
                assert response.status == status


async def test_sessions_that_a_tenant_leaves_open_leave_room_for_others(open_mcp: Open) -> None:
    async with open_mcp(settings=Settings(tenant_streams=2, streams=4)) as offered:
        keys = [await offered.key(tenant, id=tenant) for tenant in ("acme", "other")]
        async with aiohttp.ClientSession(headers=HEADERS) as web:

            async def begin(key: str) -> tuple[int, str]:
                headers = {"Authorization": f"Bearer {key}"}
                async with web.post(offered.url, json=INITIALIZE, headers=headers) as response:
                    await response.read()
                    return response.status, response.headers.get("Mcp-Session-Id", "")

            begun = [await begin(keys[0]) for _ in range(5)]
            assert [status for status, _ in begun] == [200, 200, 503, 503, 503]
            assert (await begin(keys[1]))[0] == 200
            headers = {"Authorization": f"Bearer {keys[0]}", "Mcp-Session-Id": begun[0][1]}
            async with web.delete(offered.url, headers=headers) as response:
                assert response.status == 200
            assert (await begin(keys[0]))[0] == 200


async def test_a_server_that_drains_takes_no_more(offered: Offered) -> None:
    async with offered.client() as client:
        offered.draining.set()
        result = await client.call_tool("solve", VOTE)
        assert result.is_error
        assert text_of(result).startswith("[draining]")
        async with aiohttp.ClientSession() as web, web.get(offered.url.replace("/mcp", "/readyz")) as ready:
            assert ready.status == 503


async def test_limits_of_a_key_hold_here_too(offered: Offered) -> None:
    from storage.accounts import Limits
    from storage.keys import account_of_tenant

    key = await offered.key("acme")
    await offered.service.store.access.set_limits(account_of_tenant("acme"), Limits(task_tokens=10))
    offered.service.access.forget()
    async with offered.client(key=key) as client:
        result = await client.call_tool("solve", {**VOTE, "budget": {"tokens": 1000}})
    assert result.is_error
    assert "[invalid_request]" in text_of(result)
