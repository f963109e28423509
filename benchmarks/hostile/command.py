"""``python -m benchmarks.chaos --hostile``: the same tasks and kills twice, calm and among hostility."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.hostile import audit
from benchmarks.hostile.items import ITEMS, Item, chosen
from benchmarks.hostile.processes import Crew, Ports, engine_server
from benchmarks.hostile.report import Check, Outcome, checks, table
from benchmarks.hostile.traffic import Clients, Schedule, Sent, until
from benchmarks.hostile.watching import Ends, Watch
from storage.sql.database import Database, open_database

MOST_SHOWN = 12
"""Lines about a failed check."""


@dataclass(frozen=True)
class Form:
    """How large a run is: good tasks, kills, processes, and what is thrown in."""

    tasks: int = 200
    kills: int = 10
    processes: int = 2
    seed: int = 1
    items: Sequence[Item] = ITEMS
    patience: float = 60.0
    """Seconds that hostile tasks have left once all has been submitted."""

    @property
    def span(self) -> float:
        """Seconds over which everything is submitted."""
        return max(8.0, 0.3 * self.tasks)


@dataclass(frozen=True)
class Comparison:
    """A calm run and a hostile one, and what they must keep."""

    calm: Outcome
    hostile: Outcome
    checks: Sequence[Check]


async def compared(url: str, form: Form, logs: Path) -> Comparison:
    """Run both on the database at ``url``; what the processes write goes to the directory ``logs``."""
    database = await open_database(url)
    try:
        async with engine_server(logs) as ports:
            calm = await _run("calm", url, database, ports, form, (), logs)
            hostile = await _run("hostile", url, database, ports, form, form.items, logs)
        return Comparison(calm, hostile, checks(calm, hostile, await audit.quoting(database, logs)))
    finally:
        await database.close()


async def _run(
    name: str, url: str, database: Database, ports: Ports, form: Form, items: Sequence[Item], logs: Path
) -> Outcome:
    schedule = Schedule.drawn(
        form.seed, form.span, tasks=form.tasks, kills=form.kills, processes=form.processes, items=items
    )
    own_logs = logs / name
    own_logs.mkdir(parents=True)
    crew = Crew(url, ports, form.processes, own_logs)
    good: list[Sent] = []
    hostile: list[Sent] = []
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session,
        crew.running(),
    ):
        await crew.ready()
        clients = Clients(session, database, crew.slots, name, form.seed)
        ends = Ends(database)
        watch = Watch(session, ends, crew.slots)
        over = asyncio.Event()
        watching = asyncio.create_task(ends.watch())
        looking = asyncio.create_task(watch.look(over))
        start = time.time()
        async with asyncio.TaskGroup() as group:
            sending: list[asyncio.Task[None]] = []

            async def kill(at: float, slot: int) -> None:
                await until(start, at)
                await crew.kill(slot)

            async def submit(at: float, sent: Sent, into: list[Sent]) -> None:
                into.append(sent)
                await until(start, at)
                await (clients.ask if into is good else clients.throw)(sent)
                if sent.task_id is not None:
                    await ends.wait(sent.task_id, start + form.span + form.patience)

            for at, number in schedule.good:
                sending.append(group.create_task(submit(at, Sent(number, start + at), good)))
            for at, item in schedule.hostile:
                sending.append(group.create_task(submit(at, Sent(item, start + at), hostile)))
            killing = [group.create_task(kill(at, slot)) for at, slot in schedule.kills]
            await asyncio.wait(sending, timeout=form.span + form.patience)
            over.set()
            for task in (*sending, *killing):
                task.cancel()
        await looking
        seconds = time.time() - start
        listed = await audit.listed(session, crew.slots)
        watching.cancel()
    sent = good
    return Outcome(
        name=name,
        seconds=seconds,
        good=good,
        hostile=hostile,
        rows=await audit.rows(database),
        listed=listed,
        histories=await audit.histories(url, sent),
        seen=watch.seen,
        slots=crew.slots,
        kills=crew.kills,
        exits=crew.exits,
    )


def main(given: argparse.Namespace) -> None:
    """Run as the command line says, print what was seen, and exit with 1 if a promise was not kept."""
    form = Form(
        tasks=given.tasks,
        kills=given.kills,
        processes=given.processes,
        seed=given.seed,
        items=chosen(given.only.split(",")) if given.only else ITEMS,
    )
    logs = Path(given.logs or tempfile.mkdtemp(prefix="hostile-")).absolute()
    logs.mkdir(parents=True, exist_ok=True)
    print(f"the processes write to {logs}", file=sys.stderr)
    found = asyncio.run(compared(given.database or f"sqlite:///{logs / 'hostile.db'}", form, logs))
    if given.json:
        print(json.dumps([{**_plain(check), "passed": check.passed} for check in found.checks]))
    else:
        print("\n".join(told(found, form)))
    sys.exit(0 if all(check.passed for check in found.checks) else 1)


def told(found: Comparison, form: Form) -> list[str]:
    """What was seen, in lines."""
    hostile = found.hostile
    lines = table(hostile) if form.items else []
    for run in (found.calm, hostile):
        ends = ", ".join(f"{count} with {code}" for code, count in sorted(run.exits.items())) or "none"
        lines.append(
            f"{run.name}: {form.tasks} good tasks, {len(run.hostile)} hostile items, {run.kills} kills, "
            f"other ends of processes: {ends}; {len(run.seen.samples)} probes, {run.seen.lists} lists, "
            f"p95 {run.p95():.2f} s, {run.seconds:.1f} s, seed {form.seed}"
        )
    for check in found.checks:
        verdict = "ok  " if check.passed else "FAIL"
        lines.append(f"{verdict} {check.name}: {check.value:g} (at most {check.bound:g})")
    for check in found.checks:
        if not check.passed:
            lines += [f"-- {check.name}", *(f"   {line}" for line in check.seen[:MOST_SHOWN])]
            if len(check.seen) > MOST_SHOWN:
                lines.append(f"   … and {len(check.seen) - MOST_SHOWN} more")
    return lines


def _plain(check: Check) -> dict[str, object]:
    return {"name": check.name, "value": check.value, "bound": check.bound, "seen": list(check.seen)}
