"""Finds out what a server understands, by asking it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count

import structlog

from workers.engine import Capabilities
from workers.engines.openai.answers import Ask, cached_tokens, garbage, read_usage
from workers.engines.openai.dialect import (
    GRAMMARS,
    PREFILL_FLAGS,
    Dialect,
    arithmetic,
    guided_by,
    logprobs,
    response_format,
    tools,
)
from workers.engines.openai.http import Transport
from workers.engines.openai.listing import Listed, choose, read_list
from workers.engines.openai.parameters import ParametersRefused, tell_refused, without
from workers.engines.openai.tokenizer import ServerTokenizer
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineFailed,
    EngineProtocolError,
    EngineTimeout,
    ModelUnavailable,
    Overloaded,
    QuotaExhausted,
    WorkerError,
)
from workers.functions import Function

_log = structlog.get_logger()

_PRIORITY_SIGN = {"vllm": -1, "sglang": 1}
"""Which priorities a server runs first, by the owner that it names for its models: vLLM small numbers,
SGLang large ones. Others are not sent a priority, as it might mean the opposite."""

_GRAMMAR_OF = {"vllm": "structured_outputs", "llamacpp": "grammar", "sglang": "ebnf"}
"""The field in which the same owners take a grammar; others are asked for one after the other."""

_PROMPT = "Repeat these numbers: " + " ".join(map(str, range(100, 164)))
"""Longer than a few cache blocks of any server, so that sending it again shows in the usage."""

_TRIES = 4
_PATIENCE = 5.0
"""How often a question is asked of a server that has no room, and the longest wait for it in seconds."""

_LENGTHS = (1, 16, 512)
"""The completion of a probe, in tokens: the shortest that the server accepts."""
_TOO_SHORT = re.compile(r"max_\w*tokens|output limit", re.IGNORECASE)

_GUIDED = {
    "type": "object",
    "properties": {"probe": {"type": "string", "enum": ["kiwi"]}},
    "required": ["probe"],
    "additionalProperties": False,
}
_GRAMMAR = 'root ::= "probe kiwi"'
"""Forms that no model would choose by itself for its answer to the prompt."""

_FUNCTION = Function("probe", "Look up the taste of a fruit.", _GUIDED)
_FUNCTION_TOKENS = 8
"""By how many tokens a prompt grows at least that shows this function."""


async def find(http: Transport, model: str | None, engine: str) -> Dialect:
    """Find out where the server is below its address, and what it can do (see :func:`probe`).

    If nothing answers at the address, it is tried with ``/v1`` or without.

    Raises:
        ModelUnavailable: the server does not have the model, or none can be chosen.
        WorkerError: it does not even answer a plain request.
    """
    given = http.address
    model = model or given.deployment
    try:
        return await probe(http.ask, model, engine)
    except (ModelUnavailable, CallRejected, EngineFailed, EngineProtocolError):  # as a wrong address may
        for address in given.elsewhere():
            http.address = address
            with suppress(WorkerError):
                return await probe(http.ask, model, engine)
        http.address = given
        raise


async def probe(ask: Ask, model: str | None, engine: str) -> Dialect:
    """Find out what a server can do, with ten to twenty requests of one or a few tokens.

    A field counts as understood if it has an effect, not if it is merely accepted, as many servers ignore
    what they do not know: a schema must shape the answer, a salt must keep a prompt from being found in the
    cache, and a field whose effect cannot be seen must at least be refused when it has the wrong type.

    Args:
        ask: sends one request.
        model: the model to use; None for the first that the server lists.
        engine: its name, for the log.

    Raises:
        ModelUnavailable: the server does not have the model, or none can be chosen.
        WorkerError: it does not even answer a plain request.
    """
    listed = await _listed(ask, model)
    served = listed.name
    base: dict[str, object] = {
        "model": served,
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_tokens": _LENGTHS[0],
        "temperature": 0,
    }
    base, refused, first = await _plain(ask, base)
    if refused:
        tell_refused(engine, refused)
    prober = _Prober(ask, engine, base, refused, first)
    cached = await prober.check("cached_token_usage", prober.reports_cached_tokens)
    sign = _PRIORITY_SIGN.get(listed.owner)
    try:
        async with asyncio.TaskGroup() as group:
            scores = group.create_task(prober.check("logprobs", prober.gives_logprobs))
            guided = group.create_task(prober.check("guided_json", prober.follows_schema))
            prefill = group.create_task(
                prober.check("assistant_prefill", partial(prober.continues, PREFILL_FLAGS))
            )
            functions = group.create_task(prober.check("function_calls", prober.shows_functions))
            salt = group.create_task(prober.check("cache_salt", partial(prober.salts_cache, cached)))
            priority = group.create_task(prober.check("priority", partial(prober.takes_priority, sign)))
            tokens_in = group.create_task(
                prober.check("token_ids_in", partial(prober.takes_tokens, ServerTokenizer(ask, served)))
            )
            tokens_out = group.create_task(prober.check("token_ids_out", prober.gives_tokens))
    except ExceptionGroup as failed:  # nothing else ends a question
        raise failed.exceptions[0] from None
    continues_anyway = not prefill.result() and await prober.check(
        "assistant_prefill", partial(prober.continues, {})
    )
    by_code = listed.owner == "vllm" and await prober.check("arithmetic_sampling", prober.draws_by_code)
    grammar = guided.result() and await prober.check(
        "guided_grammar", partial(prober.follows_grammar, listed.owner)
    )
    return Dialect(
        Capabilities(
            model=served,
            max_model_len=listed.max_model_len,
            token_ids_in=tokens_in.result(),
            token_ids_out=tokens_out.result(),
            logprobs=scores.result(),
            guided_json=guided.result(),
            guided_grammar=grammar,
            function_calls=functions.result(),
            priority=priority.result(),
            cache_salt=salt.result(),
            assistant_prefill=prefill.result() or continues_anyway,
            cached_token_usage=cached,
            arithmetic_sampling=by_code,
        ),
        priority_sign=sign or 1,
        prefill_flags=prefill.result(),
        grammar=prober.grammar,
        tool_choice=prober.tool_choice,
        owner=listed.owner,
        refused=refused,
    )


async def _listed(ask: Ask, model: str | None) -> Listed:
    """The entry of ``model`` in the server's list, or the first one."""
    try:
        answer = await ask("models", None)
        listed = read_list(answer)
        if listed is None:
            raise garbage("not a list of models", json.dumps(answer))
    except (EngineTimeout, Overloaded):
        raise
    except WorkerError as error:
        if model is not None:
            return Listed(model)  # some servers keep no list, or show it to nobody
        if error.retryable or isinstance(error, AccessRefused | QuotaExhausted):
            raise
        raise ModelUnavailable(
            f"the server's list of models cannot be read ({error}), and no model was named: "
            "name one with --model or model="
        ) from error
    if model is not None and not listed:
        return Listed(model)
    return choose(listed, model)


async def _plain(ask: Ask, base: Mapping[str, object]) -> tuple[dict[str, object], frozenset[str], object]:
    """The request that the server answers in place of ``base``, what it refused in it, and the answer."""
    request, refused = dict(base), frozenset[str]()
    lengths = iter(_LENGTHS[1:])
    while True:
        try:
            return request, refused, await ask("chat/completions", request)
        except ParametersRefused as error:
            changed = without(base, refused := refused | error.names)
            if changed == request:
                raise
            request = changed
        except CallRejected as error:
            if "temperature" in request and "temperature" in str(error):  # some take none that is 0
                base = {name: value for name, value in base.items() if name != "temperature"}
                request = without(base, refused)
                continue
            # Models that think before they answer refuse to stop before they have begun.
            length = next(lengths, None)
            if length is None or not _TOO_SHORT.search(str(error)):
                raise
            base = dict(base) | {"max_tokens": length}
            request = without(base, refused)


class _Prober:
    """The individual questions. Each returns whether the server can, or raises what went wrong."""

    def __init__(
        self, ask: Ask, engine: str, base: Mapping[str, object], refused: frozenset[str], first: object
    ) -> None:
        self._ask = ask
        self._engine = engine
        self._base = base
        self._refused = refused
        self._first = first  # the answer to the base request
        self.grammar = ""
        """The field that takes a grammar, once one has shown an effect."""
        self.tool_choice = "auto"
        """With which functions are offered, once that has shown an effect."""

    async def check(self, capability: str, question: Callable[[], Awaitable[bool]]) -> bool:
        """The answer to a question; a failure counts as no and is logged.

        A server that has no room is asked again, as it has not said no.

        Raises:
            QuotaExhausted: nothing more can be learnt.
        """
        found, reason = False, "the answer does not show it"
        for times in count(1):
            try:
                found = await question()
            except QuotaExhausted:
                raise
            except WorkerError as error:
                reason = f"{type(error).__name__}: {error}"
                if isinstance(error, Overloaded) and times < _TRIES and error.retry_after <= _PATIENCE:
                    await asyncio.sleep(error.pause(times) * random.uniform(1.0, 1.5))
                    continue
            break
        if not found:
            _log.info(
                "capability missing",
                action="capability_missing",
                engine=self._engine,
                capability=capability,
                reason=reason,
            )
        return found

    async def _complete(self, **fields: object) -> object:
        return await self._ask("chat/completions", {**self._base, **without(fields, self._refused)})

    async def _refuses(self, **fields: object) -> bool:
        """Whether the server checks these fields, which it only does if it knows them."""
        try:
            await self._complete(**fields)
        except CallRejected:
            return True
        return False

    async def reports_cached_tokens(self) -> bool:
        if cached_tokens(_usage(self._first)) is not None:
            return True
        return cached_tokens(_usage(await self._complete())) is not None

    async def gives_logprobs(self) -> bool:
        match await self._complete(**logprobs(1)):
            case {"choices": [{"logprobs": {"content": [{"logprob": float() | int()}, *_]}}, *_]}:
                return True
        return False

    async def follows_schema(self) -> bool:
        messages = [{"role": "user", "content": "Name a fruit as a JSON object."}]
        match await self._complete(**response_format(_GUIDED), messages=messages, max_tokens=64):
            case {"choices": [{"message": {"content": str(content)}}, *_]}:
                try:
                    answer: object = json.loads(content)
                except ValueError:
                    return False
                return answer == {"probe": "kiwi"}
        return False

    async def follows_grammar(self, owner: str) -> bool:
        messages = [{"role": "user", "content": "Name a fruit."}]
        known = _GRAMMAR_OF.get(owner)
        for field in (known,) if known else GRAMMARS:
            with suppress(CallRejected, EngineFailed):  # of a field that they do not know
                match await self._complete(**guided_by(field, _GRAMMAR), messages=messages, max_tokens=64):
                    case {"choices": [{"message": {"content": str(content)}}, *_]} if (
                        content.strip() == "probe kiwi"
                    ):
                        self.grammar = field
                        return True
        return False

    async def shows_functions(self) -> bool:
        """Whether the model is shown functions, as the prompt is then longer.

        Whether it calls one depends on the model. vLLM without a parser refuses ``auto``, but shows them all
        the same; the calls can then be read from the text.
        """
        for choice in ("auto", "none"):
            with suppress(CallRejected, EngineFailed):
                answer = await self._complete(**tools([_FUNCTION], choice))
                if _prompt_tokens(answer) >= _prompt_tokens(self._first) + _FUNCTION_TOKENS:
                    self.tool_choice = choice
                    return True
        return False

    async def continues(self, flags: dict[str, object]) -> bool:
        """Whether a last message of the assistant stays open.

        If it does, the prompt is longer than the plain one by the token of the text; if the message is taken
        as finished, its end and the header of the next message add more.
        """
        messages = [{"role": "user", "content": _PROMPT}, {"role": "assistant", "content": "1"}]
        answer = await self._complete(messages=messages, **flags)
        return _prompt_tokens(answer) - _prompt_tokens(self._first) <= 2

    async def takes_tokens(self, tokenizer: ServerTokenizer) -> bool:
        """Whether a chat can be sent as tokens: the server must then compute as many as for the chat."""
        tokens = await tokenizer.chat([{"role": "user", "content": _PROMPT}])
        if await tokenizer.spell(await tokenizer.text(_PROMPT)) != _PROMPT:
            return False
        plain = {"model": self._base["model"], "prompt": tokens, "max_tokens": 1}
        answer = await self._ask("completions", plain)
        return _prompt_tokens(self._first) == _prompt_tokens(answer) == len(tokens)

    async def gives_tokens(self) -> bool:
        match await self._complete(return_token_ids=True):
            case {"choices": [{"token_ids": [int(), *_]}, *_]}:
                return True
        return False

    async def salts_cache(self, visible: bool) -> bool:
        salt = secrets.token_hex(16)
        cached = cached_tokens(_usage(await self._complete(cache_salt=salt)))
        if visible and cached:
            return False
        return await self._refuses(cache_salt=7)

    async def draws_by_code(self) -> bool:
        # Without our processor, vLLM takes anything there and ignores it.
        return await self._refuses(temperature=1.0, **arithmetic(2.0))

    async def takes_priority(self, sign: int | None) -> bool:
        if sign is None:
            return False
        await self._complete(priority=sign)
        return await self._refuses(priority="first")


def _prompt_tokens(answer: object) -> int:
    if (tokens := read_usage(_usage(answer)).prompt_tokens) > 0:
        return tokens
    raise garbage("usage without the tokens of the prompt", json.dumps(answer))


def _usage(answer: object) -> object:
    match answer:
        case {"usage": usage}:
            return usage
    return None
