"""Rules by name: what a command line, a request or a journal writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, fields
from typing import Any, TypeVar

from orchestrator.consensus.stopping.combinators import AllOf, AnyOf, AtLeast
from orchestrator.consensus.stopping.confidence import DeepConfOffline, DeepConfOnline
from orchestrator.consensus.stopping.counting import (
    AdaptiveConsistency,
    Beta,
    EarlyStopping,
    EntropyThreshold,
    FirstAgreement,
    FixedN,
)
from orchestrator.consensus.stopping.elastic import Elastic
from orchestrator.consensus.stopping.kinds import AcrossKinds
from orchestrator.consensus.stopping.limits import Deadline, FirstVerified, TokenBudget
from orchestrator.consensus.stopping.probing import ParallelProbe
from orchestrator.consensus.stopping.rounds import RoundRule, SeatSecretary, SeatThreshold
from orchestrator.consensus.stopping.rule import Rule, Settings
from orchestrator.consensus.stopping.tournament import Tournament
from orchestrator.consensus.stopping.view import Json, StopRule

RULES: Mapping[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        FixedN,
        FirstAgreement,
        AdaptiveConsistency,
        EarlyStopping,
        Beta,
        EntropyThreshold,
        DeepConfOffline,
        DeepConfOnline,
        ParallelProbe,
        FirstVerified,
        Deadline,
        TokenBudget,
        Elastic,
        AcrossKinds,
        Tournament,
    )
}
"""The rules that a spec can name, besides the combinations ``any``, ``all`` and ``at_least``."""

ROUND_RULES: Mapping[str, type[SeatThreshold | SeatSecretary]] = {
    rule.name: rule for rule in (SeatThreshold, SeatSecretary)
}
"""The rules between rounds that a spec can name."""

DEFAULT_RULE = "elastic:patience=0.56,quorum=10"
"""The rule of a vote that does not ask for another. A run records it, so that it can be changed."""

FIRST_DEFAULT_RULE = "elastic"
"""What it was before runs recorded it."""

COMBINATIONS = ("any", "all", "at_least")

Named = TypeVar("Named", bound=Settings)


class RuleError(ValueError):
    """A spec names no rule, or gives a rule a setting that it does not take."""


def parse_rule(spec: str | Mapping[str, Json], *, width: int | None = None) -> StopRule:
    """The rule that ``spec`` names.

    ``"beta"``, ``"beta:0.99"`` and ``"beta:threshold=0.99,width=16"`` are rules;
    ``"any(elastic; deadline:30)"``, ``"all(beta; entropy)"`` and ``"at_least(3; beta)"`` combine them. The
    same as JSON: ``{"rule": "beta", "threshold": 0.99}``, ``{"rule": "any", "rules": [...]}`` and
    ``{"rule": "at_least", "finished": 3, "rules": [...]}``. ``width`` is used where the spec gives none.

    Raises:
        RuleError: the message says what is wrong and what would be right.
    """
    usual = {} if width is None else {"width": width}
    if isinstance(spec, str):
        name, bracket, inside = spec.strip().partition("(")
        name = name.strip()
        if not bracket or ":" in name:
            return _named(spec, RULES, usual)
        if not inside.endswith(")"):
            raise RuleError(f"{spec!r} lacks its closing bracket")
        return _combination(name, _split(inside[:-1]), width)
    name = str(spec.get("rule", ""))
    if name not in COMBINATIONS:
        return _named(spec, RULES, usual)
    parts = spec.get("rules", ())
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        raise RuleError(f"rules of {name!r} must be a list, got {parts!r}")
    first = [str(spec.get("finished", ""))] if name == "at_least" else []
    return _combination(name, [*first, *(part for part in parts if isinstance(part, str | Mapping))], width)


def parse_round_rule(spec: str | Mapping[str, Json], *, copies: float | None = None) -> RoundRule:
    """The rule between rounds that ``spec`` names: ``"seat:0.3,rounds=4"`` or ``"seat_secretary"``.

    ``copies`` is used where the spec gives none.

    Raises:
        RuleError: the message says what is wrong and what would be right.
    """
    return _named(spec, ROUND_RULES, {} if copies is None else {"copies": copies})


def _combination(name: str, parts: Sequence[str | Mapping[str, Json]], width: int | None) -> StopRule:
    if name not in COMBINATIONS:
        raise RuleError(f"rules are combined by {', '.join(COMBINATIONS)}, not by {name!r}")
    try:
        if name == "at_least":
            if len(parts) != 2 or not isinstance(parts[0], str) or not parts[0].strip().isdigit():
                raise RuleError(
                    f"at_least takes a number and one rule, as in 'at_least(3; beta)', got {parts}"
                )
            return AtLeast(int(parts[0]), parse_rule(parts[1], width=width))
        rules = tuple(parse_rule(part, width=width) for part in parts)
        return AnyOf(rules) if name == "any" else AllOf(rules)
    except RuleError:
        raise
    except ValueError as error:
        raise RuleError(f"{name}: {error}") from error


def _split(inside: str) -> list[str]:
    """The parts between semicolons that are in no inner bracket."""
    parts, depth = [""], 0
    for char in inside:
        depth += (char == "(") - (char == ")")
        if char == ";" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in map(str.strip, parts) if part]


def _named(
    spec: str | Mapping[str, Json], known: Mapping[str, type[Named]], usual: Mapping[str, int | float]
) -> Named:
    name, settings = _read(spec) if isinstance(spec, str) else (str(spec.get("rule", "")), dict(spec))
    settings.pop("rule", None)
    if name not in known:
        raise RuleError(f"no rule is called {name!r}; there are {', '.join(sorted(known))}")
    rule = known[name]
    taken: dict[str, Field[Any]] = {each.name: each for each in fields(rule)}
    values = dict(usual)
    for key, value in settings.items():
        setting = key or next(iter(taken))
        if setting not in taken:
            raise RuleError(f"rule {name!r} has no setting {setting!r}; it has {', '.join(taken)}")
        values[setting] = _number(name, setting, value, taken[setting].default)
    try:
        return rule(**values)
    except ValueError as error:
        raise RuleError(f"rule {name!r}: {error}") from error


def _read(spec: str) -> tuple[str, dict[str, Json]]:
    """The name and the settings of a spec; a first setting without a name gets an empty name."""
    name, _, given = spec.strip().partition(":")
    settings: dict[str, Json] = {}
    for part in filter(None, (part.strip() for part in given.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals and settings:
            raise RuleError(f"only the first setting of rule {name!r} may go without a name, got {part!r}")
        settings[key if equals else ""] = value if equals else part
    return name.strip(), settings


def _number(name: str, key: str, value: Json, default: object) -> int | float:
    wanted = int if isinstance(default, int) else float
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = wanted(value)
            if number == float(value):
                return number
    kind = "a whole number" if wanted is int else "a number"
    raise RuleError(f"rule {name!r}: {key} must be {kind}, got {value!r}")
