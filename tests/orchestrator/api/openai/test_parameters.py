"""Every parameter that OpenAI publishes is honoured, listed as without effect, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_params

from orchestrator.api.openai.parameters import CHAT, COMPLETIONS, Fate, Rule, given, validated
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.openai.schemas import ChatRequest, CompletionRequest, Parameters

PUBLISHED_CHAT = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty
    prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed
    service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user
    verbosity web_search_options
""".split()  # noqa: SIM905
PUBLISHED_COMPLETIONS = """
    best_of echo frequency_penalty logit_bias logprobs max_tokens model n presence_penalty prompt seed stop
    stream stream_options suffix temperature top_p user
""".split()  # noqa: SIM905

TABLES: dict[str, tuple[dict[str, Rule], type[Parameters], list[str]]] = {
    "chat": (dict(CHAT), ChatRequest, PUBLISHED_CHAT),
    "completions": (dict(COMPLETIONS), CompletionRequest, PUBLISHED_COMPLETIONS),
}
ROWS = [(table, name) for table, (rules, _, _) in TABLES.items() for name in rules]


@pytest.mark.parametrize("table", TABLES)
def test_every_published_parameter_is_in_the_table(table: str) -> None:
    rules, _, published = TABLES[table]
    assert set(published) | {"anabranch"} == set(rules)


def test_the_published_parameters_are_those_of_the_installed_client() -> None:
    for module, published in (
        (chat_params, PUBLISHED_CHAT),
        (completion_create_params, PUBLISHED_COMPLETIONS),
    ):
        known = set(module.CompletionCreateParamsBase.__annotations__) | {"stream"}
        assert known == set(published), "a new parameter needs a row in orchestrator/api/openai/parameters.py"


@pytest.mark.parametrize(("table", "name"), ROWS, ids=["-".join(row) for row in ROWS])
def test_a_parameter_is_read_where_it_is_honoured_and_only_there(table: str, name: str) -> None:
    rules, model, _ = TABLES[table]
    read = name in model.model_fields
    honoured = Fate.HONOURED in (rules[name].planner, rules[name].engine)
    assert read == honoured


@pytest.mark.parametrize(("table", "name"), ROWS, ids=["-".join(row) for row in ROWS])
@pytest.mark.parametrize("target", ["planner", "engine"])
def test_a_parameter_meets_its_fate(table: str, name: str, target: Any) -> None:
    rule, odd = TABLES[table][0][name], {"odd": "value"}
    rules = TABLES[table][0]
    match rule.fate(target):
        case Fate.HONOURED:
            assert given({name: odd}, rules, target) == {name: odd}
        case Fate.NO_EFFECT:
            assert given({name: odd}, rules, target) == {}
        case Fate.REFUSED:
            with pytest.raises(UnsupportedParameter) as raised:
                given({name: odd}, rules, target)
            assert raised.value.param == name
            assert rule.told in str(raised.value)
            for idle in rule.idle:
                assert given({name: idle}, rules, target) == {}
    assert given({name: None}, rules, target) == {}


def test_an_unknown_parameter_is_never_ignored() -> None:
    with pytest.raises(InvalidParameter) as raised:
        given({"top_k": 3}, CHAT, "engine")
    assert raised.value.param == "top_k"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temprature": 1}, "temprature: no such parameter is known here; did you mean temperature?"),
        ({"anabranch": {"option": {"n": 3}}}, "anabranch.option: no such member is known here"),
        ({"anabranch": {"budgte": {}}}, "did you mean budget?"),
    ],
)
def test_what_is_mistyped_is_told_what_is_known(wrong: dict[str, Any], told: str) -> None:
    body = {"model": "anabranch/vote", "messages": [{"role": "user", "content": "?"}], **wrong}
    with pytest.raises(InvalidParameter) as caught:
        validated(ChatRequest, given(body, CHAT, "planner"))
    assert told in str(caught.value)


def test_idle_values_are_of_their_type() -> None:
    with pytest.raises(UnsupportedParameter):
        given({"n": True}, CHAT, "planner")
    assert given({"frequency_penalty": 0.0, "presence_penalty": 0}, CHAT, "planner") == {}


@pytest.mark.parametrize("table", TABLES)
def test_the_docs_have_a_row_for_each_parameter(table: str) -> None:
    page = (Path(__file__).parents[4] / "docs" / "openai.md").read_text()
    for name, rule in TABLES[table][0].items():
        assert f"| `{name}` | {rule.planner} | {rule.engine} | {rule.told} |" in page
