"""The command ``workers``: the engine of a running service, as the service reports it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress

import aiohttp
import typer
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from yarl import URL

from orchestrator.bodies import WorkerBody, WorkersBody
from orchestrator.cli.printing import output, table
from orchestrator.cli.saying import say_json, tell
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.remote.address import Address

INTERRUPTED = 130
_REFUSED = {
    401: "it wants a key; give one as --key or in ANABRANCH_KEY",
    403: "the key does not have the scope 'read'",
}
PATIENCE_SECONDS = 10.0
"""How long a service may take to answer; its health check of an engine may take some seconds."""


def show_workers(
    address: str, *, key: str | None, plain_http: bool, watch: bool, every: float, as_json: bool
) -> None:
    """Print the workers of the service at ``address``; with ``watch`` again every ``every`` seconds.

    ``key`` is what it asks for once it has keys; over ``plain_http`` to another machine only if that is said.

    Raises:
        InvalidRequest: the address is not a URL, or the key may not be sent there.
        Unavailable: no service answers there.
    """
    url = _base(address) / "v1/workers"
    headers = Address.of(address, key, plain_http=plain_http).headers
    try:
        asyncio.run(_show(url, headers, every if watch else None, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _base(address: str) -> URL:
    with suppress(ValueError):  # an invalid port
        url = URL(address)
        if url.scheme in ("http", "https") and url.host:
            return url
    raise InvalidRequest(f"--url {address!r}: write it like http://127.0.0.1:8080")


async def _show(url: URL, headers: Mapping[str, str], every: float | None, *, as_json: bool) -> None:
    async with aclosing(_looks(url, headers, every)) as looks:
        if as_json:
            async for workers, wrong in looks:
                if wrong:
                    tell(wrong)
                else:
                    say_json(workers.model_dump_json())
        elif every is None:
            async for workers, _ in looks:
                output().print(_drawn(workers))
        else:
            with Live(console=Terminal(), auto_refresh=False) as live:
                async for workers, wrong in looks:
                    live.update(Group(_drawn(workers), Text(wrong, style="red")), refresh=True)


async def _looks(
    url: URL, headers: Mapping[str, str], every: float | None
) -> AsyncGenerator[tuple[WorkersBody, str], None]:
    """The workers, repeatedly, each time with what is wrong, if anything: a lost service may come back."""
    patience = aiohttp.ClientTimeout(PATIENCE_SECONDS)
    async with aiohttp.ClientSession(timeout=patience, headers=headers) as session:
        workers, wrong = await _ask(session, url), ""
        while True:
            yield workers, wrong
            if every is None:
                return
            await asyncio.sleep(every)
            try:
                workers, wrong = await _ask(session, url), ""
            except Unavailable as error:
                wrong = str(error)


async def _ask(session: aiohttp.ClientSession, url: URL) -> WorkersBody:
    try:
        async with session.get(url, allow_redirects=False) as response:
            body = await response.read()
            if response.status == 200:
                return WorkersBody.model_validate_json(body)
            if (refused := _REFUSED.get(response.status)) is not None:
                raise _gone(f"the service at {url.origin()} does not say: {refused}")
            wrong = f"status {response.status}"
    except ValidationError:
        wrong = "an unexpected answer"
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or f"no answer within {PATIENCE_SECONDS:g} s"
        raise _gone(
            f"no service answers at {url.origin()} ({reason}); "
            "start one with `anabranch serve`, or say with --url where it is"
        ) from None
    raise _gone(f"the server at {url.origin()} is not a service of this version: {wrong} from {url.path}")


def _gone(message: str) -> Unavailable:
    return Unavailable(message, code="no_service", http_status=503, retryable=True)


def _drawn(workers: WorkersBody) -> RenderableType:
    columns = ("worker", "model", "roles", "state", "running", "waiting", "hits", "prefill", "done", "failed")
    rows = [tuple(_cells(worker)) for worker in workers.replicas]
    told = [
        Text(f"{worker.name}: {worker.detail.removeprefix(worker.name).lstrip()}", style="red")
        for worker in workers.replicas
        if worker.detail
    ]
    return Group(Text(_summary(workers), style="bold"), "", table(columns, rows), *told)


def _summary(workers: WorkersBody) -> str:
    up = sum(worker.state == "up" for worker in workers.replicas)
    running = sum(worker.in_flight for worker in workers.replicas)
    wasted = sum(worker.wasted_tokens for worker in workers.replicas)
    ideal = "" if workers.ideal_hit_ratio is None else f" of {workers.ideal_hit_ratio:.1%} possible"
    parts = (
        f"{up} of {len(workers.replicas)} up",
        f"{running} calls running, {workers.waiting} waiting",
        f"{workers.families} families",
        f"prefix hits {_share(workers.hit_ratio)}{ideal}",
        f"{wasted:,} tokens wasted",
        *([f"{workers.restarts} restarts"] if workers.restarts else []),
        *([f"{workers.refused} refused"] if workers.refused else []),
    )
    return " · ".join(parts)


def _cells(worker: WorkerBody) -> Iterator[str]:
    yield worker.name
    yield worker.model
    yield ", ".join(worker.roles) or "all others"
    yield worker.state
    yield f"{worker.in_flight} of {worker.limit}" if worker.limit is not None else str(worker.in_flight)
    yield str(worker.queued + worker.held)
    yield _share(worker.hit_ratio)
    yield f"{worker.prefill_tokens_per_s:,.0f} tok/s" if worker.prefill_tokens_per_s is not None else ""
    yield f"{worker.finished:,}"
    yield f"{worker.failed:,}" if worker.failed else ""


def _share(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"
