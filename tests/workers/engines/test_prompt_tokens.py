from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from workers.calls import Prompt, Role, Segment
from workers.engines.prompt_tokens import PromptTokens
from workers.errors import CallRejected
from workers.functions import Function

HEADERS = {"system": 1, "user": 2, "assistant": 3}
HELLO = 7
"""A token of five letters, which the tokenizer here never uses by itself: to it a letter is a token."""


class Letters:
    """A tokenizer that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def chat(
        self, messages: Sequence[Mapping[str, str]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[int]:
        self.asked.append("chat")
        await asyncio.sleep(0)
        tokens = [*ords("".join(tool["function"]["name"] for tool in tools))]
        for message in messages:
            tokens += [HEADERS[message["role"]], *map(ord, message["content"])]
        return tokens if messages[-1]["role"] == "assistant" else [*tokens, HEADERS["assistant"]]

    async def text(self, text: str) -> list[int]:
        self.asked.append("text")
        return [*map(ord, text)]

    async def spell(self, tokens: Sequence[int]) -> str:
        self.asked.append("spell")
        return "".join("Hello" if token == HELLO else chr(token) for token in tokens)


def prompt(*segments: tuple[Role, str] | Segment) -> Prompt:
    return Prompt(tuple(each if isinstance(each, Segment) else Segment(*each) for each in segments))


def own(text: str, *tokens: int) -> Segment:
    return Segment("assistant", text, tokens)


def ords(text: str) -> list[int]:
    return [*map(ord, text)]


async def tokens_of(given: Prompt, tokenizer: Letters | None = None) -> list[int]:
    return list(await PromptTokens(tokenizer or Letters()).of(given))


async def test_known_tokens_are_kept_as_they_are() -> None:
    written = prompt(("user", "hi"), own("Hello!", HELLO, ord("!")))
    assert await tokens_of(written) == [2, *ords("hi"), 3, HELLO, ord("!")]
    as_text = prompt(("user", "hi"), ("assistant", "Hello!"))
    assert await tokens_of(as_text) == [2, *ords("hi"), 3, *ords("Hello!")]
    assert await PromptTokens(Letters()).continued(as_text) is None


async def test_text_before_and_after_known_tokens_joins_them() -> None:
    mixed = prompt(("user", "hi"), ("assistant", "So: "), own("Hello", HELLO), ("assistant", " you"))
    assert await tokens_of(mixed) == [2, *ords("hi"), 3, *ords("So: "), HELLO, *ords(" you")]
    twice = prompt(("user", "hi"), own("Hello", HELLO), ("assistant", "-"), own("Hello", HELLO))
    assert await tokens_of(twice) == [2, *ords("hi"), 3, HELLO, ord("-"), HELLO]


@pytest.mark.parametrize("text", ["Hello", "hello!", "", "Hello!!", "Hello! "])
async def test_tokens_that_do_not_spell_their_text_are_left_out(text: str) -> None:
    given = prompt(("user", "hi"), own(text, HELLO, ord("!")))
    assert await PromptTokens(Letters()).continued(given) is None
    plain = prompt(("user", "hi"), ("assistant", text))
    assert await tokens_of(given) == await tokens_of(plain)


async def test_what_a_server_refuses_to_spell_is_sent_as_text() -> None:
    class Refusing(Letters):
        async def spell(self, tokens: Sequence[int]) -> str:
            raise CallRejected("token 4000000000 is none of mine")

    tokenizer = Refusing()
    given = prompt(("user", "hi"), own("Hello", 4_000_000_000))
    assert await PromptTokens(tokenizer).continued(given) is None
    assert await tokens_of(given, tokenizer) == [2, *ords("hi"), 3, *ords("Hello")]


async def test_only_the_last_message_is_continued() -> None:
    earlier = prompt(("user", "hi"), own("Hello", HELLO), ("user", "and?"))
    assert await PromptTokens(Letters()).continued(earlier) is None


async def test_what_siblings_share_is_asked_once() -> None:
    tokenizer = Letters()
    tokens = PromptTokens(tokenizer)
    for end in ("a", "b", "c"):
        await tokens.of(prompt(("system", "be brief"), ("user", "hi"), own(f"Hello{end}", HELLO, ord(end))))
        await tokens.of(prompt(("system", "be brief"), ("user", "hi")))
    assert tokenizer.asked == ["chat", "spell", "spell", "spell"]
    await tokens.of(prompt(("system", "be brief"), ("user", "hi"), own("Helloa", HELLO, ord("a"))))
    assert len(tokenizer.asked) == 4


async def test_what_is_remembered_is_bounded() -> None:
    tokenizer = Letters()
    tokens = PromptTokens(tokenizer, capacity=1000)
    long = [prompt(("user", f"{number}" * 300)) for number in range(5)]
    for given in long:
        await asyncio.gather(*(tokens.of(given) for _ in range(3)))
    assert tokens._size == sum(len(known) + 64 for known in tokens._known.values()) <= 1000
    asked = len(tokenizer.asked)
    await tokens.of(long[-1])
    assert len(tokenizer.asked) == asked
    await tokens.of(long[0])
    assert len(tokenizer.asked) == asked + 1


def test_an_empty_beginning_is_no_message() -> None:
    given = prompt(("user", "hi"), ("assistant", ""))
    assert given.messages() == [{"role": "user", "content": "hi"}]
    assert given.prefill == ""
    assert prompt(("user", "hi"), ("assistant", ""), ("assistant", "So")).prefill == "So"
    assert prompt(("assistant", "a"), ("user", "hi")).prefill == ""


def test_only_an_assistant_has_tokens() -> None:
    with pytest.raises(ValueError, match="user's segment"):
        Segment("user", "hi", (1,))
    for wrong in (-1, 1 << 32):
        with pytest.raises(ValueError, match="unsigned 32-bit"):
            own("hi", 1, wrong)


async def test_the_tokens_of_a_prompt_depend_on_the_functions_that_go_with_it() -> None:
    tokenizer = Letters()
    tokens = PromptTokens(tokenizer)
    given = prompt(("user", "hi"))
    offered = (Function("f", "", {}),)
    assert [*await tokens.of(given)] == [2, *ords("hi"), 3]
    assert [*await tokens.of(given, offered)] == [*ords("f"), 2, *ords("hi"), 3]
    assert [*await tokens.of(given)] == [2, *ords("hi"), 3]
    assert tokenizer.asked == ["chat", "chat"]
    ended = prompt(("user", "hi"), own("Hello", HELLO))
    assert [*await tokens.of(ended, offered)] == [*ords("f"), 2, *ords("hi"), 3, HELLO]
