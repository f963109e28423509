"""The short form of the run among hostility, and how it judges what it sees."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.hostile import good, rows
from benchmarks.hostile.command import Form, compared, told
from benchmarks.hostile.items import ITEMS, chosen
from benchmarks.hostile.processes import Life, Slot
from benchmarks.hostile.traffic import GOOD, Schedule
from benchmarks.hostile.watching import IDLE, RECOVERY, Page, Sample, Seen
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.opening import open_store
from storage.sql.database import open_database
from workers.engines.simulator.engine import Simulator

SAMPLE = (
    "planner.returns_number",
    "planner.raises_system_exit",
    "planner.loops",
    "tool.raises_base",
    "tool.huge_result",
    "engine.beyond_max_tokens",
    "engine.unauthorized",
    "row.question_not_json",
    "row.error_of_another_type",
    "row.event_not_json",
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_good_tasks_do_not_notice_hostile_ones(tmp_path: Path) -> None:
    """How much slower they get is measured where nothing else runs."""
    form = Form(tasks=20, kills=1, items=chosen(SAMPLE), patience=40.0)
    found = asyncio.run(compared(f"sqlite:///{tmp_path / 'hostile.db'}", form, tmp_path))
    broken = [check.name for check in found.checks if not check.passed and not check.name.startswith("p95")]
    assert not broken, "\n".join(told(found, form))
    assert found.hostile.kills == 1


# -- what it judges by --------------------------------------------------------------------------------


def slot() -> Slot:
    """A process with the id 7 that has answered since second 1."""
    made = Slot(0, 80)
    made.lives.append(Life("serve-0-0", 7, 0.0, answered=1.0))
    return made


def sample(before: str, after: str, *, said: float = 2.0, **seen: object) -> Sample:
    return Sample(slot(), 7, said, said, said, before, after, **seen)  # type: ignore[arg-type]


def solved_elsewhere() -> Sample:
    return sample("ok", "ok", task_id="elsewhere", ended=True)


def modest(said: float) -> Sample:
    return sample("503", "503", said=said, task_id="here", ended=True)


BACK = 4.0
"""When a process works again."""
LAST = BACK + RECOVERY - 1e-9  # sums of fractions are not exact

SOLVED = {"here": "7", "elsewhere": "8", "failed": "failed engine_unavailable"}


@pytest.mark.parametrize(
    "look",
    [
        sample("ok", "ok", task_id="here", ended=True),
        solved_elsewhere(),
        sample("ok", "ok", task_id="late", holder="8"),
        sample("503", "ok", answer="503 engine_unavailable"),
        sample("ok", "503", task_id="failed", ended=True),
        sample("503", "503", task_id="elsewhere", ended=True),
        sample("TimeoutError", "TimeoutError", answer="TimeoutError"),
    ],
)
def test_health_is_true(look: Sample) -> None:
    assert not Seen(0.0, [look]).disagreements(SOLVED)


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (sample("ok", "ok", answer="TimeoutError"), "a submission: TimeoutError"),
        (sample("ok", "ok", answer="503 draining"), "a submission: 503 draining"),
        (sample("ok", "ok", task_id="late"), "did not end, held by nobody"),
        (sample("ok", "ok", task_id="late", holder="7"), "did not end, held by 7"),
        (sample("ok", "ok", task_id="failed", ended=True), "failed engine_unavailable"),
    ],
)
def test_a_process_says_that_it_is_well_and_is_not(look: Sample, why: str) -> None:
    (found,) = Seen(0.0, [look]).disagreements(SOLVED)
    assert why in found


def test_a_process_that_was_stuck_may_say_so_for_a_moment_and_no_longer() -> None:
    moments = [BACK, LAST]
    assert not Seen(0.0, [modest(said) for said in moments]).disagreements(SOLVED)
    (found,) = Seen(0.0, [modest(said) for said in (*moments, BACK + 0.5 + RECOVERY)]).disagreements(SOLVED)
    assert "says 503, then 503; but it solved a task" in found


def test_the_moment_begins_when_it_first_works_again() -> None:
    stuck = sample("ok", "503", said=BACK - 2.0, task_id="here", ended=True)  # well before, and then held up
    moments = [modest(BACK), modest(LAST)]
    assert not Seen(0.0, [stuck, *moments]).disagreements(SOLVED)
    assert Seen(0.0, [stuck, *moments, modest(BACK + 0.5 + RECOVERY)]).disagreements(SOLVED)


def test_a_process_that_is_stuck_twice_may_say_so_twice() -> None:
    again = [modest(BACK + said) for said in (1.0, 1.5 + RECOVERY / 2, 1.0 + RECOVERY - 1e-9)]
    for look in again:
        look.before = look.after = "503 for another reason"
    assert not Seen(0.0, [modest(BACK), *again]).disagreements(SOLVED)


def test_a_process_that_says_that_it_is_well_and_does_nothing_is_found() -> None:
    looks = [solved_elsewhere() for _ in range(IDLE)]
    assert not Seen(0.0, looks[1:]).disagreements(SOLVED)
    (found,) = Seen(0.0, looks).disagreements(SOLVED)
    assert "others do all the work" in found


def test_what_happens_around_a_kill_does_not_count() -> None:
    look = sample("ok", "ok", answer="ClientConnectorError")
    page = Page(look.slot, 2.0, 3.0, "ClientConnectorError")
    assert Seen(0.0, [look], [page]).disagreements(SOLVED)
    assert Seen(0.0, [look], [page]).unserved()
    look.slot.lives[0].ended = 2.3
    assert not Seen(0.0, [look], [page]).disagreements(SOLVED)
    assert not Seen(0.0, [look], [page]).unserved()


def test_good_tasks_and_kills_come_at_the_same_times_whatever_is_thrown_in() -> None:
    calm, hostile = (
        Schedule.drawn(3, 60.0, tasks=20, kills=4, processes=2, items=items) for items in ((), ITEMS)
    )
    assert (calm.good, calm.kills) == (hostile.good, hostile.kills)
    assert sorted(item.full_name for _, item in hostile.hostile) == sorted(item.full_name for item in ITEMS)


def test_items_are_chosen_by_name_and_by_kind() -> None:
    assert [item.full_name for item in chosen(["tool.hangs", "planner.loops"])] == [
        "planner.loops",
        "tool.hangs",
    ]
    assert len(chosen(["row"])) == len(rows.BY_NAME)
    with pytest.raises(ValueError, match=r"there is no 'tool\.hang'; there are planner"):
        chosen(["tool.hang"])


async def test_every_kind_of_damage_can_be_done(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'damaged.db'}"
    engine = Simulator(lambda call, rng: good.completion(call.prompt.messages()[-1]["content"]))
    async with await open_store(url) as store:
        service = Service(store, engine, planners={good.good.name: good.good})
        request = {"query": good.question(3), "planner": good.good.name, "tenant": GOOD}
        assert (await service.solve(parse(request))).answer == good.right(3)
    database = await open_database(url)
    ids = [await rows.throw(database, name) for name in rows.BY_NAME]
    await database.close()
    assert len(set(ids)) == len(rows.BY_NAME)
