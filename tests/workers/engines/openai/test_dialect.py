from __future__ import annotations

from dataclasses import replace

import pytest

from tests.workers.engines.openai.harness import ask, connected, failure, scripted
from tests.workers.engines.raw_server import Exchange, raw_server, respond
from workers.calls import Sampling
from workers.engine import Capabilities
from workers.engines.openai.dialect import Dialect
from workers.errors import (
    CapabilityMissing,
)
from workers.functions import Function

FULL = Capabilities(
    model="m", logprobs=True, guided_json=True, priority=True, cache_salt=True, assistant_prefill=True
)


def test_a_plain_request_holds_nothing_that_was_not_asked_for() -> None:
    body = Dialect(Capabilities(model="m")).request(ask(schema={"type": "object"}, priority=3.0))
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 6 times 9?"},
        ],
        "temperature": 0.7,
        "max_tokens": 1024,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_everything_that_is_asked_for_is_sent_where_the_server_can() -> None:
    sampling = Sampling(temperature=0.2, top_p=0.9, max_tokens=5, stop=("a", "b"), seed=3, top_logprobs=2)
    call = ask(prefill="It is", sampling=sampling, schema={"type": "object"}, priority=1.5, tenant="Ann/e@x")
    body = Dialect(FULL, priority_sign=-1, prefill_flags=True).request(call)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.2, 0.9, 5)
    assert (body["stop"], body["seed"]) == (["a", "b"], 3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["priority"] == -1500
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    salt = body["cache_salt"]
    assert isinstance(salt, str)
    assert salt.isalnum()
    assert salt == Dialect(FULL).request(ask(tenant="Ann/e@x"))["cache_salt"]
    assert salt != Dialect(FULL).request(ask(tenant="Bob"))["cache_salt"]


def test_a_server_that_runs_large_numbers_first_gets_them() -> None:
    assert Dialect(FULL, priority_sign=1).request(ask(priority=0.25))["priority"] == 250


def test_a_code_is_sent_where_it_has_an_effect_and_refused_elsewhere() -> None:
    call = ask(sampling=Sampling(code=0.25))
    body = Dialect(replace(FULL, arithmetic_sampling=True)).request(call)
    assert body["vllm_xargs"] == {"arithmetic_code": 0.25}
    with pytest.raises(CapabilityMissing, match="no arithmetic sampling here"):
        Dialect(FULL).request(call)
    assert "vllm_xargs" not in Dialect(replace(FULL, arithmetic_sampling=True)).request(ask())


def test_functions_are_offered_to_chats_alone() -> None:
    dialect, call = (
        Dialect(replace(FULL, function_calls=True)),
        ask(functions=(Function("look", "Look.", {}),)),
    )
    assert {"tools", "tool_choice"} <= dialect.request(call).keys()
    assert not {"tools", "tool_choice"} & dialect.plain_request(call, [1, 2]).keys()  # they are in the tokens


async def test_a_grammar_that_a_server_begins_to_refuse_is_a_capability_that_it_has_lost() -> None:
    async def refuse(exchange: Exchange) -> None:
        said = {"error": {"message": "Unrecognized request argument supplied: grammar"}}
        await exchange.send(respond("400 Bad Request", said))

    async with scripted(refuse) as (engine, server):
        can = replace(FULL, model="raw", guided_grammar=True)
        engine._dialect = Dialect(can, grammar="grammar")
        for requests in (1, 1):  # the second is not even sent
            error = await failure(engine, ask(grammar="root ::= [0-9]"))
            assert isinstance(error, CapabilityMissing)
            assert "answers that follow a grammar" in str(error)
            assert len(server.exchanges) == requests
        assert not (await engine.capabilities()).guided_grammar


async def test_a_prefill_that_the_server_cannot_continue_is_refused_before_it_is_sent() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        error = await failure(engine, ask(prefill="It is"))
        assert isinstance(error, CapabilityMissing)
        assert "user's segment" in str(error)
