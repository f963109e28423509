"""The tokens of prompts, so that a completion is continued from the very tokens that the engine generated.

A text is not always tokenised into the tokens that it was generated as: a model that wrote "Hel" and "lo" is
asked to continue "Hello", and from there on no cache has the state. A prompt that ends with known tokens is
therefore sent as tokens: those of the chat before, the known ones, and those of any further text.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import structlog

from workers.calls import Prompt, Segment
from workers.errors import WorkerError
from workers.functions import Function

CAPACITY = 1 << 20
"""The most tokens that are remembered, at four bytes each."""

_ENTRY = 64
"""What an entry takes besides its tokens, in tokens."""

_log = structlog.get_logger()


class Tokenizer(Protocol):
    """What a server can be asked. All methods raise what calls to the server raise."""

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> Sequence[int]:
        """The tokens of a chat, ready for the assistant's answer, or to continue it if it comes last.

        ``tools`` are what the assistant may call.
        """
        ...

    async def text(self, text: str) -> Sequence[int]:
        """The tokens of a text within a prompt, without special tokens at its start."""
        ...

    async def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, special ones included."""
        ...


class PromptTokens:
    """Finds the tokens of prompts, and remembers as many as there is room for."""

    def __init__(self, tokenizer: Tokenizer, *, capacity: int = CAPACITY) -> None:
        self._tokenizer = tokenizer
        self._capacity = capacity
        self._size = 0
        self._known: OrderedDict[bytes, array[int]] = OrderedDict()

    async def of(self, prompt: Prompt, functions: tuple[Function, ...] = ()) -> Sequence[int]:
        """The tokens that the engine computes for ``prompt``, with the functions that may be called."""
        return await self.continued(prompt, functions) or await self._chat(prompt, functions)

    async def continued(self, prompt: Prompt, functions: tuple[Function, ...] = ()) -> Sequence[int] | None:
        """The tokens of a prompt that ends with known ones; None if it does not, or they are not its text.

        They are not if another model generated them, or if a text does not show what they spell (special
        tokens, half a character in the middle). None also if the server does not answer; the call itself
        will then show what is wrong.
        """
        stem, end = prompt.split()
        if not end or not stem.segments:
            return None
        try:
            joined = await self._remembered(
                "joined", (prompt.segments, functions), lambda: self._joined(stem, functions, end)
            )
        except WorkerError as error:
            _log.info("tokens cannot be looked up", action="tokens_ignored", reason=str(error))
            return None
        return joined or None

    async def _joined(
        self, stem: Prompt, functions: tuple[Function, ...], end: Sequence[Segment]
    ) -> Sequence[int]:
        """The tokens of both, one after the other; none if those of the end do not spell its text."""
        chat = await self._chat(stem, functions)
        own: list[int] = []
        for segment in end:
            own += segment.token_ids or await self._text(segment.text)
        if await self._tokenizer.spell(own) != "".join(segment.text for segment in end):
            _log.info("tokens do not spell their text", action="tokens_ignored", tokens=len(own))
            return ()
        return (*chat, *own)

    async def _chat(self, prompt: Prompt, functions: tuple[Function, ...]) -> Sequence[int]:
        return await self._remembered(
            "chat",
            (prompt.segments, functions),
            lambda: self._tokenizer.chat(prompt.messages(), [each.as_tool() for each in functions]),
        )

    async def _text(self, text: str) -> Sequence[int]:
        return await self._remembered("text", text, lambda: self._tokenizer.text(text))

    async def _remembered(
        self, kind: str, what: object, ask: Callable[[], Awaitable[Sequence[int]]]
    ) -> Sequence[int]:
        # Keyed by a strong hash instead of the text: a collision would send another prompt.
        key = blake2b(repr((kind, what)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        tokens = array("I", await ask())
        if key not in self._known:  # nobody else asked meanwhile
            self._size += len(tokens) + _ENTRY
        self._known[key] = tokens
        while self._size > self._capacity and len(self._known) > 1:
            self._size -= len(self._known.popitem(last=False)[1]) + _ENTRY
        return tokens
