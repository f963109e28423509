"""``estimate``, over a real server and database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.orchestrator.cli.test_commands import Done, anabranch, database, server

__all__ = ["anabranch", "database", "server"]
Command = Callable[..., Done]


def test_too_few_runs_are_refused_and_enough_make_a_table(
    anabranch: Command, server: str, database: str
) -> None:
    where = ("--database", database)
    refused = anabranch("estimate", *where)
    assert refused.code == 2
    assert "there are 0 branches of 0 votes to predict from (planner vote, model any)" in refused.err
    for number in range(5):
        options = ("-p", "vote", "-o", "rule=fixed:5", "--seed", str(number), "--engine", server)
        assert anabranch("solve", "How many clips?", *options, *where).code == 0
    made = anabranch("estimate", "--n", "1,4,8", "--rule", "fixed", *where, "--json").json
    assert (made["branches"], made["votes"]) == (25, 5)
    assert [row["width"] for row in made["rows"]] == [1, 4, 8]
    assert [row["repeated"] > 0 for row in made["rows"]] == [False, False, True]
    shown = anabranch("estimate", "--n", "1,8", "--rule", "fixed", "-o", "max_tokens=1024", *where)
    assert shown.code == 0, shown.err
    assert "agreement" in shown.out
    assert "from 25 branches, in 5 votes" in shown.out
    assert "8*" in shown.out
    assert "* wider than some votes recorded" in shown.out
    chosen = anabranch(
        "solve", "How many clips?", "-p", "vote", "-o", "n=auto", "--engine", server, *where, "--json"
    )
    header = anabranch("trace", chosen.json["trace_id"], *where, "--json").json["header"]
    assert header["estimated"]["votes"] == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--n", "four"), "widths are numbers and ranges"),
        (("--rule", "deepconf"), "looks at confidence"),
        (("--planner", "nobody"), "nobody"),
        (("-o", "max_tokens"), "write key=value"),
    ],
)
def test_wrong_arguments_are_bad_usage(
    anabranch: Command, database: str, given: tuple[str, str], message: str
) -> None:
    done = anabranch("estimate", *given, "--database", database)
    assert done.code == 2
    assert message in done.err
