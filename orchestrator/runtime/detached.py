"""Planner code is advanced by the executor, not by asyncio: while it runs, asyncio has no current task.

The timeouts and task groups of asyncio would cancel the executor's own task, so they must refuse to work in
planner code. The two functions used for that are the ones that asyncio offers to other task implementations
(see "Task lifetime support" in the chapter "Extending" of its documentation). No other module uses them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def send(coroutine: Coroutine[Any, Any, Any]) -> object:
    """Run ``coroutine`` until it waits for something, and return what it waits for.

    Raises:
        StopIteration: the coroutine has ended; holds the value that it returned.
        BaseException: whatever the coroutine raised.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asyncio._leave_task(loop, task)
    try:
        return coroutine.send(None)
    finally:
        asyncio._enter_task(loop, task)
