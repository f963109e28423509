"""Planner code is sent on by the executor, not by asyncio: meanwhile asyncio knows of no current task.

Its time-outs and task groups would cancel the executor's own task, so they must refuse to work in planner
code. The two functions for that are what asyncio offers to other implementations of tasks (its documentation,
chapter "Extending", "Task lifetime support"). No other module depends on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def send(coroutine: Coroutine[Any, Any, Any]) -> object:
    """Run ``coroutine`` until it waits for something, and return that.

    Raises:
        StopIteration: it has ended, with this value.
        BaseException: what it raised.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asyncio._leave_task(loop, task)
    try:
        return coroutine.send(None)
    finally:
        asyncio._enter_task(loop, task)
