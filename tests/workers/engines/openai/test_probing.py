from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from tests.workers.engines.openai.harness import (
    ask,
    connected,
)
from tests.workers.engines.raw_server import (
    raw_server,
    respond,
)
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving
from workers.errors import (
    EngineFailed,
    ModelUnavailable,
    QuotaExhausted,
)
from workers.functions import Function

LOOKUP = Function("lookup", "d", {})


async def test_the_probe_finds_what_the_simulator_can() -> None:
    async with serving(Simulator(model="sim-model", max_model_len=4096)) as url, connected(url) as engine:
        assert await engine.capabilities() == Capabilities(
            model="sim-model",
            max_model_len=4096,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
            function_calls=True,
        )


async def test_a_server_that_ignores_what_it_does_not_know_has_no_capabilities_and_the_log_says_why() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        with structlog.testing.capture_logs() as logs:
            assert await engine.capabilities() == Capabilities(model="raw")
    missing = {entry["capability"] for entry in logs if entry["action"] == "capability_missing"}
    assert missing == {
        "cached_token_usage",
        "logprobs",
        "guided_json",
        "function_calls",
        "assistant_prefill",
        "cache_salt",
        "priority",
        "token_ids_in",
        "token_ids_out",
    }


def capable(body: Any) -> bytes:
    """A server that can everything, continues a message without flags, counts like SGLang."""
    prompt = 60
    if "continue_final_message" in body:
        return respond("400 Bad Request", {"error": {"message": "unknown field"}})
    if body["messages"][-1]["role"] == "assistant":
        prompt += 1
    if isinstance(body.get("priority", 0), str) or isinstance(body.get("cache_salt", ""), int):
        return respond("422 Unprocessable Entity", {"detail": [{"loc": ["body", "priority"], "msg": "no"}]})
    content = '{"probe": "kiwi"}' if "response_format" in body else "1"
    choice: dict[str, Any] = {"message": {"content": content}}
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "1", "logprob": -0.5, "top_logprobs": []}]}
    cached = 0 if "cache_salt" in body else 48
    usage = {"prompt_tokens": prompt, "prompt_tokens_details": {"cached_tokens": cached}}
    return respond("200 OK", {"choices": [choice], "usage": usage})


async def test_the_probe_finds_everything_where_there_is_everything() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.whole = capable
        server.get = lambda _: respond("200 OK", {"data": [{"id": "m", "owned_by": "sglang"}]})
        can = await engine.capabilities()
        assert can == Capabilities(
            model="m",
            logprobs=True,
            guided_json=True,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
        )


@pytest.mark.parametrize(
    ("owner", "plugged", "found"), [("vllm", True, True), ("vllm", False, False), ("x", True, False)]
)
async def test_only_a_vllm_that_refuses_a_wrong_code_draws_by_codes(
    owner: str, plugged: bool, found: bool
) -> None:
    def say(body: Any) -> bytes:
        if plugged and "vllm_xargs" in body:
            return respond("400 Bad Request", {"error": {"message": "arithmetic_code must be below 1"}})
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = say
        server.get = lambda _: respond("200 OK", {"data": [{"id": "m", "owned_by": owner}]})
        assert (await engine.capabilities()).arithmetic_sampling is found


async def test_a_salt_that_does_not_keep_the_cache_apart_does_not_count() -> None:
    def leaky(body: Any) -> bytes:
        if isinstance(body.get("cache_salt"), str):
            return capable({key: body[key] for key in body if key != "cache_salt"})
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = leaky
        assert not (await engine.capabilities()).cache_salt


async def test_concurrent_callers_share_one_probe_and_one_that_leaves_does_not_stop_it() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        callers = [asyncio.ensure_future(engine.capabilities()) for _ in range(5)]
        await asyncio.sleep(0)
        callers[0].cancel()
        results = await asyncio.gather(*callers[1:])
        assert {result.model for result in results} == {"raw"}
        assert server.paths.count("/v1/models") == 1
        await engine.capabilities()
        assert server.paths.count("/v1/models") == 1


async def test_a_probe_that_failed_is_made_again() -> None:
    simulator = Simulator()
    async with serving(simulator) as url, connected(url) as engine:
        simulator.kill("power is off")
        with pytest.raises(EngineFailed, match="power is off"):
            await engine.capabilities()
        simulator.revive()
        assert (await engine.capabilities()).priority


async def test_the_model_must_be_there() -> None:
    async with serving(Simulator(model="this")) as url:
        async with connected(url, model="that") as engine:
            with pytest.raises(ModelUnavailable, match=r"no model 'that'.*'this'"):
                await engine.capabilities()
        async with connected(url, model="this") as engine:
            assert (await engine.capabilities()).model == "this"


async def test_a_server_without_a_list_of_models_is_taken_at_its_word() -> None:
    async with raw_server() as server:
        server.get = lambda _: respond("404 Not Found", {"error": {"message": "no such path"}})
        async with connected(server.url, model="hidden") as engine:
            assert (await engine.capabilities()).model == "hidden"
        async with connected(server.url) as engine:
            with pytest.raises(ModelUnavailable, match="no such path"):
                await engine.capabilities()
        server.get = lambda _: respond("200 OK", {"data": []})
        async with connected(server.url) as engine:
            with pytest.raises(ModelUnavailable, match="lists no model"):
                await engine.capabilities()


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"max_tokens": 1}, "Could not finish the message because max_tokens or output limit was reached."),
        ({"max_tokens": 1}, "Invalid 'max_output_tokens': integer below minimum value. Expected >= 16."),
        ({"temperature": 0}, "`temperature` must be strictly positive"),
    ],
)
async def test_a_server_that_takes_no_such_short_or_cold_probe_is_asked_otherwise(
    refused: dict[str, int], message: str
) -> None:
    async with raw_server() as server, connected(server.url) as engine:
        usual = server._answer

        def whole(body: Any) -> bytes:
            if refused.items() <= body.items():
                return respond("400 X", {"error": {"message": message}})
            server.whole = None
            try:
                return usual("", body)
            finally:
                server.whole = whole

        server.whole = whole
        assert (await engine.capabilities()).model == "raw"
        assert engine._dialect is not None
        assert not engine._dialect.refused, "calls may still ask for what they want"


async def test_a_question_for_which_the_server_has_no_room_is_asked_again() -> None:
    refused: set[str] = set()

    def whole(body: Any) -> bytes:
        kind = ",".join(sorted(body))
        if body.get("logprobs") and kind not in refused:
            refused.add(kind)
            return respond("429 X", {"error": {"message": "one call at a time"}}, Retry_After="0.05")
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = whole
        assert (await engine.capabilities()).logprobs
    assert refused


async def test_a_question_for_which_there_is_never_room_does_not_hold_up_the_start() -> None:
    def whole(body: Any) -> bytes:
        if body.get("logprobs"):
            return respond("429 X", {"error": {"message": "not for you"}}, Retry_After="3600")
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = whole
        found = await asyncio.wait_for(engine.capabilities(), 30)
        assert not found.logprobs


async def test_a_quota_that_is_used_up_ends_the_probe() -> None:
    said = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}

    def whole(body: Any) -> bytes:
        return respond("429 X", said) if body.get("logprobs") else capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = whole
        with pytest.raises(QuotaExhausted, match="your current quota"):
            await engine.capabilities()


async def test_a_server_that_counts_no_tokens_is_not_taken_to_continue_a_text() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.whole = lambda body: respond("200 OK", {"choices": [{"message": {"content": "1"}}]})
        assert await engine.capabilities() == Capabilities(model="raw")


@pytest.mark.parametrize(
    ("owner", "takes", "sent"),
    [
        ("vllm", "structured_outputs", ["structured_outputs"]),
        ("sglang", "ebnf", ["ebnf"]),
        ("llamacpp", "grammar", ["grammar"]),
        ("somebody", "ebnf", ["structured_outputs", "grammar", "ebnf"]),
    ],
)
@pytest.mark.parametrize("strict", ["", "400 Bad Request", "500 Internal Server Error"])
async def test_a_grammar_is_sent_in_the_field_in_which_it_had_an_effect(
    owner: str, takes: str, sent: list[str], strict: str
) -> None:
    tried: list[str] = []

    def whole(body: Any) -> bytes:
        for field in ("structured_outputs", "grammar", "ebnf"):
            if field not in body:
                continue
            tried.append(field)
            if field == takes:
                return respond("200 OK", {"choices": [{"message": {"content": "probe kiwi"}}]})
            if strict:
                refusal = {"error": {"message": f"{field}: Extra inputs are not permitted"}}
                return respond(strict, refusal)
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = whole
        server.get = lambda _: respond("200 OK", {"data": [{"id": "m", "owned_by": owner}]})
        assert (await engine.capabilities()).guided_grammar
        assert tried == sent
        assert engine._dialect is not None
        body = engine._dialect.request(ask(grammar="root ::= [0-9]"))
        wanted = {"grammar": "root ::= [0-9]"} if takes == "structured_outputs" else "root ::= [0-9]"
        assert {field: body[field] for field in body.keys() & {"structured_outputs", "grammar", "ebnf"}} == {
            takes: wanted
        }


async def test_a_server_that_guides_by_schemas_alone_is_not_sent_grammars() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.whole = capable
        can = await engine.capabilities()
        assert (can.guided_json, can.guided_grammar) == (True, False)
        assert engine._dialect is not None
        assert engine._dialect.request(ask(grammar="root ::= [0-9]")) == engine._dialect.request(ask())


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "422 Unprocessable Entity", "500 Internal Server Error"]
)
@pytest.mark.parametrize("refused", ["", "auto"])
async def test_functions_are_offered_where_the_model_is_shown_them(refused: str, status: str) -> None:
    def whole(body: Any) -> bytes:
        if "tools" not in body:
            return capable(body)
        if body["tool_choice"] == refused:
            said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
            return respond(status, {"error": {"message": said}})
        usage = {"prompt_tokens": 95}
        return respond("200 OK", {"choices": [{"message": {"content": "1"}}], "usage": usage})

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = whole
        assert (await engine.capabilities()).function_calls
        assert engine._dialect is not None
        body = engine._dialect.request(ask(functions=(LOOKUP,)))
        assert body["tools"] == [
            {"type": "function", "function": {"name": "lookup", "description": "d", "parameters": {}}}
        ]
        assert body["tool_choice"] == ("none" if refused else "auto")
        assert "tools" not in engine._dialect.request(ask())
