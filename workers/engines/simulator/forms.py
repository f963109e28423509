"""How a simulator that is a server writes its answers: as JSON, in the same forms as vLLM."""

from __future__ import annotations

import json
import time

from workers.calls import Usage


class Form:
    """How the answers to one request are written."""

    def __init__(self, number: int, model: str, *, chat: bool) -> None:
        self._chat = chat
        kind = "chat.completion" if chat else "text_completion"
        rest = f'"created":{int(time.time())},"model":{json.dumps(model)}'
        self._whole = f'{{"id":"{kind}-{number}","object":"{kind}",{rest}'
        self._piece = self._whole.replace(f'"{kind}",', f'"{kind}.chunk",') if chat else self._whole

    def event(self, text: str, reason: str | None) -> str:
        """A piece of the text as an event of a stream."""
        return f"data: {self._piece},{self._choices('delta', text, reason)}}}\n\n"

    def usage_event(self, usage: Usage) -> str:
        """The usage as an event of a stream."""
        return f'data: {self._piece},"choices":[],{_usage_field(usage)}}}\n\n'

    def whole(self, text: str, reason: str | None, usage: Usage) -> str:
        """The answer in one piece."""
        return f"{self._whole},{self._choices('message', text, reason)},{_usage_field(usage)}}}"

    def _choices(self, field: str, text: str, reason: str | None) -> str:
        said = json.dumps(text)
        content = f'"{field}":{{"role":"assistant","content":{said}}}' if self._chat else f'"text":{said}'
        return f'"choices":[{{"index":0,{content},"logprobs":null,"finish_reason":{json.dumps(reason)}}}]'


def _usage_field(usage: Usage) -> str:
    return (
        f'"usage":{{"prompt_tokens":{usage.prompt_tokens},"completion_tokens":{usage.completion_tokens},'
        f'"total_tokens":{usage.prompt_tokens + usage.completion_tokens},'
        f'"prompt_tokens_details":{{"cached_tokens":{usage.cached_tokens}}}}}'
    )
