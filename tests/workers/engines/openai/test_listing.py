from __future__ import annotations

import pytest

from tests.workers.engines.openai.harness import connected
from tests.workers.engines.raw_server import raw_server, respond
from workers.engines.openai.listing import Listed, choose, read_list
from workers.errors import AccessRefused, ModelUnavailable


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": [{"id": "m"}]},
        {"object": "list", "data": ["m"]},
        [{"id": "m", "object": "model"}],
        ["m"],
        {"models": [{"name": "m", "model": "m:latest"}]},
        {"models": [{"model": "m"}]},
        {"models": ["m"], "object": "list"},
        {"models": {"m": {"size": 7}}},
        {"data": {"m": {}}},
        {"data": {"models": [{"id": "m"}]}},
        {"m": {"object": "model"}},
        {"result": [{"name": "m"}], "success": True},
        {"models": [{"name": "file.gguf"}], "data": [{"id": "m"}]},
        {"object": "list", "data": [{"no": "name"}, {"id": 7}, {"id": "m"}]},
    ],
)
def test_a_list_of_models_has_many_forms(answer: object) -> None:
    found = read_list(answer)
    assert found is not None
    assert [entry.name for entry in found] == ["m"]


@pytest.mark.parametrize("answer", [None, 7, "m", {}, {"error": {"message": "no"}}, [1, 2], {"ok": True}])
def test_what_is_no_list_is_not_read_as_one(answer: object) -> None:
    assert read_list(answer) is None


def test_an_entry_says_who_owns_the_model_and_how_long_prompts_may_be() -> None:
    entry = {"id": "m", "owned_by": "vllm", "max_model_len": 4096}
    assert read_list({"data": [entry]}) == [Listed("m", "vllm", 4096)]
    assert read_list({"data": []}) == []


CATALOGUE = [
    Listed(name)
    for name in (
        "models/gemini-2.5-flash",
        "openai/gpt-oss-20b",
        "accounts/fireworks/models/qwen3-8b",
        "llama3.2:latest",
        "one/twin",
        "two/twin",
        "twin-b",
    )
]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("gpt-oss-20b", "openai/gpt-oss-20b"),
        ("groq/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("qwen3-8b", "accounts/fireworks/models/qwen3-8b"),
        ("models/qwen3-8b", "accounts/fireworks/models/qwen3-8b"),
        ("llama3.2", "llama3.2:latest"),
        ("one/twin", "one/twin"),
        ("oss-20b", "oss-20b"),  # no whole part of a name: the server will know
        ("an-alias", "an-alias"),
    ],
)
def test_a_model_is_found_by_its_name_or_the_last_part_of_it(wanted: str, chosen: str) -> None:
    assert choose(CATALOGUE, wanted).name == chosen


def test_a_name_that_may_mean_several_models_is_refused_with_their_names() -> None:
    with pytest.raises(ModelUnavailable, match="name one of 'one/twin', 'two/twin'"):
        choose(CATALOGUE, "twin")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("404 X", "404 page not found"),
        ("404 X", {"detail": "Not Found"}),
        ("401 X", {"error": {"message": "no"}}),
        ("403 X", {"error": {"message": "no"}}),
        ("405 X", {"detail": "Method Not Allowed"}),
        ("500 X", "Internal Server Error"),
        ("501 X", {"error": {"message": "not implemented"}}),
        ("200 OK", "<html>Welcome</html>"),
        ("200 OK", {"object": "list", "data": []}),
        ("200 OK", {"ok": True}),
        ("200 OK", "null"),
    ],
)
async def test_a_model_that_was_named_needs_no_list(status: str, body: object) -> None:
    async with raw_server() as server, connected(server.url, model="hidden") as engine:
        server.get = lambda _: respond(status, body)
        assert (await engine.capabilities()).model == "hidden"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("404 X", "404 page not found", "no model was named: name one with --model or model="),
        ("405 X", {"detail": "Method Not Allowed"}, "no model was named: name one with --model or model="),
        ("200 OK", "<html>Welcome</html>", "no model was named: name one with --model or model="),
        ("200 OK", [], "lists no model"),
    ],
)
async def test_where_no_model_can_be_chosen_the_error_says_what_to_do(
    status: str, body: object, said: str
) -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.get = lambda _: respond(status, body)
        with pytest.raises(ModelUnavailable, match=said):
            await engine.capabilities()


async def test_a_list_that_needs_a_key_says_so() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.get = lambda _: respond("401 X", {"error": {"message": "no"}})
        with pytest.raises(AccessRefused, match="key is missing"):
            await engine.capabilities()
