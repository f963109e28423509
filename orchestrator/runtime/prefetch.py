"""Has the beginnings of prompts computed before their calls can be made, for example while a tool runs.

The beginning of a prompt, up to the first missing result, is known long before its call. The engine is asked
to compute that part; whether it has nothing better to do is for the engine to judge. None of this is an
event: it changes when tokens are computed, but never the result of a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Protocol, runtime_checkable

import structlog

from orchestrator.runtime.messages import Message, Part, render
from orchestrator.runtime.nodes import Node, Succeeded
from workers.calls import Prompt
from workers.contained import contained
from workers.engine import Engine
from workers.showing import raised

log = structlog.get_logger()

MOST = 8
"""The most prompts to remember. A busy engine refuses them again and again, which is not free."""


@runtime_checkable
class Warms(Engine, Protocol):
    """An engine that computes prompts ahead of the calls that will begin with them."""

    async def warm(self, prompt: Prompt, *, tenant: str, role: str) -> bool:
        """Compute ``prompt`` ahead of its call, and return whether that was done.

        Nothing is done if the engine is busy or already has the prompt, or if the prompt is short. Must not
        hold up any call. Raises nothing.
        """
        ...


class Prefetch:
    """The expected prompts of one run. They are computed one after another.

    A prompt is known by the path of its node, or by another name that stands for the next call of a scope.
    ``leased`` is awaited before the engine is asked, which may cost as much as a call.
    """

    def __init__(self, engine: Engine | None, tenant: str, leased: Callable[[], Awaitable[None]]) -> None:
        self._engine: Warms | None = engine if isinstance(engine, Warms) else None
        self._tenant = tenant
        self._leased = leased
        self._group: asyncio.TaskGroup | None = None
        self._expected: dict[str, tuple[Prompt, str]] = {}
        self._task: asyncio.Task[None] | None = None
        self._current = ""

    def open(self, group: asyncio.TaskGroup) -> None:
        """Work in ``group`` from now on."""
        self._group = group

    def close(self) -> None:
        """Stop, and expect no more calls."""
        self._expected.clear()
        if self._task is not None:
            self._task.cancel()

    def expect(self, name: str, messages: Sequence[Message], role: str) -> None:
        """Expect a call with these messages once the results in them are ready."""
        if self._engine is None or len(self._expected) >= MOST:
            return
        prompt = known(messages)
        if prompt.segments and (prompt, role) not in self._expected.values():
            self._expected[name] = (prompt, role)
            self.look()

    def begun(self, name: str) -> None:
        """The call is being made. A prefetch that is under way goes on: the engine lets the call join it."""
        self._expected.pop(name, None)

    def dropped(self, name: str) -> None:
        """The call will not be made."""
        self._expected.pop(name, None)
        if self._task is not None and name == self._current:
            self._task.cancel()

    def look(self) -> None:
        """The engine may have become idle: ask it."""
        if self._expected and self._group is not None and (self._task is None or self._task.done()):
            self._task = self._group.create_task(self._warm(), name="prefetch")

    async def _warm(self) -> None:
        for name, (prompt, role) in list(self._expected.items()):
            if self._engine is None or name not in self._expected:
                continue
            self._current = name
            await self._leased()
            warm = partial(self._engine.warm, prompt, tenant=self._tenant, role=role)
            try:
                if await contained(warm, "warming a prompt"):
                    self._expected.pop(name, None)
            except Exception as error:
                log.exception("contract broken", by="warm of the engine", error=raised(error))
                self._engine = None


def known(messages: Sequence[Message]) -> Prompt:
    """The beginning of a prompt, up to the first missing result."""
    begun: list[Message] = []
    for message in messages:
        begun.append(replace(message, parts=tuple(takewhile(_there, message.parts))))
        if len(begun[-1].parts) < len(message.parts):
            break
    return render(begun)


def _there(part: Part) -> bool:
    return not isinstance(part, Node) or isinstance(part.outcome, Succeeded)
