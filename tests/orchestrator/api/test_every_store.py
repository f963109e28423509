"""The life of a task over HTTP, on each kind of store."""

from __future__ import annotations

import asyncio

from tests.orchestrator.api.conftest import Open
from tests.orchestrator.api.test_all_events import Seen, follow
from tests.orchestrator.api.test_keeping import exported, imported
from tests.orchestrator.api.test_looking import EIGHT, VOTE, a_branch, listed
from tests.storage.conftest import postgres_server, running_postgres, store_url
from workers.engines.simulator.engine import Simulator

__all__ = ["postgres_server", "running_postgres", "store_url"]


async def test_a_task_is_followed_found_forked_moved_and_deleted(
    open_api: Open,
    store_url: str,
) -> None:
    async with open_api(Simulator(VOTE), url=store_url) as api:
        seen = Seen()
        task = (await api.submit(tenant="a", **EIGHT)).body["id"]
        path = f"/v1/tasks/{task}"
        whole = [frame async for frame in api.frames(f"{path}/events")]
        numbers = [frame.id for frame in whole if frame.id is not None]
        assert numbers == list(range(len(numbers)))
        stored = [frame for frame in whole if frame.id is not None]
        for number in numbers:  # who stopped anywhere gets exactly the rest
            rest = [
                frame async for frame in api.frames(f"{path}/events", headers={"Last-Event-ID": str(number)})
            ]
            assert rest == [*stored[number + 1 :], whole[-1]]

        change = {"at": await a_branch(api, task), "change": {"value": "The answer is \\boxed{54}"}}
        fork = (await api.call("POST", f"{path}/fork", json=change)).body["id"]
        async with asyncio.timeout(60):
            async for _ in follow(api, seen, **{"X-Tenant": "a"}):
                if seen.ended(fork, task):
                    break
        assert seen.events[task] == numbers
        assert seen.events[fork] == [event.seq async for event in api.service.store.read(fork)]
        assert await listed(api, tenant="a", planner="vote", text="what IS") == [fork, task]
        entropy = whole[-1].data["solution"]["entropy"]
        assert task in await listed(api, entropy_from=entropy, entropy_to=entropy)
        assert task not in await listed(api, entropy_from=entropy + 0.001)
        diff = await api.get(f"{path}/diff", params={"other": fork})
        assert (diff.status, diff.body["same"] > 0) == (200, True)

        data = await exported(api, fork)
        assert (await api.call("DELETE", f"/v1/tasks/{fork}")).status == 200
        assert await listed(api) == [task]
        assert (await imported(api, data)).status == 201
        assert await exported(api, fork) == data
        replay = await api.call("POST", f"/v1/tasks/{fork}/replay")
        assert replay.status == 200
        assert await listed(api, text="6 * 7", tenant="a") == [fork, task]
