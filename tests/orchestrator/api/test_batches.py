"""Files and batches, with OpenAI's own client over a real socket."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from orchestrator.api import batching
from orchestrator.batches import driving, working
from orchestrator.settings import Settings
from storage.accounts import Limits
from storage.batches import PART, File
from storage.keys import account_of_key
from storage.tasks import Priority, TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow
from workers.engines.simulator.engine import CostModel, Simulator

CHAT = "/v1/chat/completions"
Line = dict[str, Any]
T = TypeVar("T")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens now and then happens soon."""
    monkeypatch.setattr(driving, "NOTE_SECONDS", 0.05)
    monkeypatch.setattr(working, "LOOK_SECONDS", 0.1)


@asynccontextmanager
async def client(api: Api, key: str = "none", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    base = f"http://127.0.0.1:{api.port}/v1"
    async with AsyncOpenAI(api_key=key, base_url=base, max_retries=0, **options) as opened:
        yield opened


def line(custom_id: str, query: str = "What is 6 * 7?", *, url: str = CHAT, **body: Any) -> Line:
    if url == "/v1/tasks":
        asked = {"query": query, "planner": "direct", **body}
    elif url == "/v1/responses":
        asked = {"model": "anabranch/direct", "input": query, **body}
    elif url == "/v1/completions":
        asked = {"model": "anabranch/direct", "prompt": query, **body}
    else:
        asked = {"model": "anabranch/direct", "messages": [{"role": "user", "content": query}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": asked}


def written(*lines: Line | bytes) -> bytes:
    return b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in lines)


async def started(
    to: AsyncOpenAI, *lines: Line | bytes, endpoint: Any = CHAT, window: Any = "24h", **given: Any
) -> Batch:
    file = await to.files.create(file=("questions.jsonl", written(*lines)), purpose="batch")
    return await to.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window=window, **given
    )


async def until(
    to: AsyncOpenAI, batch_id: str, is_so: Callable[[Batch], bool] = lambda batch: ended(batch)
) -> Batch:
    async def look() -> Batch | None:
        batch = await to.batches.retrieve(batch_id)
        return batch if is_so(batch) else None

    return await found(look)


async def found(look: Callable[[], Awaitable[T | None]]) -> T:
    """What is there at last."""
    async with asyncio.timeout(60):
        while True:
            if (seen := await look()) is not None:
                return seen
            await asyncio.sleep(0.02)


async def asked(api: Api, least: int) -> set[str]:
    """The ids of the tasks of all lines, once there are so many."""

    async def look() -> set[str] | None:
        ids = {task.id for task in await api.service.store.list()}
        return ids if len(ids) >= least else None

    return await found(look)


async def all_ended(api: Api) -> bool:
    async def look() -> bool | None:
        tasks = await api.service.store.list()
        return all(task.status.terminal for task in tasks) or None

    return await found(look)


def ended(batch: Batch) -> bool:
    return batch.status in ("completed", "failed", "expired", "cancelled")


async def results(to: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    text = (await to.files.content(file_id)).text
    return [json.loads(each) for each in text.splitlines()]


def counts(batch: Batch) -> tuple[int, int, int]:
    assert batch.request_counts is not None
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


@pytest.mark.parametrize("endpoint", [CHAT, "/v1/completions", "/v1/responses", "/v1/tasks"])
async def test_a_file_of_lines_is_answered_line_by_line(api: Api, endpoint: str) -> None:
    async with client(api) as to:
        lines = [line(f"é {number}", url=endpoint) for number in range(5)]
        wrong = line("wrong", url=endpoint)
        wrong["body"]["temperature" if endpoint != "/v1/tasks" else "seed"] = "hot"
        made = await started(to, *lines[:3], wrong, *lines[3:], endpoint=endpoint, metadata={"for": "ü"})
        assert (made.status, made.object, made.endpoint) == ("validating", "batch", endpoint)
        batch = await until(to, made.id)
        assert (batch.status, counts(batch)) == ("completed", (6, 5, 1))
        assert batch.metadata == {"for": "ü"}
        assert batch.usage is not None
        assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
        times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
        assert times == sorted(times, key=lambda each: each or 0)
        found = await results(to, batch.output_file_id)
        assert [each["custom_id"] for each in found] == [each["custom_id"] for each in lines]
        assert all(each["error"] is None for each in found)
        assert {each["response"]["status_code"] for each in found} == {200}
        assert "42" in json.dumps(found[0]["response"]["body"])
        tasks = [each["response"]["request_id"] for each in found]
        assert len(set(tasks)) == 5
        [error] = await results(to, batch.error_file_id)
        assert (error["custom_id"], error["response"]["status_code"]) == ("wrong", 400)
        assert error["response"]["body"]["error"]["code"] == "invalid_request"
        for task_id in tasks:
            task = await api.service.task(task_id)
            assert task.priority is Priority.BATCH
            assert task.options["metadata"]["batch_id"] == batch.id
        if endpoint == "/v1/responses":
            kept = await to.responses.retrieve(found[0]["response"]["body"]["id"])
            assert "42" in kept.output_text


async def test_a_chat_completion_of_a_batch_is_one(api: Api) -> None:
    async with client(api) as to:
        batch = await until(to, (await started(to, line("a", seed=7, service_tier="flex"))).id)
        [found] = await results(to, batch.output_file_id)
        completion = openai.types.chat.ChatCompletion.model_validate(found["response"]["body"])
        assert completion.choices[0].message.content == "Six sevens are 42.\nAnswer: 42"
        assert completion.usage is not None
        assert completion.usage.completion_tokens > 0


async def test_files_are_kept_listed_and_deleted(api: Api) -> None:
    data = written(line("a"))
    async with client(api) as to:
        made = [
            await to.files.create(file=(f"{number} ü.jsonl", data), purpose="batch") for number in range(3)
        ]
        assert (made[0].bytes, made[0].filename, made[0].status) == (len(data), "0 ü.jsonl", "processed")
        assert await to.files.retrieve(made[0].id) == made[0]
        assert (await to.files.content(made[0].id)).content == data
        listed = [file.id async for file in to.files.list(limit=2)]
        assert listed == [file.id for file in reversed(made)]
        first = await to.files.list(limit=2, order="asc", purpose="batch")
        assert [file.id for file in first.data] == [file.id for file in made[:2]]
        assert first.has_more
        gone = await to.files.delete(made[0].id)
        assert (gone.id, gone.deleted) == (made[0].id, True)
        with pytest.raises(openai.NotFoundError):
            await to.files.retrieve(made[0].id)
        lasting = await to.files.create(
            file=("x.jsonl", data),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert lasting.expires_at == lasting.created_at + 3600


async def test_batches_are_listed_a_page_at_a_time(open_api: Open) -> None:
    async with open_api(work=False) as api, client(api) as to:
        made = [await started(to, line("a")) for _ in range(3)]
        page = await to.batches.list(limit=2)
        assert [each.id for each in page.data] == [made[2].id, made[1].id]
        assert page.has_more
        assert [each.id async for each in to.batches.list(limit=1)] == [each.id for each in reversed(made)]
        with pytest.raises(openai.ConflictError, match="needs file"):
            await to.files.delete(made[0].input_file_id)


@pytest.mark.parametrize(
    ("lines", "code", "number", "param", "message"),
    [
        ([], "empty_file", None, None, "has no lines"),
        ([b"\n \r\n"], "empty_file", None, None, "has no lines"),
        ([line("a"), b"{\n"], "invalid_line", 2, None, "not JSON"),
        ([b"\xef\xbb\xbf\r\n[]\r\n"], "invalid_line", 2, None, "must be an object"),
        ([b'{"a": 1, "a": 2}'], "invalid_line", 1, None, "given twice"),
        ([b"\xff\n"], "invalid_line", 1, None, "not UTF-8"),
        ([{**line("a"), "custom_id": 7}], "invalid_line", 1, "custom_id", "must be a text"),
        ([line("a"), line("b"), line("a")], "duplicate_custom_id", 3, "custom_id", "that of line 1"),
        ([{**line("a"), "method": "GET"}], "invalid_line", 1, "method", "'POST'"),
        ([line("a", url="/v1/tasks")], "invalid_line", 1, "url", "the endpoint of the batch"),
        ([{**line("a"), "body": []}], "invalid_line", 1, "body", "an object"),
        ([{**line("a"), "bdy": {}}], "invalid_line", 1, "bdy", "no member"),
        ([line("a", "x" * 3000)], "invalid_line", 1, None, "more than 2,000 bytes"),
        ([b"x" * 3000], "invalid_line", 1, None, "more than 2,000 bytes"),
        ([line(str(number)) for number in range(6)], "too_many_lines", 6, None, "at most 5 lines"),
    ],
)
async def test_a_file_with_a_wrong_line_fails_before_anything_is_asked(
    open_api: Open,
    lines: list[Any],
    code: str,
    number: int | None,
    param: str | None,
    message: str,
) -> None:
    settings = Settings(grace_seconds=0.2, max_body_bytes=2000, batch_lines=5)
    async with open_api(settings=settings) as api, client(api) as to:
        batch = await until(to, (await started(to, *lines)).id)
        assert batch.status == "failed"
        assert batch.failed_at is not None
        assert batch.errors is not None
        assert batch.errors.data is not None
        [error] = batch.errors.data
        assert (error.code, error.line, error.param) == (code, number, param)
        assert message in str(error.message)
        assert batch.output_file_id is None
        assert await api.service.store.list() == ()


async def test_what_makes_no_sense_in_a_batch_is_the_error_of_its_line(api: Api) -> None:
    lines = {
        "stream": line("stream", stream=True),
        "engine": {**line("engine"), "body": {**line("x")["body"], "model": "anabranch/engine"}},
        "nobody": {**line("nobody"), "body": {**line("x")["body"], "model": "anabranch/nobody"}},
        "tools": line("tools", tools=[{"type": "function", "function": {"name": "f"}}]),
        "silent": {**line("silent"), "body": {"model": "anabranch/direct", "messages": []}},
        "long": line("long", "x" * 3_000_000),
    }
    async with client(api) as to:
        batch = await until(to, (await started(to, *lines.values())).id)
        assert counts(batch) == (6, 0, 6)
        assert batch.output_file_id is None
        found = {each["custom_id"]: each["response"] for each in await results(to, batch.error_file_id)}
        said = {name: each["body"]["error"] for name, each in found.items()}
        assert said["stream"]["param"] == "stream"
        assert said["engine"]["param"] == "model"
        assert said["nobody"]["code"] == "model_not_found"
        assert found["nobody"]["status_code"] == 404
        assert said["tools"]["param"] == "tools"
        assert said["silent"]["param"] == "messages"
        assert said["long"]["param"] == "messages"
        assert await api.service.store.list() == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint: '/v1/embeddings' cannot be asked in a batch"),
        ({"window": "soon"}, "completion_window: 'soon' is none"),
        ({"window": "31d"}, "completion_window: '31d' is none"),
        ({"extra_body": {"output_expires_after": {}}}, "output_expires_after"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
    ],
)
async def test_a_batch_that_is_none_is_refused(api: Api, given: dict[str, Any], said: str) -> None:
    async with client(api) as to:
        with pytest.raises(openai.BadRequestError, match=said):
            await started(to, line("a"), **given)
        assert (await to.batches.list()).data == []


async def test_a_batch_needs_a_file_of_questions(api: Api) -> None:
    async with client(api) as to:
        batch = await until(to, (await started(to, line("a"))).id)
        for file_id in ("file-none", "\x00", batch.output_file_id):
            with pytest.raises(openai.BadRequestError, match="there is no file of questions"):
                await to.batches.create(
                    input_file_id=str(file_id), endpoint="/v1/responses", completion_window="24h"
                )


async def test_what_belongs_to_another_tenant_is_not_there(api: Api) -> None:
    mine, other = await api.key("a"), await api.key("b")
    async with client(api, mine) as to, client(api, other) as stranger:
        batch = await until(to, (await started(to, line("a"))).id)
        assert batch.output_file_id is not None
        for wanted in (
            stranger.batches.retrieve(batch.id),
            stranger.batches.cancel(batch.id),
            stranger.files.retrieve(batch.input_file_id),
            stranger.files.content(batch.output_file_id),
            stranger.files.delete(batch.output_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                await wanted
        with pytest.raises(openai.BadRequestError, match="there is no file of questions"):
            await stranger.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/responses", completion_window="24h"
            )
        assert (await stranger.batches.list()).data == []
        assert (await stranger.files.list()).data == []
        [found] = await results(to, batch.output_file_id)
        assert (await api.service.task(found["response"]["request_id"])).tenant == "a"


async def test_a_cancelled_batch_ends_soon_and_keeps_what_was_answered(open_api: Open) -> None:
    engine = Simulator({"slow": "word " * 50_000, "": "Answer: 42"}, cost=CostModel(decode_tokens_per_s=50))
    settings = Settings(grace_seconds=0.2, batch_width=2)
    async with open_api(engine, settings=settings) as api, client(api) as to:
        lines = [line("quick"), *(line(f"slow {number}", "slow") for number in range(5))]
        made = await started(to, *lines)
        await until(to, made.id, lambda batch: counts(batch)[1] == 1)
        cancelling = await to.batches.cancel(made.id)
        assert cancelling.status == "cancelling"
        batch = await until(to, made.id)
        assert (batch.status, counts(batch)) == ("cancelled", (6, 1, 5))
        assert batch.cancelling_at is not None
        [answered] = await results(to, batch.output_file_id)
        assert answered["custom_id"] == "quick"
        rest = await results(to, batch.error_file_id)
        assert [each["custom_id"] for each in rest] == [f"slow {number}" for number in range(5)]
        assert {each["error"]["code"] for each in rest} == {"batch_cancelled"}
        assert {each["response"] for each in rest} == {None}
        tasks = await api.service.store.list()
        assert {task.status for task in tasks} == {TaskStatus.SUCCEEDED, TaskStatus.CANCELLED}
        assert len(tasks) <= 4  # the others were never asked
        assert (await to.batches.cancel(made.id)).status == "cancelled"


async def test_a_batch_whose_time_is_over_expires(open_api: Open, tmp_path: Path) -> None:
    async with open_api(slow()) as api, client(api) as to:
        made = await started(to, line("a"), line("b"))
        await asked(api, 2)
        with closing(sqlite3.connect(tmp_path / "api.db", isolation_level=None)) as database:
            database.execute("UPDATE batches SET expires_at = created_at")
        batch = await until(to, made.id)
        assert (batch.status, counts(batch)) == ("expired", (2, 0, 2))
        codes = {each["error"]["code"] for each in await results(to, batch.error_file_id)}
        assert codes == {"batch_expired"}
        assert {task.status for task in await api.service.store.list()} == {TaskStatus.CANCELLED}


async def test_the_limits_of_the_key_count(open_api: Open) -> None:
    async with open_api() as api:
        key = await api.key("a", id="key-a")
        await api.service.store.access.set_limits(account_of_key("key-a"), Limits(concurrency=1))
        async with client(api, key) as to:
            batch = await until(to, (await started(to, *(line(str(each)) for each in range(4)))).id)
            assert (batch.status, counts(batch)) == ("completed", (4, 4, 0))
        tasks = await api.service.store.list()
        assert {task.submitted_by for task in tasks} == {"key-a"}
        ordered = sorted(tasks, key=lambda task: task.created_at)
        for before, after in pairwise(ordered):
            assert before.finished_at is not None
            assert before.finished_at <= after.created_at  # one at a time


async def test_a_budget_that_does_not_come_back_is_the_error_of_a_line(open_api: Open) -> None:
    async with open_api(settings=Settings(grace_seconds=0.2, batch_width=1)) as api:
        key = await api.key("a", id="key-a")
        await api.service.store.access.set_limits(account_of_key("key-a"), Limits(tokens=505))
        async with client(api, key) as to:
            lines = [line(each, anabranch={"budget": {"tokens": 500}}) for each in "ab"]
            batch = await until(to, (await started(to, *lines)).id)
            assert counts(batch) == (2, 1, 1)
            [error] = await results(to, batch.error_file_id)
            assert error["response"]["status_code"] == 429, error
            assert error["response"]["body"]["error"]["code"] == "quota_exhausted"


async def test_a_batch_ends_when_its_key_is_revoked(open_api: Open) -> None:
    settings = Settings(grace_seconds=0.2, lease_seconds=0.6)
    async with open_api(slow(), settings=settings) as api:
        key, other = await api.key("a", id="key-a"), await api.key("a", id="key-b")
        async with client(api, key) as to, client(api, other) as later:
            made = await started(to, line("a"))
            await until(to, made.id, lambda batch: batch.status == "in_progress")
            await api.service.store.access.revoke_key("key-a")
            assert (await until(later, made.id)).status == "cancelled"


async def test_a_batch_ends_when_its_key_expires(open_api: Open) -> None:
    settings = Settings(grace_seconds=0.2, lease_seconds=0.6)
    async with open_api(slow(), settings=settings) as api:
        key = await api.key("a", id="key-a", expires_at=time.time() + 4.0)
        other = await api.key("a", id="key-b")
        async with client(api, key) as to, client(api, other) as later:
            made = await started(to, line("a"))
            assert (await until(later, made.id)).status == "cancelled"


async def test_the_batches_of_one_tenant_do_not_hold_up_those_of_others(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "DRIVEN_OF_TENANT", 1)
    async with open_api(slow(), settings=Settings(grace_seconds=0.2)) as api:
        keys = await api.key("a"), await api.key("b")
        async with client(api, keys[0]) as one, client(api, keys[1]) as other:
            first, second = await started(one, line("a")), await started(one, line("b"))
            theirs = await started(other, line("c"))
            await until(other, theirs.id, lambda batch: batch.status == "in_progress")
            await until(one, first.id, lambda batch: batch.status == "in_progress")
            assert (await one.batches.retrieve(second.id)).status == "validating"
            await one.batches.cancel(first.id)
            await until(one, second.id, lambda batch: batch.status == "in_progress")


async def test_another_process_goes_on_with_a_batch(open_api: Open) -> None:
    lines = [line(f"{number}") for number in range(8)]
    async with open_api(work=False) as first, client(first) as to:
        made = await started(to, *lines)
        async with open_api(slow()) as second, client(second) as there:
            await until(there, made.id, lambda batch: batch.status == "in_progress")
            before = await asked(second, 1)
        async with open_api() as third, client(third) as there:
            batch = await until(there, made.id)
            assert (batch.status, counts(batch)) == ("completed", (8, 8, 0))
            found = await results(to, batch.output_file_id)
            assert [each["custom_id"] for each in found] == [each["custom_id"] for each in lines]
            after = {task.id for task in await third.service.store.list()}
            assert after == {each["response"]["request_id"] for each in found}
            assert before <= after


async def test_two_processes_share_the_work_of_a_batch(open_api: Open) -> None:
    engine = Simulator("Answer: 42", cost=CostModel(decode_tokens_per_s=20))
    settings = Settings(grace_seconds=0.2, concurrency=2)
    async with (
        open_api(engine, settings=settings) as one,
        open_api(engine, settings=settings) as other,
        client(one) as to,
        client(other) as there,
    ):
        made = await started(to, *(line(str(number)) for number in range(12)))
        batch = await until(there, made.id)
        assert counts(batch) == (12, 12, 0)
        assert sum(sum(each.service.ended.values()) for each in (one, other)) == 12


async def test_cancelling_stops_what_a_dead_process_has_asked(open_api: Open) -> None:
    async with open_api(work=False) as first, client(first) as to:
        made = await started(to, line("a"), line("b"))
        async with open_api(slow(), settings=Settings(grace_seconds=0.05)) as second, client(second) as there:
            await until(there, made.id, lambda batch: batch.status == "in_progress")
            await asked(second, 2)
        await to.batches.cancel(made.id)
        async with open_api(slow()) as third, client(third) as there:
            assert (await until(there, made.id)).status == "cancelled"
            assert await all_ended(third)


async def test_prunes_nothing_that_is_needed(api: Api) -> None:
    async with client(api) as to:
        batch = await until(to, (await started(to, line("a"))).id)
        assert await api.service.store.batches.prune() == 0
        assert await api.service.store.batches.prune(older_than=-1.0) == 3
        with pytest.raises(openai.NotFoundError):
            await to.batches.retrieve(batch.id)


def form(*parts: tuple[str, str | None, bytes]) -> dict[str, Any]:
    """The options by which a client sends a form."""
    lines = []
    for name, filename, data in parts:
        named = "" if filename is None else f'; filename="{filename}"'
        lines.append(f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data)
    body = b"\r\n".join([*lines, b"--x--\r\n"])
    return {"data": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


GOOD = (("file", "q.jsonl", b"{}\n"), ("purpose", None, b"batch"))


def with_headers(options: dict[str, Any], **headers: str) -> dict[str, Any]:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return {**options, "headers": {**options["headers"], **more}}


async def test_a_form_that_a_page_could_send_is_refused(open_api: Open) -> None:
    async with open_api(settings=Settings(allowed_origins=("https://good.example",))) as api:
        origin = f"http://127.0.0.1:{api.port}"
        good = form(*GOOD)
        for headers in (
            {},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "none"},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer"},
            {"Origin": "https://evil.example"},
            {"Origin": "https://evil.example", "Authorization": "Bearer x"},
            {"Sec_Fetch_Site": "cross-site", "X_API_Key": "x"},
        ):
            reply = await api.call("POST", "/v1/files", **with_headers(good, **headers))
            assert reply.status == 403, headers
            assert reply.body["error"]["code"] == "origin_not_allowed"
        for headers in (
            {"Authorization": "Bearer none"},
            {"X_API_Key": "none"},
            {"Origin": origin, "Authorization": "bearer none"},
            {"Origin": origin},
            {"Origin": "https://good.example"},
        ):
            reply = await api.call("POST", "/v1/files", **with_headers(good, **headers))
            assert reply.status == 200, headers
        for media in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            given = {"data": b"{}", "headers": {"Content-Type": media, "Authorization": "Bearer none"}}
            assert (await api.call("POST", "/v1/files", **given)).status == 415


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([GOOD[0]], "purpose: it must be batch"),
        ([GOOD[1]], "file: it is missing"),
        ([GOOD[0], ("purpose", None, b"fine-tune")], "purpose: it must be batch, not 'fine-tune'"),
        ([*GOOD, GOOD[0]], "file: it is given twice"),
        ([*GOOD, GOOD[1]], "purpose: it is given twice"),
        ([*GOOD, ("other", None, b"")], "other: the form has no such field"),
        ([GOOD[0], ("purpose", None, b"x" * 300)], "purpose: it has more than 255 bytes"),
        ([GOOD[0], ("purpose", None, b"\xff")], "purpose: it is not UTF-8"),
        ([*GOOD, ("expires_after[seconds]", None, b"3600")], "expires_after"),
        (
            [
                *GOOD,
                ("expires_after[anchor]", None, b"created_at"),
                ("expires_after[seconds]", None, b"nan"),
            ],
            "3600 to 2592000",
        ),
    ],
)
async def test_a_wrong_form_is_told_what_is_wrong(api: Api, parts: list[Any], said: str) -> None:
    reply = await api.call("POST", "/v1/files", **with_headers(form(*parts), Authorization="Bearer none"))
    assert reply.status == 400
    assert said in reply.body["error"]["message"]
    assert (await api.get("/v1/files")).body["data"] == []


@pytest.mark.parametrize(
    "data",
    [b"", b"--x", b"nothing", form(*GOOD)["data"][:-12], b"--x\r\nA: b\r\n\r\n\r\n--x--"],
    ids=["empty", "begun", "other", "cut", "nameless"],
)
async def test_what_is_no_form_is_refused(api: Api, data: bytes) -> None:
    given = with_headers({**form(), "data": data}, Authorization="Bearer none")
    reply = await api.call("POST", "/v1/files", **given)
    assert reply.status == 400
    assert (await api.get("/v1/files")).body["data"] == []


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-%d: y\r\n" % each for each in range(5_000)),
        b"X: " + b"y" * 100_000 + b"\r\n",
        b"no header\r\n",
        b'Content-Disposition: form-data; name="purpose"\r\nContent-Length: -1\r\n',
        b'Content-Disposition: form-data; name="purpose"\r\nContent-Length: x\r\n',
        b'Content-Disposition: form-data; name="purpose"\r\nContent-Transfer-Encoding: base64\r\n',
        b'Content-Disposition: form-data; name="purpose"\r\nContent-Type: multipart/mixed\r\n',
        b'Content-Disposition: form-data; name="purpose"\r\nContent-Type: multipart/mixed; boundary=y\r\n',
    ],
    ids=["many", "long", "none", "negative", "wordy", "encoded", "unbound", "nested"],
)
async def test_what_stands_before_a_part_is_refused_if_it_is_wrong(api: Api, head: bytes) -> None:
    data = b"--x\r\n" + head + b"\r\nbatch\r\n--x--\r\n"
    given = with_headers({**form(), "data": data}, Authorization="Bearer none")
    given["headers"]["Content-Type"] = "multipart/form-data; boundary=x"
    assert (await api.call("POST", "/v1/files", **given)).status == 400


async def test_a_file_that_goes_while_it_is_read_breaks_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(api) as to:
        file = await to.files.create(file=b"x" * (3 * PART), purpose="batch")
        store = api.service.store.batches
        read = store.read_file

        async def until_gone(known: File) -> AsyncGenerator[bytes, None]:
            async with aclosing(read(known)) as parts:  # type: ignore[type-var]
                yield await anext(parts)
            await store.remove_file(known.id, None)

        monkeypatch.setattr(store, "read_file", until_gone)
        with pytest.raises(aiohttp.ClientError):
            await api.get(f"/v1/files/{file.id}/content")


async def test_a_file_that_is_too_large_is_refused(open_api: Open, tmp_path: Path) -> None:
    settings = Settings(max_file_bytes=1000, tenant_file_bytes=1500)
    async with open_api(settings=settings) as api, client(api) as to:
        with pytest.raises(openai.APIStatusError, match="more than 1,000 bytes") as large:
            await to.files.create(file=b"x" * 1001, purpose="batch")
        assert large.value.status_code == 413
        await to.files.create(file=b"x" * 1000, purpose="batch")
        with pytest.raises(openai.RateLimitError, match="may have 1,500 bytes together"):
            await to.files.create(file=b"x" * 501, purpose="batch")
        assert len((await to.files.list()).data) == 1


def test_every_endpoint_is_a_route() -> None:
    from tests.orchestrator.api.conftest import ROUTES

    paths = {route.path for route in ROUTES if route.method == "POST"}
    assert {*batching.endpoints_of(None)} <= paths  # type: ignore[arg-type]
