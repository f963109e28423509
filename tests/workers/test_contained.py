from __future__ import annotations

import asyncio

import pytest
import structlog

from tests.workers.virtual_time import elapsed, virtual_time
from workers.contained import GRACE_SECONDS, MOST_LEFT, Escaped, Overdue, Unattended, contained, end_all


class Deaf:
    """Work that does not end when it is cancelled, until it is let go."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def __call__(self) -> None:
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                continue


async def test_results_and_errors_pass() -> None:
    async def give() -> int:
        return 5

    async def fail() -> int:
        raise ValueError("no")

    assert await contained(give, "it") == 5
    with pytest.raises(ValueError, match="no"):
        await contained(fail, "it")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()]
)
async def test_what_would_end_more_than_itself_escapes_as_an_ordinary_error(error: BaseException) -> None:
    async def leave() -> None:
        raise error

    with pytest.raises(Escaped, match=type(error).__name__) as caught:
        await contained(leave, "it")
    assert caught.value.error is error


@virtual_time
async def test_what_does_not_listen_is_left_behind_after_its_grace() -> None:
    deaf = Deaf()
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(Overdue, match="it took more than 2 s"):
            await contained(deaf, "it", seconds=2.0)
        assert asyncio.get_running_loop().time() == pytest.approx(2.0 + GRACE_SECONDS)
        assert len(asyncio.all_tasks()) == 1, "the end of the loop would wait for it"
        task = asyncio.create_task(contained(deaf, "it"))
        await asyncio.sleep(1)
        task.cancel()
        assert await elapsed(asyncio.wait([task])) == pytest.approx(GRACE_SECONDS)
        assert task.cancelled()
    assert [(line["event"], line["who"]) for line in logs] == [("left_behind", "it")] * 2
    deaf.free.set()
    await asyncio.sleep(1)


@virtual_time
async def test_work_is_not_begun_again_and_again_if_it_never_ends() -> None:
    deaf = Deaf()
    works = [contained(deaf, "it", seconds=1.0) for _ in range(MOST_LEFT)]
    await asyncio.gather(*works, return_exceptions=True)
    with pytest.raises(Overdue, match=f"it was not begun: {MOST_LEFT} earlier times"):
        await contained(deaf, "it", seconds=1.0)
    with pytest.raises(Overdue, match="other took more than 1 s"):
        await contained(deaf, "other", seconds=1.0)
    deaf.free.set()
    await asyncio.sleep(1)
    await contained(deaf, "it", seconds=1.0)


@virtual_time
async def test_an_early_result_does_not_depend_on_how_the_work_ends() -> None:
    deaf, reported = Deaf(), asyncio.Queue[Exception | None]()

    async def work() -> None:
        unattended.limit(60.0)
        unattended.complete()
        await deaf()
        raise ValueError("late")

    unattended = Unattended(work, "it", reported.put_nowait)
    assert await reported.get() is None
    assert asyncio.get_running_loop().time() < 60
    deaf.free.set()
    await asyncio.sleep(60)
    assert reported.empty()


@virtual_time
async def test_what_nothing_awaits_reports_how_it_went_once() -> None:
    deaf, reported = Deaf(), asyncio.Queue[Exception | None]()

    async def late() -> None:
        unattended.limit(2.0)
        await deaf()

    async def leave() -> None:
        raise SystemExit(3)

    unattended = Unattended(late, "it", reported.put_nowait)
    assert str(await reported.get()) == "it took more than 2 s"
    assert asyncio.get_running_loop().time() == pytest.approx(2.0 + GRACE_SECONDS)
    Unattended(leave, "it", reported.put_nowait)
    assert isinstance(await reported.get(), Escaped)
    cancelled = Unattended(deaf, "it", reported.put_nowait)
    await asyncio.sleep(1)
    cancelled.cancel()
    assert await elapsed(end_all({cancelled.task})) == pytest.approx(GRACE_SECONDS)
    assert len(asyncio.all_tasks()) == 1, "the end of the loop would wait for it"
    deaf.free.set()
    await asyncio.sleep(60)
    assert reported.empty()
