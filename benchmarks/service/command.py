"""``python -m benchmarks.service [--clients] [--quick] [--json]``: what the service bears, and what it costs.

1,000 clients follow 500 tasks by server-sent events, a third of them without ever reading, while another
process times calls that need no model. 5,000 submissions come at the same moment. The same small request is
sent in turns to a service without keys, one with keys, and one whose key has a limit. Clients, services, the
timing of calls and the engine, a simulator, are processes of their own on the same machine.

With ``--clients`` it measures something else: what OpenAI's protocol costs, at the engine itself, through
Anabranch, optillm's proxy and vllm-router, which are installed into environments of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checks import Check
from benchmarks.service import clients_report
from benchmarks.service.clients import QUICK_CLIENTS, ClientSize, clients
from benchmarks.service.doors import found_peers
from benchmarks.service.phases import Size, flood, load, price
from benchmarks.service.processes import raise_descriptors
from benchmarks.service.report import Found, as_json, lines

QUICK = Size(listeners=60, tasks=30, submissions=300, requests=200)


async def measured(size: Size, folder: Path) -> Found:
    """Run all three parts, one after the other."""
    return Found(size, await load(size, folder), await flood(size, folder), await price(size, folder))


def main() -> None:
    """Measure, print, and exit with 1 if a figure is out of its bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument(
        "--clients", action="store_true", help="what OpenAI's protocol costs, and nothing else"
    )
    parser.add_argument("--no-peers", action="store_true", help="with --clients: ours and the engine alone")
    parser.add_argument("--quick", action="store_true", help="the short form that is among the tests")
    for name, default in (("listeners", 1000), ("tasks", 500), ("submissions", 5000), ("requests", 2000)):
        parser.add_argument(f"--{name}", type=int, help=f"{default} by default")
    parser.add_argument("--patience", type=float, help="seconds that each part may take; 600 by default")
    parser.add_argument("--logs", type=Path, help="a directory for the databases and what the services write")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    raise_descriptors()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.logs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        body, told, checks = (_clients if given.clients else _service)(given, folder)
    print(json.dumps(body) if given.json else "\n".join(told))
    if not all(check.passed for check in checks):
        sys.exit(1)


def _service(given: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str], list[Check]]:
    base = QUICK if given.quick else Size()
    names = ("listeners", "tasks", "submissions", "requests", "patience")
    size = Size(
        **{
            name: getattr(base, name) if getattr(given, name) is None else getattr(given, name)
            for name in names
        }
    )
    found = asyncio.run(measured(size, folder))
    return as_json(found), lines(found), found.checks


def _clients(given: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str], list[Check]]:
    alone = given.quick or given.no_peers
    peers, missing = ({}, {}) if alone else found_peers()
    size = QUICK_CLIENTS if given.quick else ClientSize()
    found = asyncio.run(clients(size, folder, peers, missing))
    return (
        clients_report.as_json(found),
        clients_report.lines(found),
        clients_report.checks(found),
    )
