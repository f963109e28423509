"""Spans of real runs, as a real collector gets them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from orchestrator.errors import HandedBack, InvalidRequest, TaskFailed
from orchestrator.opening import opened_service
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tracing import sending as sending_module
from orchestrator.tracing.sending import sending
from storage.conventions import SCHEMA_URL
from storage.opening import open_store
from storage.spans import spans
from storage.store import Store
from storage.trace import Trace
from tests.orchestrator.tracing.collector import Collector, attributes
from workers.calls import Call
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import application
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

PARENT = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
SECRET = "Who is the mole?"


class Gate:
    """A tool that the tests open, and that can be broken."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()
        self.broken = False

    def toolbox(self) -> Toolbox:
        async def gate(who: str) -> str:
            """Wait for the test."""
            self.asked.set()
            await self.opened.wait()
            if self.broken:
                raise ValueError(f"no way for {who}")
            return f"passed {who}"

        return Toolbox([tool(gate)])


@planner("joining")
async def joining(run: Run, question: Question) -> Answer:
    """Ask twice, join both, and pass a gate within a scope of its own."""
    first, second = run.generate(question.text), run.generate("And?", label="a private label")
    both = run.merge(lambda one, other: f"{one} {other}", first, second)
    await both

    async def inner(run: Run, who: str) -> str:
        return str(await run.tool("gate", {"who": who}))

    return Answer(await run.spawn(inner, "the mole"))


REQUEST = TaskRequest(query=SECRET, planner="joining", tenant="green")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(f"sqlite:///{tmp_path / 'tracing.db'}") as opened:
        yield opened


def service_of(store: Store, gate: Gate, tracing: Any = None, engine: Any = None) -> Service:
    engine = engine or Simulator("It is the mole.", model="m")
    settings = Settings(grace_seconds=0.2)
    return Service(
        store,
        engine,
        toolbox=gate.toolbox(),
        planners={"joining": joining},
        settings=settings,
        tracing=tracing,
    )


async def solved(
    store: Store, collector: Collector, *, content: bool = False, engine: Any = None
) -> list[Span]:
    """The spans of one run to its end."""
    gate = Gate()
    gate.opened.set()
    async with sending(content=content) as tracing:
        await service_of(store, gate, tracing, engine).solve(REQUEST)
    return collector.spans


async def test_spans_arrive_while_the_run_goes_on(store: Store, collector: Collector) -> None:
    gate = Gate()
    async with sending(content=False) as tracing:
        solving = asyncio.create_task(service_of(store, gate, tracing).solve(REQUEST))
        await gate.asked.wait()
        await collector.named("chat m", "merge")
        assert not any(span.name.startswith(("invoke_workflow", "plan")) for span in collector.spans)
        gate.opened.set()
        await solving
        await collector.named("execute_tool gate", "spawn", "plan joining", "invoke_workflow joining")


async def test_a_run_is_a_workflow_with_a_plan_of_chats_tools_and_joins(
    store: Store, collector: Collector
) -> None:
    told = await solved(store, collector)
    workflow, plan, merge, spawn, gate = await collector.named(
        "invoke_workflow joining", "plan joining", "merge", "spawn", "execute_tool gate"
    )
    chats = [span for span in told if span.name == "chat m"]
    assert len(told) == len(chats) + 5 == 7
    assert {span.trace_id for span in told} == {workflow.trace_id}
    assert len({span.span_id for span in told}) == len(told)
    assert workflow.parent_span_id == b""
    assert plan.parent_span_id == workflow.span_id
    assert {span.parent_span_id for span in (*chats, merge, spawn)} == {plan.span_id}
    assert gate.parent_span_id == spawn.span_id
    assert {link.span_id for link in merge.links} == {span.span_id for span in chats}
    assert {link.trace_id for link in merge.links} == {workflow.trace_id}
    assert {span.kind for span in chats} == {Span.SPAN_KIND_CLIENT}
    assert {span.kind for span in told if span not in chats} == {Span.SPAN_KIND_INTERNAL}
    assert attributes(workflow)["gen_ai.operation.name"] == "invoke_workflow"
    assert attributes(workflow)["gen_ai.agent.name"] == "joining"
    assert attributes(workflow)["anabranch.outcome"] == "answered"
    assert attributes(workflow)["anabranch.tenant"] == "green"
    assert attributes(plan)["gen_ai.operation.name"] == "plan"
    assert attributes(gate)["gen_ai.operation.name"] == "execute_tool"
    for chat in map(attributes, chats):
        assert chat["gen_ai.operation.name"] == "chat"
        assert chat["gen_ai.request.model"] == "m"
        assert chat["gen_ai.usage.input_tokens"] > 0
        assert chat["gen_ai.usage.output_tokens"] > 0
        assert chat["gen_ai.response.finish_reasons"] == ["stop"]
    for span in told:
        assert workflow.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= workflow.end_time_unix_nano
    assert attributes(collector.resources[0])["service.name"] == "anabranch"
    assert collector.schemas == {SCHEMA_URL}


async def test_what_is_sent_live_is_what_the_stored_trace_is_exported_as(
    store: Store, collector: Collector
) -> None:
    told = await solved(store, collector, content=True)
    [task] = await store.list()
    exported = spans(await Trace.read(store, task.id), content=True)
    [scope] = exported["resourceSpans"][0]["scopeSpans"]
    stored = {span["spanId"]: span for span in scope["spans"]}
    assert {span.span_id.hex() for span in told} == set(stored)
    for live in told:
        other = stored[live.span_id.hex()]
        assert live.name == other["name"]
        assert live.trace_id.hex() == other["traceId"]
        assert live.parent_span_id.hex() == other.get("parentSpanId", "")
        assert [link.span_id.hex() for link in live.links] == [link["spanId"] for link in other["links"]]
        assert set(attributes(live)) == {each["key"] for each in other["attributes"]}
        if not live.name.startswith("invoke_workflow"):  # how long storing took is not in the journal
            assert live.start_time_unix_nano == int(other["startTimeUnixNano"])
            assert live.end_time_unix_nano == int(other["endTimeUnixNano"])


async def test_content_is_told_only_if_it_is_asked_for(store: Store, collector: Collector) -> None:
    await solved(store, collector)
    discreet = b"".join(collector.bodies)
    assert discreet
    for text in (SECRET, "the mole", "And?", "private label", "passed"):
        assert text.encode() not in discreet
    collector.spans.clear()
    await solved(store, collector, content=True)
    workflow, gate = await collector.named("invoke_workflow joining", "execute_tool gate")
    [asked] = json.loads(attributes(workflow)["gen_ai.input.messages"])
    assert asked["parts"][0]["content"] == SECRET
    assert json.loads(attributes(gate)["gen_ai.tool.call.arguments"]) == {"who": "the mole"}
    assert b"private label" in b"".join(collector.bodies)


async def test_redacted_content_is_told_as_it_is_stored(tmp_path: Path, collector: Collector) -> None:
    url = f"sqlite:///{tmp_path / 'redacted.db'}"
    async with await open_store(url, redact=lambda text: text.replace("mole", "***")) as store:
        await solved(store, collector, content=True)
    told = b"".join(collector.bodies)
    assert b"Who is the ***?" in told
    assert b"mole" not in told


async def test_what_fails_is_an_error_with_its_code(store: Store, collector: Collector) -> None:
    gate = Gate()
    gate.opened.set()
    gate.broken = True
    async with sending(content=False) as tracing:
        with pytest.raises(TaskFailed):
            await service_of(store, gate, tracing).solve(REQUEST)
    failed = await collector.named("execute_tool gate", "spawn", "plan joining", "invoke_workflow joining")
    for span in failed:
        assert span.status.code == 2
        assert attributes(span)["error.type"] == "tool_error"
    assert b"no way" not in b"".join(collector.bodies)


async def test_a_task_goes_on_in_another_process_within_the_same_trace(
    store: Store, collector: Collector
) -> None:
    gate = Gate()
    async with sending(content=False) as tracing:
        first = service_of(store, gate, tracing)
        new = first.check(REQUEST)
        running = asyncio.create_task(first.run_new(new))
        await gate.asked.wait()
        first.hand_back()
        with suppress(HandedBack):
            await running
    assert not any(span.name == "plan joining" for span in collector.spans)
    chats = [span for span in collector.spans if span.name == "chat m"]
    assert len(chats) == 2
    gate.opened.set()
    async with sending(content=False) as tracing:
        second = service_of(store, gate, tracing)
        async with second.working():
            await collector.named("invoke_workflow joining")
    told = collector.spans
    assert len({span.span_id for span in told}) == len(told) == 7  # none twice, though the run was repeated
    ids = {span.span_id for span in told}
    assert {span.parent_span_id for span in told} <= ids | {b""}
    assert all(link.span_id in ids for span in told for link in span.links)
    assert len({span.trace_id for span in told}) == 1


async def test_the_caller_s_span_is_the_parent_whichever_process_runs_the_task(
    store: Store, collector: Collector
) -> None:
    gate = Gate()
    gate.opened.set()
    task = await service_of(store, gate).submit(REQUEST, trace_parent=PARENT)  # it sends no spans itself
    async with sending(content=False) as tracing, service_of(store, gate, tracing).working():
        [workflow] = await collector.named("invoke_workflow joining")
    assert workflow.trace_id.hex() == "ab" * 16
    assert workflow.parent_span_id.hex() == "cd" * 8
    assert {span.trace_id.hex() for span in collector.spans} == {"ab" * 16}
    again = await service_of(store, gate).submit(REQUEST, trace_parent=PARENT)
    assert again.id != task.id


async def test_another_parent_is_no_other_request(store: Store) -> None:
    service = service_of(store, Gate())
    request = REQUEST.model_copy(update={"idempotency_key": "k"})
    first = await service.submit(request, trace_parent=PARENT)
    second = await service.submit(request, trace_parent=PARENT.replace("cd", "ef"))
    assert (second.id, second.trace_parent) == (first.id, PARENT)


async def test_what_the_caller_does_not_record_is_not_recorded(store: Store, collector: Collector) -> None:
    gate = Gate()
    gate.opened.set()
    async with sending(content=False) as tracing:
        service = service_of(store, gate, tracing)
        async with service.working():
            await service.submit(REQUEST, trace_parent=PARENT[:-2] + "00")
            await service.submit(REQUEST)
            await collector.named("invoke_workflow joining")
            await service.idle()
    assert "ab" * 16 not in {span.trace_id.hex() for span in collector.spans}
    assert len(collector.spans) == 7


async def test_sampling_leaves_out_whole_runs(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert await solved(store, collector) == []


async def test_an_engine_learns_which_span_a_call_belongs_to(store: Store, collector: Collector) -> None:
    seen: list[str | None] = []

    @web.middleware
    async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST":
            seen.append(request.headers.get("traceparent"))
        return await handler(request)

    app = application(Simulator("It is the mole.", model="m"))
    app.middlewares.append(noting)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    engine = OpenAIEngine(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
    try:
        await engine.capabilities()
        seen.clear()
        told = await solved(store, collector, engine=engine)
        chats = [span for span in told if span.name == "chat m"]
        expected = {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in chats}
        assert {each for each in seen if each} == expected
        gate = Gate()
        gate.opened.set()
        seen.clear()
        await service_of(store, gate, engine=engine).solve(REQUEST)
        assert set(seen) == {None}  # nothing is told where nothing is recorded
    finally:
        await engine.close()
        await runner.cleanup()


async def test_a_collector_that_is_down_costs_a_warning(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setattr(sending_module, "CLOSING_SECONDS", 3600.0)
    gate = Gate()
    gate.opened.set()
    with capture_logs() as lines:
        async with sending(content=False) as tracing:
            service = service_of(store, gate, tracing)
            for _ in range(3):
                await service.solve(REQUEST)
    [told] = [line for line in lines if line["event"] == "spans cannot be sent"]
    assert told["log_level"] == "warning"
    assert "127.0.0.1" in told["error"]


async def test_a_collector_that_never_answers_is_not_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    talking: list[asyncio.StreamWriter] = []
    hung = await asyncio.start_server(lambda reader, writer: talking.append(writer), "127.0.0.1", 0)
    port = hung.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(sending_module, "CLOSING_SECONDS", 0.05)
    gate = Gate()
    gate.opened.set()
    async with sending(content=False) as tracing:
        await service_of(store, gate, tracing).solve(REQUEST)
    hung.close()  # the time-out of the exporter is ten seconds; that it has not passed is the point
    for each in talking:
        each.transport.abort()


async def test_a_run_survives_spans_that_cannot_be_made(store: Store) -> None:
    class Broken:
        def wants(self, conventions: object) -> bool:
            return True

        def send(self, span: object) -> None:
            raise RuntimeError("no span today")

        def caller(self) -> None:
            return None

    from orchestrator.tracing.live import Tracing

    gate = Gate()
    gate.opened.set()
    solution = await service_of(store, gate, Tracing(Broken())).solve(REQUEST)
    assert solution.answer == "passed the mole"


async def test_the_setting_opens_it_and_the_sdk_s_span_is_the_parent(collector: Collector) -> None:
    from opentelemetry import trace

    gate = Gate()
    gate.opened.set()
    settings = Settings(database="memory", otel=True)
    context = trace.SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), False, trace.TraceFlags(1))
    engine = Simulator("It is the mole.", model="m")
    async with opened_service(
        settings, gate.toolbox(), engine=engine, planners={"joining": joining}
    ) as service:
        with trace.use_span(trace.NonRecordingSpan(context)):
            await service.solve(REQUEST)
    [workflow] = await collector.named("invoke_workflow joining")
    assert workflow.trace_id.hex() == "ab" * 16
    assert workflow.parent_span_id.hex() == "cd" * 8


async def test_without_the_packages_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orchestrator.tracing.sending", None)
    settings = Settings(database="memory", otel=True)
    with pytest.raises(InvalidRequest, match=r"pip install 'anabranch\[otel\]'"):
        async with opened_service(settings, Toolbox(), engine=Simulator()):
            pass


async def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(InvalidRequest, match=r"OTEL_"):
        async with opened_service(Settings(database="memory", otel=True), Toolbox(), engine=Simulator()):
            pass


def test_nothing_is_loaded_while_it_is_off() -> None:
    program = "import sys, orchestrator.opening, orchestrator.api.server; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "orchestrator.tracing.live" in loaded
    assert not [name for name in loaded if name.startswith(("opentelemetry", "requests"))]


def test_a_call_is_the_same_whatever_span_it_belongs_to() -> None:
    from workers.calls import Prompt

    assert Call(Prompt(()), traceparent=PARENT) == Call(Prompt(()))
