"""What the API tells of stored tasks: filtered lists, what-ifs and differences."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.api.looking import place_of, place_text
from orchestrator.errors import InvalidRequest
from storage.listing import Place
from tests.orchestrator.api.conftest import Api, Open, Reply
from workers.engines.simulator.engine import Simulator

VOTE = {"6 * 7": {"The answer is \\boxed{42}": 1, "The answer is \\boxed{48}": 1}}
EIGHT: dict[str, Any] = {"planner": "vote", "options": {"n": 8, "rule": "fixed"}}


def ids(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [task["id"] for task in reply.body["tasks"]]


async def a_branch(api: Api, task: str) -> str:
    """The path of a node that generates."""
    nodes = (await api.get(f"/v1/tasks/{task}/trace")).body["nodes"]
    while nodes:
        node = nodes.pop(0)
        if node["kind"] == "generate":
            return str(node["path"])
        nodes += node["children"]
    raise AssertionError


async def listed(api: Api, **query: Any) -> list[str]:
    return ids(await api.get("/v1/tasks", params={name: str(value) for name, value in query.items()}))


async def test_lists_are_filtered_by_all_that_is_given(open_api: Open) -> None:
    async with open_api(Simulator(VOTE)) as api:
        vote = (await api.submit(tenant="a", wait=60, **EIGHT)).body
        direct = (await api.submit("Wie heißt 6 * 7?", tenant="a", wait=60)).body
        other = (await api.submit(planner="vote", tenant="b", wait=60)).body
        entropy = vote["solution"]["entropy"]
        assert entropy > 0
        assert await listed(api) == [other["id"], direct["id"], vote["id"]]
        assert await listed(api, planner="vote", tenant="a") == [vote["id"]]
        assert await listed(api, status="succeeded", text="WIE HEISST") == [direct["id"]]
        assert await listed(api, entropy_from=entropy, tenant="a") == [vote["id"]]
        assert await listed(api, entropy_from=entropy + 0.01) == []
        assert await listed(api, created_from=direct["created_at"]) == [other["id"], direct["id"]]
        assert await listed(api, created_before=direct["created_at"]) == [vote["id"]]
        assert await listed(api, status="dead") == []
        mine = await api.get("/v1/tasks?planner=vote", headers={"X-Tenant": "b"})
        assert ids(mine) == [other["id"]]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=done", "status"),
        ("planner=", "planner"),
        ("planner=%00", "planner"),
        ("text=", "text"),
        ("text=%00", "text"),
        ("text=" + "x" * 1001, "text"),
        ("entropy_from=nan", "entropy_from"),
        ("created_from=yesterday", "created_from"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("before=x", "before"),
        ("tenant=a&tenant=b", "tenant"),
    ],
)
async def test_a_bad_filter_is_named(open_api: Open, query: str, says: str) -> None:
    async with open_api(work=False) as api:
        reply = await api.get(f"/v1/tasks?{query}")
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert says in reply.message


async def test_pages_go_on_although_tasks_are_deleted(open_api: Open) -> None:
    async with open_api(work=False) as api:
        made = [(await api.submit(tenant="ab"[number % 2])).body["id"] for number in range(7)]
        first = (await api.get("/v1/tasks?tenant=a&limit=2")).body
        assert [task["id"] for task in first["tasks"]] == [made[6], made[4]]
        await api.call("POST", f"/v1/tasks/{made[4]}/cancel")
        assert (await api.call("DELETE", f"/v1/tasks/{made[4]}")).status == 200
        second = (await api.get(f"/v1/tasks?tenant=a&limit=2&cursor={first['next']}")).body
        assert [task["id"] for task in second["tasks"]] == [made[2], made[0]]
        last = (await api.get(f"/v1/tasks?tenant=a&limit=2&cursor={second['next']}")).body
        assert last == {"tasks": [], "next": None}


def test_a_cursor_is_a_place_and_nothing_else() -> None:
    place = Place(1767225600.123456, "1m81a1mspdg5213k")
    assert place_of(place_text(place)) == place
    for wrong in ("", "!", "é", "W10", "WzEsMl0", "W05hTiwieCJd", place_text(place)[:-2] + "e", "A" * 400):
        with pytest.raises(InvalidRequest, match="cursor"):
            place_of(wrong)


async def test_a_fork_is_queued_and_run_by_whoever_has_room(open_api: Open) -> None:
    engine = Simulator(VOTE)
    async with open_api(engine) as api:
        task = (await api.submit(tenant="a", wait=60, **EIGHT)).body
        calls, branch = engine.counters().started, await a_branch(api, task["id"])
    change = {"at": branch, "change": {"value": "The answer is \\boxed{54}"}}
    key = {"Idempotency-Key": "once"}
    async with open_api(engine, work=False) as api:  # this process only accepts it
        path = f"/v1/tasks/{task['id']}/fork"
        parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
        reply = await api.call("POST", path, json=change, headers={**key, "traceparent": parent})
        assert reply.status == 202
        fork = reply.body
        assert (await api.service.task(fork["id"])).trace_parent == parent
        assert reply.headers["Location"] == f"/v1/tasks/{fork['id']}"
        assert (fork["status"], fork["tenant"]) == ("queued", "a")
        assert (await api.call("POST", path, json=change, headers=key)).body == fork
        different = {"at": branch, "change": {"value": "The answer is \\boxed{1}"}}
        reply = await api.call("POST", path, json=different, headers=key)
        assert (reply.status, reply.error) == (409, "idempotency_conflict")
        needed = await api.call("DELETE", f"/v1/tasks/{task['id']}")
        assert (needed.status, needed.error) == (409, "illegal_transition")
        async with open_api(engine) as elsewhere:
            frames = [frame async for frame in api.frames(f"/v1/tasks/{fork['id']}/events")]
            assert frames[-1].event == "task_ended"
            assert frames[-1].data["status"] == "succeeded"
            assert engine.counters().started == calls  # all the rest was reused
            claims = {each["claim"] for each in frames[-1].data["solution"]["clusters"]}
            assert "54" in claims
            found = await elsewhere.get(f"/v1/tasks/{task['id']}/diff", params={"other": fork["id"]})
            assert found.status == 200
            assert branch in [node["path"] for node in found.body["nodes"]]
            assert found.body["same"] > 0
            same = await elsewhere.get(f"/v1/tasks/{task['id']}/diff", params={"other": task["id"]})
            assert same.body["nodes"] == []


async def test_what_if_is_told_from_the_trace_alone(open_api: Open) -> None:
    engine = Simulator(VOTE)
    async with open_api(engine) as api:
        task = (await api.submit(wait=60, **EIGHT)).body
        calls, branch = engine.counters().started, await a_branch(api, task["id"])
        path = f"/v1/tasks/{task['id']}/what-if"
        reply = await api.call("POST", path, json={"at": branch, "change": {"value": "\\boxed{54}"}})
        assert reply.status == 200
        assert reply.body["answer"] in ("42", "48")
        assert reply.body["outcome"] in ("answered", "undecided")
        assert 0 < reply.body["tokens"] <= reply.body["recorded_tokens"]
        reply = await api.call("POST", path, json={"at": branch, "change": {"temperature": 1.5}})
        assert (reply.status, reply.error) == (422, "unknown")
        assert engine.counters().started == calls
        assert len((await api.get("/v1/tasks")).body["tasks"]) == 1


@pytest.mark.parametrize("verb", ["fork", "what-if"])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"at": "99", "change": {"value": "x"}}, "no node '99'"),
        ({"at": "0", "change": {}}, "was given nothing"),
        ({"at": "0", "change": {"colour": "red"}}, "colour"),
        ({"at": "0"}, "change"),
        ({"at": "0", "change": {"value": "x"}, "more": 1}, "more"),
        ([], "object"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused(
    open_api: Open, verb: str, body: Any, says: str
) -> None:
    async with open_api() as api:
        task = (await api.submit(wait=60)).body["id"]
        reply = await api.call("POST", f"/v1/tasks/{task}/{verb}", json=body)
        assert (reply.status, reply.error) == (400, "invalid_request")
        assert says in reply.message
        assert len((await api.get("/v1/tasks")).body["tasks"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/fork", {"at": "0", "change": {"value": "x"}}),
        ("POST", "/what-if", {"at": "0", "change": {"value": "x"}}),
        ("GET", "/export", None),
        ("DELETE", "", None),
        ("GET", "/diff?other={own}", None),
    ],
)
async def test_a_foreign_task_is_not_found(
    open_api: Open, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with open_api() as api:
        foreign = (await api.submit(tenant="a", wait=60)).body["id"]
        own = (await api.submit(tenant="b", wait=60)).body["id"]
        for task in (foreign, "1m81a1mspdg5213k"):
            url = f"/v1/tasks/{task}{path.format(own=own)}"
            reply = await api.call(method, url, json=body, headers={"X-Tenant": "b"})
            assert (reply.status, reply.error) == (404, "task_not_found")
        diff = await api.get(f"/v1/tasks/{own}/diff?other={foreign}", headers={"X-Tenant": "b"})
        assert (diff.status, diff.error) == (404, "task_not_found")
        assert len((await api.get("/v1/tasks")).body["tasks"]) == 2


async def test_an_idempotency_key_stands_for_the_whole_request(open_api: Open) -> None:
    asked: dict[str, Any] = {"planner": "vote", "options": {"n": 4}, "seed": 1}
    async with open_api(work=False) as api:
        key = {"Idempotency-Key": "k"}
        first = await api.submit(headers=key, **asked)
        assert (await api.submit(headers=key, **asked)).body["id"] == first.body["id"]
        for changed in (
            {"seed": 2},
            {"options": {"n": 5}},
            {"context": "more"},
            {"choices": ["a", "b"]},
            {"sampling": {"temperature": 0.1}},
            {"budget": {"tokens": 5}},
            {"planner": "direct", "options": {}},
        ):
            reply = await api.submit(headers=key, **{**asked, **changed})
            assert (reply.status, reply.error) == (409, "idempotency_conflict"), changed
        racing = await asyncio.gather(*(api.submit(headers=key, **asked) for _ in range(8)))
        assert {reply.body["id"] for reply in racing} == {first.body["id"]}
