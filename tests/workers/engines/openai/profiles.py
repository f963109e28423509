"""Servers described as data: what documentation and users say of them, and a fake that does the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from workers.calls import Call, Prompt, Sampling, Segment
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.parameters import INSTEAD, NEEDED

ANSWER = ["The ", "answer ", "is ", "42."]
THOUGHT = "perhaps 41"
KEY = "the-key-of-the-test"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One product. None: neither its documentation nor its users told; the fake then cannot.

    ``give`` is the address for people, ``path`` its path at the fake; ``listing`` is what ``/models``
    answers (None: 404), ``wanted`` the model that is asked for and ``sent`` the name that requests then
    have. ``refuses`` has the message for each parameter that is refused. ``thinking`` is the field of the
    stream, ``text`` if it stands in the text; ``header`` carries the key.
    """

    name: str
    give: str
    path: str
    listing: object
    wanted: str
    sent: str
    sources: tuple[str, ...]
    query: str = ""
    key: str = "yes"
    header: str = "authorization"
    usage: bool | None = None
    cached: bool | None = None
    seed: bool | None = None
    logprobs: bool | None = None
    schema: bool | None = None
    tokens: bool | None = None
    thinking: str | None = None
    comments: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict)


def _data(*names: str, **fields: object) -> object:
    return {"object": "list", "data": [{"id": name, "object": "model"} | fields for name in names]}


PROFILES = (
    Profile(
        name="vLLM",
        give="http://HOST:8000/v1",
        path="/v1",
        key="with `--api-key`",
        listing=_data("Qwen/Qwen3-8B", owned_by="vllm", max_model_len=16384),
        wanted="Qwen/Qwen3-8B",
        sent="Qwen/Qwen3-8B",
        usage=True,
        cached=True,
        seed=True,
        logprobs=True,
        schema=True,
        tokens=True,
        thinking="reasoning",
        sources=(
            "https://docs.vllm.ai/en/v0.28.0/serving/online_serving/openai_compatible_server/",
            "its source (0.32), `entrypoints/openai/chat_completion/protocol.py`",
            "`tests/workers/engines/vllm/test_real.py`, which runs against vLLM itself",
        ),
    ),
    Profile(
        name="SGLang",
        give="http://HOST:30000/v1",
        path="/v1",
        key="if it was started with one",
        listing=_data("qwen/qwen2.5-0.5b-instruct", owned_by="sglang"),
        wanted="qwen2.5-0.5b-instruct",
        sent="qwen/qwen2.5-0.5b-instruct",
        usage=True,
        logprobs=True,
        schema=True,
        thinking="reasoning_content",
        sources=(
            "https://docs.sglang.io/docs/advanced_features/separate_reasoning",
            "https://github.com/sgl-project/sglang, `python/sglang/srt/entrypoints/openai/protocol.py` "
            "and `docs/basic_usage/openai_api_completions.mdx`",
        ),
    ),
    Profile(
        name="llama.cpp's server",
        give="http://HOST:8080/v1",
        path="/v1",
        key="with `--api-key`",
        listing={"models": [{"name": "file.gguf"}], "object": "list", "data": [{"id": "qwen3-8b"}]},
        wanted="qwen3-8b",
        sent="qwen3-8b",
        schema=True,
        thinking="reasoning_content",
        sources=("https://github.com/ggml-org/llama.cpp/tree/master/tools/server",),
    ),
    Profile(
        name="Ollama",
        give="http://HOST:11434/v1",
        path="/v1",
        key="ignored",
        listing=_data("llama3.2:latest", "qwen3:8b"),
        wanted="llama3.2",
        sent="llama3.2:latest",
        usage=True,
        seed=True,
        logprobs=True,
        sources=("https://docs.ollama.com/api/openai-compatibility",),
    ),
    Profile(
        name="LM Studio",
        give="http://HOST:1234/v1",
        path="/v1",
        key="ignored",
        listing=_data("openai/gpt-oss-20b", "qwen3-8b"),
        wanted="gpt-oss-20b",
        sent="openai/gpt-oss-20b",
        seed=True,
        schema=True,
        thinking="reasoning_content",
        sources=(
            "https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
            "https://docs.rs/vtcode-core/0.125.0/vtcode_core/llm/providers/lmstudio/",
        ),
    ),
    Profile(
        name="TGI",
        give="http://HOST:3000/v1",
        path="/v1",
        key="at Hugging Face's endpoints",
        listing=None,
        wanted="tgi",
        sent="tgi",
        sources=("https://github.com/huggingface/text-generation-inference, `docs/source/messages_api.md`",),
    ),
    Profile(
        name="LiteLLM",
        give="http://HOST:4000",
        path="",
        key="a virtual key",
        listing=_data("gpt-5-nano"),
        wanted="gpt-5-nano",
        sent="gpt-5-nano",
        thinking="reasoning_content",
        refuses={
            "temperature": "litellm.UnsupportedParamsError: gpt-5-nano doesn't support temperature while "
            "reasoning is active. Only temperature=1 is supported. To drop unsupported params set "
            "`litellm.drop_params = True`. Received Model Group=gpt-5-nano"
        },
        sources=(
            "https://docs.litellm.ai/docs/reasoning_content",
            "https://github.com/BerriAI/litellm/pull/33738",
            "https://github.com/BerriAI/litellm/pull/17658",
        ),
    ),
    Profile(
        name="OpenAI, reasoning models",
        give="https://api.openai.com/v1",
        path="/v1",
        listing=_data("gpt-5-mini", "gpt-5-nano"),
        wanted="gpt-5-mini",
        sent="gpt-5-mini",
        usage=True,
        logprobs=False,
        schema=True,
        refuses={
            "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "temperature": "Unsupported value: 'temperature' does not support 0 with this model. "
            "Only the default (1) value is supported.",
        },
        sources=(
            "https://github.com/griptape-ai/ComfyUI-Griptape/issues/312",
            "https://github.com/johny-b/llmcomp/issues/69",
            "https://github.com/UKGovernmentBEIS/inspect_ai/pull/2739",
            "https://community.openai.com/t/developer-role-not-accepted-for-o1-o1-mini-o3-mini/1110750/7",
        ),
    ),
    Profile(
        name="Azure OpenAI, older API versions",
        give="https://RESOURCE.openai.azure.com/openai/deployments/NAME?api-version=VERSION",
        path="/openai/deployments/mine",
        query="?api-version=2024-02-01",
        header="api-key",
        key="yes, as `api-key`",
        listing=None,
        wanted="",
        sent="mine",
        refuses={"stream_options": "Unrecognized request argument supplied: stream_options"},
        sources=(
            "https://github.com/openai/openai-node/blob/HEAD/docs/azure.md",
            "https://www.mintlify.com/BoundaryML/baml/reference/providers/azure",
            "https://github.com/openai/openai-python/issues/1469",
            "https://github.com/griptape-ai/griptape/issues/1640",
        ),
    ),
    Profile(
        name="OpenRouter",
        give="https://openrouter.ai/api/v1",
        path="/api/v1",
        listing=_data("openai/gpt-5-mini", "deepseek/deepseek-r1"),
        wanted="deepseek-r1",
        sent="deepseek/deepseek-r1",
        usage=True,
        thinking="reasoning",
        comments=True,
        sources=(
            "https://openrouter.ai/docs/api_reference/streaming",
            "https://openrouter.ai/announcements/standardized-finish-reasons",
            "https://docs.getbifrost.ai/providers/supported-providers/openrouter",
        ),
    ),
    Profile(
        name="Together",
        give="https://api.together.ai/v1",
        path="/v1",
        listing=[{"id": "openai/gpt-oss-20b", "object": "model"}, {"id": "Austism/chronos-hermes-13b"}],
        wanted="gpt-oss-20b",
        sent="openai/gpt-oss-20b",
        sources=(
            "https://docs.together.ai/docs/inference/openai-compatibility",
            "https://docs.together.ai/reference/models",
        ),
    ),
    Profile(
        name="Groq",
        give="https://api.groq.com/openai/v1",
        path="/openai/v1",
        listing=_data("openai/gpt-oss-20b", "qwen/qwen3-32b"),
        wanted="qwen3-32b",
        sent="qwen/qwen3-32b",
        logprobs=False,
        thinking="text",
        refuses={
            "logprobs": "`logprobs` is not supported with this model",
            "top_logprobs": "`top_logprobs` is not supported with this model",
        },
        sources=(
            "https://console.groq.com/docs/openai",
            "https://github.com/groq/groq-python/issues/25",
            "https://reference.langchain.com/python/langchain-groq/chat_models/ChatGroq/reasoning_format",
        ),
    ),
    Profile(
        name="DeepSeek, reasoning model",
        give="https://api.deepseek.com",
        path="",
        listing=_data("deepseek-chat", "deepseek-reasoner"),
        wanted="deepseek-reasoner",
        sent="deepseek-reasoner",
        usage=True,
        logprobs=False,
        schema=False,
        thinking="reasoning_content",
        refuses={
            "logprobs": "deepseek-reasoner does not support the parameter logprobs",
            "response_format": "This response_format type is unavailable now",
        },
        sources=(
            "https://api-docs.deepseek.com/guides/reasoning_model",
            "https://github.com/llm-exe/llm-exe/issues/662",
            "https://docs.getbifrost.ai/providers/supported-providers/deepseek",
        ),
    ),
)


@asynccontextmanager
async def serving(profile: Profile) -> AsyncIterator[str]:
    """A server that behaves as the profile says; yields the address to give."""

    async def models(request: web.Request) -> web.Response:
        if profile.listing is None:
            return web.json_response({"error": {"message": "Resource not found"}}, status=404)
        return web.json_response(profile.listing)

    async def completions(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        sent = request.headers.get(profile.header, "").removeprefix("Bearer ")
        if sent != KEY or request.query_string != profile.query.removeprefix("?"):
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        if body["model"] != profile.sent:
            return web.json_response({"error": {"message": f"no model {body['model']}"}}, status=404)
        for name, message in profile.refuses.items():
            if name in body:
                return web.json_response({"error": {"message": message, "param": None}}, status=400)
        return await _stream(request, profile, body) if body.get("stream") else _whole(profile, body)

    app = web.Application()
    app.router.add_get(profile.path + "/models", models)
    app.router.add_post(profile.path + "/chat/completions", completions)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}{profile.path}{profile.query}"
    finally:
        await runner.cleanup()


def _usage(profile: Profile) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": 60, "completion_tokens": 4}
    return usage | {"prompt_tokens_details": {"cached_tokens": 32}} if profile.cached else usage


def _whole(profile: Profile, body: Mapping[str, Any]) -> web.Response:
    content = '{"probe": "kiwi"}' if "response_format" in body and profile.schema else "1"
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    if body.get("logprobs") and profile.logprobs:
        choice["logprobs"] = {"content": [{"token": "1", "logprob": -0.5, "top_logprobs": []}]}
    if body.get("return_token_ids") and profile.tokens:
        choice["token_ids"] = [1]
    usage = _usage(profile)
    if body["messages"][-1]["role"] == "assistant":
        usage["prompt_tokens"] += 20
    return web.json_response({"choices": [choice], "usage": usage})


async def _stream(request: web.Request, profile: Profile, body: Mapping[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    if profile.thinking not in (None, "text"):
        deltas.append({profile.thinking: THOUGHT})
    deltas += [{"content": word} for word in ANSWER]
    events: list[dict[str, object]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if profile.usage and "stream_options" in body:
        events.append({"choices": [], "usage": _usage(profile)})
    if profile.comments:
        await response.write(b": OPENROUTER PROCESSING\n\n")
    for event in events:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


@dataclass(frozen=True)
class Observed:
    """What our engine made of a server."""

    model: str
    text: str
    usage: bool
    cached: bool
    seed: bool
    logprobs: bool
    schema: bool
    tokens: bool
    left_out: dict[str, str]  # with what is sent in its place


async def observe(profile: Profile) -> Observed:
    """Ask one question through our engine."""
    async with serving(profile) as url:
        engine = OpenAIEngine(url, model=profile.wanted or None, name=profile.name, api_key=KEY)
        try:
            can = await engine.capabilities()
            call = Call(Prompt((Segment("user", "What is 6 times 7?"),)), Sampling(seed=1, max_tokens=16))
            chunks = [chunk async for chunk in engine.generate(call)]
            assert engine._dialect is not None
            refused = engine._dialect.refused
        finally:
            await engine.close()
    usage = chunks[-1].usage
    return Observed(
        model=can.model,
        text="".join(chunk.text for chunk in chunks),
        usage=usage is not None and usage.prompt_tokens > 0,
        cached=can.cached_token_usage,
        seed="seed" not in refused,
        logprobs=can.logprobs,
        schema=can.guided_json,
        tokens=can.token_ids_out,
        left_out={name: INSTEAD.get(name, "") for name in sorted(refused - NEEDED.keys())},
    )
