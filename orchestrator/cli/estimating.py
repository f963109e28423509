"""The command ``estimate``: what votes of several widths would take, by what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from orchestrator.cli.printing import output, table
from orchestrator.cli.saying import dump, say
from orchestrator.cli.solving import named_value
from orchestrator.consensus.forecast import Forecast, Interval
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.opening import opened_store
from orchestrator.planning.finding import find_planner
from orchestrator.settings import Settings
from orchestrator.tasks.estimating import Basis, Estimate, estimate, widths_of

COLUMNS = ("n", "seconds", "90 % within", "tokens", "90 % within", "agreement")


def show_estimate(
    settings: Settings,
    *,
    widths: str,
    rule: str | None,
    planner: str,
    model: str | None,
    tenant: str | None,
    options: Sequence[str],
    as_json: bool,
) -> None:
    """Print the prediction.

    Raises:
        InvalidRequest: too few branches are stored, or the rule or the widths are wrong.
    """
    basis = Basis(planner, model, tenant, dict(map(named_value, options)))

    async def read() -> Estimate:
        async with opened_store(settings) as store:
            chosen = rule or DEFAULT_RULE
            return await estimate(store, find_planner, basis, rule=chosen, widths=widths_of(widths))

    made = asyncio.run(read())
    if as_json:
        dump(asdict(made))
        return
    output().print(table(COLUMNS, map(_line, made.rows)))
    for line in _basis(made):
        say(line)


def _line(row: Forecast) -> Iterable[str]:
    mark = "*" if row.repeated else ""
    return (
        f"{row.width}{mark}",
        _figure(row.seconds, ".1f"),
        _figure(row.seconds_p90, ".1f"),
        _figure(row.tokens, ",.0f"),
        _figure(row.tokens_p90, ",.0f"),
        _figure(row.agreement, ".0%"),
    )


def _figure(figure: Interval, form: str) -> str:
    return f"{figure.value:{form}} ({figure.low:{form}} to {figure.high:{form}})"


def _basis(made: Estimate) -> Iterator[str]:
    """What the prediction rests on, and what it takes for granted."""
    cut = f", and {made.cancelled:,} that were cancelled" if made.cancelled else ""
    yield (
        f"\nrule {made.rule}, planner {made.planner}, model {made.model}: "
        f"from {made.branches:,} branches{cut}, in {made.votes:,} votes"
    )
    yield f"completion tokens; the prompt of a branch has {made.prompt_tokens:,.0f} more"
    if made.paces:
        (least, _), (most, _) = made.paces[0], made.paces[-1]
        yield (
            f"pace as recorded with {least:.0f} to {most:.0f} branches beside each other, "
            "and on the same line beyond; the engine is taken to be as busy with other things as it was then"
        )
    if any(row.repeated for row in made.rows):
        yield "* wider than some votes recorded: their branches stand for several, which agree too much"
