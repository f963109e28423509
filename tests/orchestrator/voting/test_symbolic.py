"""Mathematics is compared in a process that can be ended."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.voting import symbolic
from workers.errors import ToolError

pytestmark = pytest.mark.skipif(not symbolic.AVAILABLE, reason="needs the extra math")


async def equal(left: str, right: str) -> object:
    return await symbolic.MATH_EQUAL.invoke({"left": left, "right": right})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (r"\frac{\sqrt{2}}{2}", r"1/\sqrt{2}", True),
        ("x=5", "5", True),
        ("x^2-1", "(x-1)(x+1)", True),
        (r"2\sqrt{3}", r"3\sqrt{2}", False),
        ("> 5", "5", False),
        ("0.0000001", "0.0000002", False),
        (r"10^{-10}", r"\frac{1}{10^{10}}", True),
        (r"50\%", "0.5", True),
        (r"\ne 5", "5", False),
        (r"A \cup 5", "5", False),
        ("", "", False),
        ("5\n6", "6", False),
        ("\ud800", "5", False),
    ],
)
async def test_values_are_compared_and_no_number_is_taken_out_of_something_else(
    left: str, right: str, same: bool
) -> None:
    assert await equal(left, right) is same


async def test_numbers_that_nobody_can_compute_hold_up_nothing() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(ToolError, match="cannot be compared"):
        await equal("10^{10^{9}}", "3")
    ticking.cancel()
    assert ticks > 10  # of 300
    assert await equal("1/2", "2/4") is True  # the next one has a process again


async def test_a_process_that_has_died_meanwhile_is_replaced() -> None:
    assert await equal("1/2", "2/4") is True
    for process in symbolic.PROGRAM.idle:
        process.kill()
        process.wait()
    assert await equal("1/2", "3/4") is False
