"""What one OpenAI-compatible server understands beyond the common protocol, and calls written for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from workers.calls import Call
from workers.engine import Capabilities
from workers.errors import CapabilityMissing

PREFILL_FLAGS: dict[str, object] = {"continue_final_message": True, "add_generation_prompt": False}
"""What vLLM wants to be told before it continues the assistant's last message."""

_PRIORITY_STEPS = 1000
"""Servers take whole numbers, and priorities here are often seconds: keep milliseconds."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to talk to a server: its capabilities, and what they take on the wire.

    ``priority_sign`` is 1 where larger numbers go first, -1 where smaller do. ``prefill_flags`` tells that
    a prefill takes vLLM's flags; without them the server continues an assistant's last message anyway.
    ``owner`` is whom the server names as the owner of the model, as a rule the name of its own kind.
    """

    capabilities: Capabilities
    priority_sign: int = 1
    prefill_flags: bool = False
    owner: str = ""

    def request(self, call: Call) -> dict[str, object]:
        """The body that asks for the completion of ``call`` as a stream of a chat.

        Raises:
            CapabilityMissing: the call needs a prefill that the server would take for a finished message.
        """
        can, top = self.capabilities, call.sampling.top_logprobs
        body = self._common(call) | {"messages": call.prompt.messages()}
        if top is not None and can.logprobs:
            body |= logprobs(top)
        if call.prompt.prefill:
            if not can.assistant_prefill:
                raise CapabilityMissing(
                    f"{can.model} cannot continue an assistant's text here: let a user's segment be last"
                )
            if self.prefill_flags:
                body |= PREFILL_FLAGS
        return body

    def plain_request(self, call: Call, tokens: Sequence[int]) -> dict[str, object]:
        """The body that asks for it as a stream of a plain completion, with the prompt as ``tokens``."""
        top = call.sampling.top_logprobs
        body = self._common(call) | {"prompt": list(tokens)}
        return body if top is None or not self.capabilities.logprobs else body | {"logprobs": top}

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
        if call.schema is not None and can.guided_json:
            body |= response_format(call.schema)
        if call.priority and can.priority:
            body["priority"] = round(self.priority_sign * call.priority * _PRIORITY_STEPS)
        if can.cache_salt:
            body["cache_salt"] = salt_of(call.tenant)
        if call.return_token_ids and can.token_ids_out:
            body["return_token_ids"] = True
        return body


def logprobs(top: int) -> dict[str, object]:
    """The fields that ask for log-probabilities, with so many alternatives a token."""
    return {"logprobs": True, "top_logprobs": top}


def response_format(schema: object) -> dict[str, object]:
    """The fields that ask for JSON of this schema."""
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    }


def salt_of(tenant: str) -> str:
    """Servers restrict the characters and the length of a salt, and need not learn the tenant's name."""
    return blake2b(tenant.encode(), digest_size=16).hexdigest()
