"""The front door: what a script, a notebook and an async program import."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import anabranch
from anabranch import (
    Answer,
    Change,
    Client,
    Conflict,
    Divergence,
    Event,
    InvalidRequest,
    Progress,
    Question,
    Run,
    Solution,
    TaskFailed,
    TaskNotFound,
    Unavailable,
    Unknown,
    UnknownPlanner,
    planner,
    tool,
)
from storage.opening import open_store
from storage.tasks import TaskStatus
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.engines.simulator.server import serving

CLIPS: dict[str, str | dict[str, float]] = {
    "clips": {"It is \\boxed{72}": 3, "It is \\boxed{96}": 1},
    "Reply with": '"ok"',
    "": "ok",
}


@tool
def double(x: int) -> int:
    """Twice x."""
    return 2 * x


@planner("doubling")
async def doubling(run: Run, question: Question, *, times: int = 1) -> Answer:
    """Ask for nothing and double."""
    value = 1
    for _ in range(times):
        value = await run.tool("double", {"x": value})
    return Answer(f"{question.text} {value}", str(value))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    url = f"sqlite:///{tmp_path / 'traces.db'}"
    with Client(engine=Simulator(CLIPS), database=url, tools=[double], planners=[doubling]) as opened:
        yield opened


def test_solve_from_a_script(client: Client) -> None:
    solution = client.solve("How many clips?", planner="vote", options={"n": 8}, seed=1)
    assert isinstance(solution, Solution)
    assert str(solution) == solution.answer == "72"
    assert solution.clusters[0].claim == "72"
    assert solution.usage.calls >= 3
    assert solution.timings.run > 0
    trace = client.trace(solution.trace_id)
    assert trace.task.id == solution.trace_id
    assert trace.nodes[0].kind == "vote"
    replayed = client.replay(solution.trace_id)
    assert replayed.result.answer is not None
    assert replayed.result.answer.claim == "72"


def test_a_run_is_forked_and_compared(client: Client) -> None:
    before = client.solve("How many clips?", planner="vote", options={"n": 8, "rule": "fixed"}, seed=1)
    after = client.fork(before.trace_id, at="0.1", change={"value": "It is \\boxed{5}"})
    assert "5" in {cluster.claim for cluster in after.clusters}
    assert after.usage.calls == 0
    difference = client.difference(before.trace_id, after.trace_id)
    assert "0.1" in [node.path for node in difference.nodes]
    thrifty = client.counterfactual(before.trace_id, at="0", change=Change(rule="beta:0.6"))
    assert thrifty.tokens < thrifty.recorded_tokens
    with pytest.raises(Unknown, match="no result"):
        client.counterfactual(before.trace_id, at="0.0", change=Change(temperature=0.1))
    with pytest.raises(InvalidRequest, match="heat"):
        client.fork(before.trace_id, at="0.0", change={"heat": 1})


def test_a_question_comes_after_a_conversation_and_is_answered_in_a_form(client: Client) -> None:
    solution = client.solve(
        "And in JSON?",
        planner="direct",
        history=[{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "Many."}],
        format={"type": "json_schema", "schema": {"type": "string"}},
        metadata={"ticket": "17"},
        priority="batch",
        deadline=3600,
    )
    assert solution.text == '"ok"'
    (asked, *_) = client.trace(solution.trace_id).nodes
    assert "Many." in str(asked.request)
    with pytest.raises(InvalidRequest, match="history"):
        client.solve("?", history=[{"role": "nobody", "content": "?"}])


async def test_a_stream_under_a_used_key_tells_of_the_first_task(client: Client) -> None:
    first = await client.asolve("How many clips?", planner="vote", idempotency_key="order-18")
    items = [
        item async for item in client.stream("How many clips?", planner="vote", idempotency_key="order-18")
    ]
    assert isinstance(items[0], Event)
    assert items[-1] == first


async def test_solve_from_async_code(client: Client) -> None:
    both = await asyncio.gather(
        client.asolve("How many clips?", planner="vote"), client.asolve("clips", planner="direct")
    )
    assert [solution.planner for solution in both] == ["vote", "direct"]


NOTEBOOK = """
import asyncio
from anabranch import Client
from workers.engines.simulator.engine import Simulator

async def cell():
    with Client(engine=Simulator("Answer: 391"), database="memory") as client:
        print(client.solve("What is 17 * 23?", planner="direct").answer)

asyncio.run(cell())
"""


def test_sync_solve_works_where_a_loop_runs_already() -> None:
    """In a process of its own, because blocking the loop is what it does, as in a notebook's cell."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", NOTEBOOK], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("391\n", "")


DEFAULT = """
from anabranch import TaskFailed, solve

try:
    solve("What is 17 * 23?", planner="direct")
except TaskFailed as error:
    print(error.code)
"""
UNCLOSED = """
from anabranch import Client
from workers.engines.simulator.engine import Simulator

client = Client(engine=Simulator("Answer: 391"))
print(client.solve("What is 17 * 23?", planner="direct").answer)
"""


@pytest.mark.parametrize(("script", "says"), [(DEFAULT, "engine_unavailable\n"), (UNCLOSED, "391\n")])
def test_a_program_that_closes_nothing_ends_cleanly(tmp_path: Path, script: str, says: str) -> None:
    """Threads are needed to close a SQLite file, and the interpreter stops them before ``atexit``."""
    given = {
        "ANABRANCH_DATABASE": f"sqlite:///{tmp_path / 'traces.db'}",
        "ANABRANCH_ENGINE": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **given})
    assert (done.returncode, done.stdout, done.stderr) == (0, says, "")


async def test_stream_gives_events_and_last_the_solution(client: Client) -> None:
    items = [item async for item in client.stream("How many clips?", planner="vote")]
    events = [item for item in items if isinstance(item, Event)]
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(items[-1], Solution)
    assert items[-1].answer == "72"


@pytest.fixture
def slow_engine() -> Simulator:
    """Takes a minute for a call."""
    return Simulator("word " * 500, cost=CostModel(decode_tokens_per_s=8))


@pytest.fixture
def slow_client(slow_engine: Simulator, tmp_path: Path) -> Iterator[Client]:
    with Client(engine=slow_engine, database=f"sqlite:///{tmp_path / 'slow.db'}") as opened:
        yield opened


async def test_leaving_a_stream_cancels_the_task(slow_client: Client, slow_engine: Simulator) -> None:
    items = slow_client.stream("Anything.", planner="vote")
    async for item in items:
        if isinstance(item, Progress):
            break
    await items.aclose()
    counters = slow_engine.counters()
    assert counters.in_flight == 0
    assert counters.aborted == counters.started > 0


async def test_cancelling_asolve_cancels_the_task(slow_client: Client, slow_engine: Simulator) -> None:
    solving = asyncio.create_task(slow_client.asolve("Anything.", planner="direct"))
    await _until(lambda: slow_engine.counters().in_flight == 1)
    solving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await solving
    await _until(lambda: slow_engine.counters().in_flight == 0)


async def _until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """The simulator lives in the client's loop, so that there is no event to wait for in this one."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_planners_and_tools_of_a_program(client: Client) -> None:
    solution = client.solve("Double:", planner="doubling", options={"times": 5})
    assert (solution.answer, solution.text) == ("32", "Double: 32")

    @planner("shouting")
    async def shouting(run: Run, question: Question) -> Answer:
        return Answer(question.text.upper())

    said = client.solve("hello", planner=shouting)
    assert said.answer == "HELLO"
    assert client.replay(said.trace_id).result.answer == Answer("HELLO")


def test_a_changed_planner_diverges_and_names_the_node(client: Client) -> None:
    def version(label: str) -> anabranch.Planner:
        @planner("versioned")
        async def versioned(run: Run, question: Question) -> Answer:
            return Answer((await run.generate("clips", label=label)).text)

        return versioned

    solution = client.solve("x", planner=version("first"))
    client.solve("y", planner=version("second"))
    with pytest.raises(Divergence, match=r'node 0 diverges .*"first"'):
        client.replay(solution.trace_id)


def test_errors_are_typed(tmp_path: Path, client: Client) -> None:
    with pytest.raises(InvalidRequest, match="query"):
        client.solve("")
    with pytest.raises(InvalidRequest, match="200000"):
        client.solve("x" * 1_000_000, planner="direct")
    with pytest.raises(InvalidRequest, match=r"budget\.tokens"):
        client.solve("x", planner="direct", budget={"tokens": 0})
    with pytest.raises(UnknownPlanner, match="did you mean vote"):
        client.solve("x", planner="vot")
    with pytest.raises(TaskNotFound):
        client.trace("nothing")
    with pytest.raises(TaskNotFound):
        client.replay("nothing")
    (tmp_path / "file").touch()
    with Client(engine=Simulator(), database=f"sqlite:///{tmp_path / 'file' / 'a.db'}") as broken:
        with pytest.raises(Unavailable) as unavailable:
            broken.solve("x", planner="direct")
        assert unavailable.value.code == "storage_not_writable"


def test_an_engine_that_cannot_be_built_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.vllm.launch.default_directory", lambda: tmp_path)
    with Client(engine="vllm", database="memory") as client, pytest.raises(Unavailable) as unavailable:
        client.solve("x", planner="direct")
    assert unavailable.value.code == "model_unavailable"


async def test_what_runs_when_a_client_is_closed_fails_and_is_stored(tmp_path: Path) -> None:
    """Its caller learns of it, and no other process takes the task over."""
    database = f"sqlite:///{tmp_path / 'closed.db'}"
    slow = Simulator("word " * 4_000, cost=CostModel(decode_tokens_per_s=50))
    async with serving(slow) as url:
        client = await asyncio.to_thread(Client, engine=url, database=database)
        solving = asyncio.create_task(asyncio.to_thread(client.solve, "x", planner="direct"))
        await asyncio.to_thread(_wait_until, lambda: slow.counters().in_flight == 1)
        await asyncio.to_thread(client.close)
        with pytest.raises((TaskFailed, Unavailable)):
            await asyncio.wait_for(solving, 60)
    async with await open_store(database) as store:
        (task,) = await store.list()
    assert task.status is TaskStatus.FAILED
    assert (task.error or {})["code"] in (
        "engine_interrupted",
        "engine_unavailable",
    )  # after a token, or before


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_with_an_engine_of_the_caller_cancels_what_runs_when_it_is_closed(
    tmp_path: Path, slow_engine: Simulator, streaming: bool, caplog: pytest.LogCaptureFixture
) -> None:
    database = f"sqlite:///{tmp_path / 'closed.db'}"
    client = await asyncio.to_thread(Client, engine=slow_engine, database=database)

    async def ask() -> None:
        if streaming:
            async for _ in client.stream("x", planner="vote"):
                pass
        else:
            await client.asolve("x", planner="vote")

    asking = asyncio.create_task(ask())
    await _until(lambda: slow_engine.counters().in_flight > 0)
    await asyncio.to_thread(client.close)
    with pytest.raises((TaskFailed, Unavailable)):
        await asyncio.wait_for(asking, 60)
    async with await open_store(database) as store:
        (task,) = await store.list()
    assert task.status is TaskStatus.CANCELLED
    assert slow_engine.counters().in_flight == 0
    assert caplog.records == []


async def test_a_stream_that_nobody_reads_ends_with_its_client(
    tmp_path: Path, slow_engine: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    database = f"sqlite:///{tmp_path / 'closed.db'}"
    client = await asyncio.to_thread(Client, engine=slow_engine, database=database)
    items = client.stream("x", planner="vote")
    await anext(items)
    before = _threads()
    await asyncio.to_thread(client.close)
    with pytest.raises(Unavailable, match="the client was closed") as closed:
        await anext(items)
    assert closed.value.code == "client_closed"
    for thread in before:
        await asyncio.to_thread(thread.join, 60)
    assert slow_engine.counters().in_flight == 0
    assert caplog.records == []


def _wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_failed_task_raises_the_code_of_its_cause() -> None:
    with Client(engine=Simulator(faults=[Fault(kind="refuse")]), database="memory") as client:
        with pytest.raises(TaskFailed) as failed:
            client.solve("x", planner="direct")
        assert failed.value.code == "engine_unavailable"
        assert client.trace(failed.value.task_id).outcome == "failed"
        with pytest.raises(InvalidRequest):
            client.solve("x", planner="direct", options={"n": 1})


def test_a_task_that_never_ran_has_nothing_to_replay() -> None:
    engine = Simulator()
    engine.kill()
    with Client(engine=engine, database="memory") as client:
        with pytest.raises(TaskFailed) as failed:
            client.solve("x", planner="direct")
        with pytest.raises(Conflict, match="no complete run"):
            client.replay(failed.value.task_id)


def test_many_threads_may_share_a_client(client: Client) -> None:
    answers: list[str] = []

    def ask() -> None:
        answers.append(client.solve("How many clips?", planner="vote").answer)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["72"] * 8


def test_a_closed_client_leaves_no_thread_behind() -> None:
    client = Client(engine=Simulator(), database="memory")
    client.close()  # nothing was opened
    with client:
        before = _threads()
        client.solve("x", planner="direct")
        (own,) = _threads() - before
    own.join(timeout=60)
    assert not own.is_alive()


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "anabranch"}


def test_an_engine_of_the_caller_is_left_open() -> None:
    engine = Simulator()
    with Client(engine=engine, database="memory") as client:
        client.solve("x", planner="direct")
    with Client(engine=engine, database="memory") as client:
        assert client.solve("x", planner="direct").answer == "ok"


def test_the_front_door_only_opens_what_it_names() -> None:
    public = {name for name in vars(anabranch) if not name.startswith("_")}
    assert {"solve", "asolve", "stream", "Client", "planner", "tool", "Run", "Answer", "Question"} <= public
    assert all(hasattr(anabranch, name) for name in public)


def test_a_bound_that_is_none_and_a_wrong_setting_are_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match=r"budget\.seconds: Input should be a finite number"):
        client.solve("How many clips?", budget={"seconds": float("inf")})
    monkeypatch.setenv("ANABRANCH_LEASE_SECONDS", "inf")
    with pytest.raises(InvalidRequest, match="lease_seconds: Input should be a finite number"):
        Client(engine=Simulator(CLIPS))
