"""``python -m benchmarks.chaos --hostile``: the same tasks and kills twice, calm and among hostility."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.hostile import audit
from benchmarks.hostile.items import ITEMS, USUAL, Item, chosen
from benchmarks.hostile.processes import Crew, engine_server
from benchmarks.hostile.report import Check, Outcome, checks, table
from benchmarks.hostile.traffic import Schedule, Traffic
from benchmarks.hostile.watching import Ends, Watch
from storage.sql.database import open_database
from storage.sql.transactions import Database

MOST_SHOWN = 20
"""Lines about a failed check."""


@dataclass(frozen=True)
class Form:
    """How large a run is: good tasks, kills, processes, and what is thrown in."""

    tasks: int = 200
    kills: int = 10
    processes: int = 2
    seed: int = 1
    items: Sequence[Item] = USUAL
    patience: float = 60.0
    """Seconds that hostile tasks have left once all has been submitted."""

    @property
    def span(self) -> float:
        """Seconds over which everything is submitted.

        Who takes over from a process that was killed has time to end what it took: if all were killed as
        often as leases lapse, the times would be those of kills in a row.
        """
        return max(8.0, 0.6 * self.tasks)


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
        async with engine_server(logs) as engine:
            calm = await _run("calm", url, database, engine, form, (), logs)
            hostile = await _run("hostile", url, database, engine, form, form.items, logs)
        return Comparison(calm, hostile, checks(calm, hostile, await audit.quoting(database, logs)))
    finally:
        await database.close()


async def _run(
    name: str, url: str, database: Database, engine: str, form: Form, items: Sequence[Item], logs: Path
) -> Outcome:
    schedule = Schedule.drawn(
        form.seed, form.span, tasks=form.tasks, kills=form.kills, processes=form.processes, items=items
    )
    own_logs = logs / name
    own_logs.mkdir(parents=True)
    crew = Crew(url, engine, form.processes, own_logs)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session,
        crew.running(),
    ):
        await crew.ready()
        start = time.time()
        ends = Ends(database)
        watch = Watch(session, ends, crew.slots, start)
        traffic = Traffic(
            name, start, session=session, database=database, crew=crew, ends=ends, seed=form.seed
        )
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(ends.watch())
            looking = group.create_task(watch.look(over))
            await traffic.flow(schedule, form.span + form.patience)
            over.set()
            await looking
            watching.cancel()
        seconds = time.time() - start
        listed = await audit.listed(session, crew.slots)
    return Outcome(
        name=name,
        seconds=seconds,
        good=traffic.good,
        hostile=traffic.hostile,
        rows=await audit.rows(database),
        listed=listed,
        histories=await audit.histories(url, traffic.good),
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
        items=chosen(given.only.split(",")) if given.only else ITEMS if given.deadly else USUAL,
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
            f"other ends of processes: {ends}; {len(run.seen.samples)} probes, {len(run.seen.pages)} lists, "
            f"p95 {run.p95():.2f} s, {run.seconds:.1f} s, seed {form.seed}"
        )
    for check in found.checks:
        verdict = "ok  " if check.passed else "FAIL"
        lines.append(f"{verdict} {check.name}: {check.value:g} (at most {check.bound:g})")
    for check in found.checks:
        if not check.passed:
            lines += [f"-- {check.name}", *_summed_up(check.seen)]
    return lines


def _summed_up(seen: Sequence[str]) -> list[str]:
    """The first lines of those that differ in more than numbers, each with how many are like it."""
    alike: dict[str, list[str]] = {}
    for line in seen:
        alike.setdefault(re.sub(r"\d+", "#", line.partition(": ")[2]), []).append(line)
    lines = [
        f"   {group[0]}" + (f" (and {len(group) - 1} like it)" if group[1:] else "")
        for group in alike.values()
    ]
    more = [f"   … and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return lines[:MOST_SHOWN] + more


def _plain(check: Check) -> dict[str, object]:
    return {"name": check.name, "value": check.value, "bound": check.bound, "seen": list(check.seen)}
