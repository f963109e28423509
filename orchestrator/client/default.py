"""The default client of a program, set up from the environment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import cache
from typing import Unpack

from orchestrator.client.blocking import Client
from orchestrator.client.plan import SolveOptions
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.solution import Solution
from storage.events import Event


@cache
def default_client() -> Client:
    """The client behind :func:`solve` and its siblings, set up from the environment."""
    return Client()


def solve(query: str, **options: Unpack[SolveOptions]) -> Solution:
    """Answer a question with the default client; see :meth:`Client.solve`."""
    return default_client().solve(query, **options)


async def asolve(query: str, **options: Unpack[SolveOptions]) -> Solution:
    """Answer a question with the default client; see :meth:`Client.asolve`."""
    return await default_client().asolve(query, **options)


def stream(query: str, **options: Unpack[SolveOptions]) -> AsyncGenerator[Event | Progress | Solution, None]:
    """The events of a solve as they happen, with the default client; see :meth:`Client.stream`."""
    return default_client().stream(query, **options)
