"""What one OpenAI-compatible server understands beyond the common protocol, and requests written for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.openai.parameters import CAPABILITIES, NEEDED, without
from workers.errors import CapabilityMissing
from workers.functions import Function

PREFILL_FLAGS: dict[str, object] = {"continue_final_message": True, "add_generation_prompt": False}
"""What vLLM needs in a request to continue the assistant's last message."""

_WORDS = {
    "logprobs": "log-probabilities",
    "guided_json": "answers that follow a schema",
    "guided_grammar": "answers that follow a grammar",
    "function_calls": "calls of functions",
    "assistant_prefill": "continuations of an assistant's text",
    "arithmetic_sampling": "arithmetic sampling",
}
GRAMMARS: Mapping[str, Callable[[str], object]] = {
    "structured_outputs": lambda grammar: {"grammar": grammar},
    "grammar": str,
    "ebnf": str,
}
"""The fields in which servers take a GBNF grammar, and in what form: vLLM, llama.cpp, SGLang."""

_PRIORITY_STEPS = 1000
"""Servers take whole numbers, and priorities here are often seconds: keep milliseconds."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to talk to a server: its capabilities, and what they take on the wire.

    ``priority_sign`` is 1 if larger numbers go first, -1 if smaller ones do. ``prefill_flags`` says whether
    a prefill needs vLLM's flags, or whether the server continues an assistant's last message without them.
    ``grammar`` is the field of :data:`GRAMMARS` that has an effect. ``tool_choice`` goes with functions:
    ``auto``, or ``none`` for a server that shows them to the model but does not read its calls. ``owner`` is
    the owner of the model according to the server, usually the name of its own software. ``refused`` are
    parameters that the server refused: they are left out, or sent under another name.
    """

    capabilities: Capabilities
    priority_sign: int = 1
    prefill_flags: bool = False
    grammar: str = ""
    tool_choice: str = "auto"
    owner: str = ""
    refused: frozenset[str] = frozenset()

    def refusing(self, names: Collection[str]) -> Dialect:
        """The dialect of a server that refuses these parameters as well."""
        return replace(self, refused=self.refused | set(names))

    @property
    def remaining(self) -> Capabilities:
        """The capabilities without those that need a refused parameter."""
        lost: dict[str, Any] = {CAPABILITIES[name]: False for name in self.refused if name in CAPABILITIES}
        return replace(self.capabilities, **lost)

    def request(self, call: Call) -> dict[str, object]:
        """The request body for ``call`` as a streamed chat completion.

        Raises:
            CapabilityMissing: the call needs a prefill, which the server would take for a finished message,
                or a parameter that the server refuses.
        """
        can, top = self.capabilities, call.sampling.top_logprobs
        body = self._common(call) | {"messages": call.prompt.messages()}
        if top is not None and can.logprobs:
            body |= logprobs(top)
        if call.prompt.prefill:
            if not can.assistant_prefill:
                raise CapabilityMissing(
                    f"{can.model} cannot continue an assistant's text here: end with a user's segment"
                )
            if self.prefill_flags:
                body |= PREFILL_FLAGS
        return self._accepted(body)

    def plain_request(self, call: Call, tokens: Sequence[int]) -> dict[str, object]:
        """The request body for ``call`` as a streamed plain completion, with the prompt as ``tokens``."""
        top = call.sampling.top_logprobs
        body = self._common(call) | {"prompt": list(tokens)}
        for name in ("tools", "tool_choice"):  # they are in the tokens, and of chats alone
            body.pop(name, None)
        if top is not None and self.capabilities.logprobs:
            body["logprobs"] = top
        return self._accepted(body)

    def _accepted(self, body: Mapping[str, object]) -> dict[str, object]:
        for name in NEEDED.keys() & body.keys() & self.refused:
            raise CapabilityMissing(
                f"{self.capabilities.model} has no {_WORDS[NEEDED[name]]}: its server refuses {name!r}"
            )
        return without(body, self.refused)

    def _common(self, call: Call) -> dict[str, object]:
        can, sampling = self.capabilities, call.sampling
        body: dict[str, object] = {
            "model": can.model,
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.top_p != 1.0:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.code is not None:
            if not can.arithmetic_sampling:
                raise CapabilityMissing(
                    f"{can.model} has no arithmetic sampling here: its server would draw as it always does"
                )
            body |= arithmetic(sampling.code)
        if call.schema is not None and can.guided_json:
            body |= response_format(call.schema)
        if call.grammar is not None and can.guided_grammar:
            body |= guided_by(self.grammar, call.grammar)
        if call.functions and can.function_calls:
            body |= tools(call.functions, self.tool_choice)
        if call.priority and can.priority:
            body["priority"] = round(self.priority_sign * call.priority * _PRIORITY_STEPS)
        if can.cache_salt:
            body["cache_salt"] = salt_of(call.tenant)
        if call.return_token_ids and can.token_ids_out:
            body["return_token_ids"] = True
        return body


def arithmetic(code: object) -> dict[str, object]:
    """The fields that ask our logits processor in vLLM to draw by this code."""
    return {"vllm_xargs": {"arithmetic_code": code}}


def logprobs(top: int) -> dict[str, object]:
    """The fields that ask for log-probabilities, with ``top`` alternatives per token."""
    return {"logprobs": True, "top_logprobs": top}


def response_format(schema: object) -> dict[str, object]:
    """The fields that ask for JSON that satisfies this schema."""
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    }


def guided_by(field: str, grammar: str) -> dict[str, object]:
    """The field that asks for a text of this grammar, which is one of :data:`GRAMMARS`."""
    return {field: GRAMMARS[field](grammar)}


def tools(functions: Iterable[Function], choice: str) -> dict[str, object]:
    """The fields that offer functions to the model, to call as many of them at once as it likes."""
    return {"tools": [each.as_tool() for each in functions], "tool_choice": choice}


def salt_of(tenant: str) -> str:
    """A tenant's salt: servers restrict its characters and length, and need not learn the tenant's name."""
    return blake2b(tenant.encode(), digest_size=16).hexdigest()
