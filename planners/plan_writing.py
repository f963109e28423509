"""Steps written out: as calls in text, and as short JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from planners.plans import JOIN, Step
from planners.references import REFERENCE, mapped, reference_of

Parameters = Mapping[str, Sequence[str]]
"""The names of the arguments of each tool, in order."""


def call_text(step: Step, parameters: Parameters) -> str:
    """A step as a call, such as ``search("Paris", limit=3)``."""
    arguments = dict(step.arguments)
    written: list[str] = []
    for name in parameters.get(step.tool, ()):
        if name not in arguments:
            break
        written.append(_written(arguments.pop(name)))
    written += [f"{name}={_written(value)}" for name, value in arguments.items()]
    return f"{step.tool}({', '.join(written)})"


def plan_text(steps: Iterable[Step], parameters: Parameters, first: int = 1) -> str:
    """Steps as a plan in text, one a line, with the join."""
    calls = [*(call_text(step, parameters) for step in steps), f"{JOIN}()"]
    return "\n".join(f"{number}. {call}" for number, call in enumerate(calls, first))


def call_list(step: Step, parameters: Parameters) -> list[Any]:
    """A step as a list: its tool, then its arguments in order, or an object with them by name."""
    names = list(parameters.get(step.tool, ()))[: len(step.arguments)]
    if list(step.arguments) == names or set(step.arguments) == set(names):
        return [step.tool, *(mapped(step.arguments[name], _shortest) for name in names)]
    return [step.tool, mapped(step.arguments, _shortest)]


def plan_json(steps: Iterable[Step], parameters: Parameters) -> str:
    """Steps as a plan in short JSON."""
    calls = (json.dumps(call_list(step, parameters), ensure_ascii=False) for step in steps)
    return f'{{"plan": [{", ".join(calls)}]}}'


def _written(value: Any) -> str:
    if isinstance(value, str):
        match = REFERENCE.fullmatch(value.strip())
        return reference_text(value) if match else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        items = (f"{json.dumps(key, ensure_ascii=False)}: {_written(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return json.dumps(value, ensure_ascii=False)


def _shortest(text: str) -> str:
    return reference_text(text) if REFERENCE.fullmatch(text.strip()) else text


def reference_text(text: str) -> str:
    """A whole reference in its shortest spelling."""
    match = REFERENCE.fullmatch(text.strip())
    assert match is not None
    return f"${reference_of(match).id}{match['inside'] or match['after'] or ''}"
