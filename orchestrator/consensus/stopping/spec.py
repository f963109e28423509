"""Rules by name: what a command line, a request or a journal writes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, fields
from typing import Any

from orchestrator.consensus.stopping.counting import Beta, FixedN
from orchestrator.consensus.stopping.rule import Rule
from orchestrator.consensus.stopping.view import Json, StopRule

RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (FixedN, Beta)}
"""The rules that a spec can name."""


class RuleError(ValueError):
    """A spec names no rule, or gives a rule what it does not take."""


def parse_rule(spec: str | Mapping[str, Json], *, width: int | None = None) -> StopRule:
    """The rule that ``spec`` names: ``"beta"``, ``"beta:0.99"``, ``"beta:threshold=0.99,width=16"``.

    The same as JSON is ``{"rule": "beta", "threshold": 0.99, "width": 16}``. ``width`` is used where the
    spec does not give one.

    Raises:
        RuleError: the message says what is wrong and what would be right.
    """
    if isinstance(spec, str):
        name, settings = _read(spec)
    else:
        settings = dict(spec)
        name = str(settings.pop("rule", ""))
    rule = _rule(name)
    known: dict[str, Field[Any]] = {each.name: each for each in fields(rule)}
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in known:
            raise RuleError(f"rule {name!r} has no setting {key!r}; it has {', '.join(_field_names(name))}")
        values[key] = _number(name, key, value, known[key].default)
    if width is not None:
        values.setdefault("width", width)
    try:
        return rule(**values)
    except ValueError as error:
        raise RuleError(f"rule {name!r}: {error}") from error


def _read(spec: str) -> tuple[str, dict[str, Json]]:
    """The name and the settings of a spec; a first setting without a name is the rule's main one."""
    name, _, given = spec.strip().partition(":")
    settings: dict[str, Json] = {}
    for part in filter(None, (part.strip() for part in given.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if equals:
            settings[key] = value
        elif settings:
            raise RuleError(f"only the first setting of rule {name!r} may go without a name, got {part!r}")
        else:
            settings[_field_names(name)[0]] = part
    return name, settings


def _rule(name: str) -> type[Rule]:
    if name not in RULES:
        raise RuleError(f"no stop rule is called {name!r}; there are {', '.join(sorted(RULES))}")
    return RULES[name]


def _field_names(name: str) -> list[str]:
    return [each.name for each in fields(_rule(name))]


def _number(name: str, key: str, value: Json, default: object) -> int | float:
    wanted = int if isinstance(default, int) else float
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = wanted(value)
            if number == float(value):
                return number
    kind = "a whole number" if wanted is int else "a number"
    raise RuleError(f"rule {name!r}: {key} must be {kind}, got {value!r}")
