"""Engines with several models: how they are named, and what a planner learns of them."""

from __future__ import annotations

import pytest

from orchestrator.engines import build_engine
from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.opening import open_store
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.simulator.engine import Simulator
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints
from workers.pool.member import Member
from workers.pool.pool import Pool


@planner("cascade")
async def cascade(run: Run, question: Question) -> Answer:
    """Ask the large model, if there is one."""
    role = "large" if "large" in run.capabilities.roles else "branch"
    return Answer((await run.generate(question.text, role=role)).text)


@pytest.mark.parametrize("large", [True, False])
async def test_a_planner_knows_the_roles_and_so_does_its_replay(large: bool) -> None:
    members = [Member(Simulator("small", name="a"))]
    if large:
        members.append(Member(Simulator("large", name="b"), roles=frozenset({"large"})))
    async with await open_store("memory") as store:
        pool = Pool(members)
        service = Service(store, pool, planners={"cascade": cascade})
        solution = await service.solve(TaskRequest(query="Who is there?", planner="cascade"))
        assert solution.answer == ("large" if large else "small")
        header = (await anext(store.read(solution.trace_id))).data
        # Journals that were written before there were roles must replay as well.
        assert header["capabilities"].get("roles") == (["large"] if large else None)
        replayed = await service.replay(solution.trace_id)
        assert replayed.result.answer is not None
        assert replayed.result.answer.text == solution.answer
        await pool.close()


def members_of(engine: str, **settings: str) -> list[tuple[str, str]]:
    """Names and roles of the replicas that a setting makes."""
    pool = build_engine(Settings.model_validate({"engine": engine, **settings}))
    assert isinstance(pool, Pool)
    return [(one.name, "+".join(one.roles)) for one in pool.snapshot().replicas]


def test_engines_are_named_with_their_roles_and_models() -> None:
    assert members_of("http://a/v1") == [("a:80", "")]
    assert members_of("http://a/v1, https://b/v1") == [("a:80", ""), ("b:443", "")]
    assert members_of("http://a:8000/v1,large+planner=big@https://b/v1") == [
        ("a:8000", ""),
        ("big@b:443", "large+planner"),
    ]
    assert members_of("large=Qwen/Qwen3-8B@http://a/v1,Qwen/Qwen3-0.6B@http://a/v1") == [
        ("Qwen/Qwen3-8B@a:80", "large"),
        ("Qwen/Qwen3-0.6B@a:80", ""),
    ]
    assert members_of("embedded,large=http://a/v1") == [("llama_cpp", ""), ("a:80", "large")]
    assert members_of("smollm2-135m@embedded,large=embedded") == [
        ("llama_cpp:smollm2-135m", ""),
        ("llama_cpp", "large"),
    ]
    assert members_of("http://user:secret@a/v1?role=x") == [("a:80", "")]
    # Two on one host are told apart.
    deployments = "https://r.openai.azure.com/openai/deployments"
    assert members_of(f"{deployments}/one?api-version=1,{deployments}/two/?api-version=1") == [
        ("r.openai.azure.com:443/openai/deployments/one", ""),
        ("r.openai.azure.com:443/openai/deployments/two", ""),
    ]
    assert members_of("https://openrouter.ai/api/v1/chat/completions") == [("openrouter.ai:443/api", "")]


async def test_the_query_and_the_headers_are_for_the_server_but_not_what_is_ours() -> None:
    given = "http://a/v1?kv_events=1&api-version=2026-01-01&kv_replay=2"
    pool = build_engine(Settings(engine=given, engine_headers={"X-Title": "mine"}))
    assert isinstance(pool, Pool)
    engine = pool._replicas[0].engine
    assert isinstance(engine, VLLMEngine)
    assert str(engine._openai._http.address.at("models")) == "http://a/v1/models?api-version=2026-01-01"
    assert engine._openai._http._headers["x-title"] == "mine"


def test_headers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_ENGINE_HEADERS", '{"X-Title": "mine"}')
    assert Settings.read().engine_headers == {"X-Title": "mine"}


def test_a_url_tells_where_kv_events_are_published() -> None:
    pool = build_engine(Settings(engine="http://a:8000/v1?kv_events=5557&kv_replay=5558,http://b/v1"))
    assert isinstance(pool, Pool)
    publishing, silent = (replica.engine for replica in pool._replicas)
    assert isinstance(publishing, VLLMEngine)
    assert publishing._kv_events == KVEndpoints("tcp://a:5557", "tcp://a:5558")
    assert isinstance(silent, VLLMEngine)
    assert silent.blocks is None


def test_the_embedded_engine_alone_is_no_pool() -> None:
    assert isinstance(build_engine(Settings(engine="embedded")), LlamaCppEngine)


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("magic", "no engine is called 'magic'; use embedded, vllm, or URLs"),
        ("http://a,", "an empty entry between commas"),
        ("http://a,http://a", "a name of its own"),
        ("large=", "no engine is called 'large='"),
        ("http://", "http://127.0.0.1:8000/v1"),
        ("http://a?kv_events=here", "'here'"),
    ],
)
def test_what_is_no_engine_is_told(engine: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        build_engine(Settings(engine=engine))


def test_an_error_about_an_engine_hides_its_password() -> None:
    with pytest.raises(InvalidRequest, match="http://\\*\\*\\*@host") as caught:
        build_engine(Settings.read(engine="http://me:secret@host,http://me:secret@host"))
    assert "secret" not in str(caught.value)
