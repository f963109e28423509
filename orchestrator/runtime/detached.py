"""Planner code is advanced by the executor, not by asyncio: while it runs, asyncio has no current task.

The timeouts and task groups of asyncio would cancel the executor's own task, so they must refuse to work in
planner code. The two functions used for that are the ones that asyncio offers to other task implementations
(see "Task lifetime support" in the chapter "Extending" of its documentation). No other module uses them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call(function: Callable[[], T]) -> T:
    """Call ``function`` with no current task, also if there is none already.

    Raises:
        BaseException: whatever the function raises.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        return function()
    asyncio._leave_task(loop, task)
    try:
        return function()
    finally:
        asyncio._enter_task(loop, task)
