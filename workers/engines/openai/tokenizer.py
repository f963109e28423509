"""The tokenizer of a server, asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workers.engines.openai.answers import Ask, garbage, read_tokens


class ServerTokenizer:
    """vLLM's ``/tokenize`` and ``/detokenize`` (:class:`workers.engines.prompt_tokens.Tokenizer`)."""

    def __init__(self, ask: Ask, model: str) -> None:
        self._ask = ask
        self._model = model

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[int]:
        """The tokens of a chat, as the server computes them for a request with these messages."""
        prefill = bool(messages) and messages[-1]["role"] == "assistant"
        return await self._tokens(
            messages=messages,
            add_generation_prompt=not prefill,
            continue_final_message=prefill,
            **({"tools": tools} if tools else {}),
        )

    async def text(self, text: str) -> list[int]:
        """The tokens of a text within a prompt, without special tokens at its start."""
        return await self._tokens(prompt=text, add_special_tokens=False)

    async def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell."""
        match await self._ask("/detokenize", {"model": self._model, "tokens": list(tokens)}):
            case {"prompt": str(text)}:
                return text
            case answer:
                raise garbage("not the text of tokens", json.dumps(answer))

    async def _tokens(self, **body: object) -> list[int]:
        match await self._ask("/tokenize", {"model": self._model, **body}):
            case {"tokens": list(tokens)}:
                return read_tokens(tokens)
            case answer:
                raise garbage("not the tokens of a text", json.dumps(answer))
