"""Plans that a model writes in a form of its own, not as calls: JSON, tags, or actions with their inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.consensus.embedded import json_objects
from planners.plan_arguments import as_text
from planners.plans import JOIN, Step

_NAMES: Final = ("tool", "name", "tool_name", "function", "action")
_ARGUMENTS: Final = ("arguments", "args", "parameters", "input", "tool_input", "action_input", "kwargs")
_ACTION = re.compile(
    r"^[ \t>*#-]*Action(?:[ ]?\d+)?[ \t*]*:[ \t*`]*(?P<tool>[^\W\d]\w*)(?:\(\))?[`*. \t\r]*\n\s{0,9}"
    r"[ \t>*#-]*Action[ _]?Input(?:[ ]?\d+)?[ \t*]*:[ \t*]*(?P<input>\{[^{}]*\}|.+)",
    re.IGNORECASE | re.MULTILINE,
)
_FUNCTION = re.compile(r"<function=(?P<tool>\w+)>(?P<input>(?:(?!<function=).)*?)</function>", re.DOTALL)
_PARAMETER = re.compile(
    r"<parameter=(?P<name>\w+)>\n?(?P<value>(?:(?!<parameter=).)*?)\n?</parameter>", re.DOTALL
)
_CLOSED = ("}", "]", "`", ">")


def other_steps(text: str, parameters: Mapping[str, Sequence[str]], first: int) -> list[Step]:
    """The steps of a plan that has no calls in it, numbered on from ``first`` where it gives no numbers.

    ``parameters`` are the names of the arguments by tool. Such a plan has no step that joins; its end is one.
    """
    known = {name.casefold(): name for name in (*parameters, JOIN)}
    steps: list[Step] = []
    for number, name, given in _calls(text):
        tool = known.get(name.casefold())
        if tool is None or (given is None and tool != JOIN):
            continue
        following = steps[-1].id + 1 if steps else first
        steps.append(Step(number or following, tool, _bound(given, parameters.get(tool, ()))))
    if steps and steps[-1].tool != JOIN and (_ACTION.search(text) or text.rstrip().endswith(_CLOSED)):
        steps.append(Step(steps[-1].id + 1, JOIN, {}))
    return steps


def _calls(text: str) -> Iterator[tuple[int | None, str, Any]]:
    """The number of each call if it has one, the name of its tool, and what is given to it."""
    written = [*_ACTION.finditer(text), *_FUNCTION.finditer(text)]
    for match in written:
        parameters = {each["name"]: each["value"] for each in _PARAMETER.finditer(match["input"])}
        yield None, match["tool"], parameters or match["input"].strip()
    for each in () if written else json_objects(text, nested=True):
        name = next((each[key] for key in _NAMES if isinstance(each.get(key), str)), None)
        if name is not None:
            number = each.get("id")
            given = next((each[key] for key in _ARGUMENTS if key in each), None)
            yield number if type(number) is int else None, name, given


def _bound(given: Any, names: Sequence[str]) -> dict[str, Any]:
    """What is given to a tool, by the names of its arguments."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = as_text(given)
    if isinstance(given, dict):
        return given
    values = given if isinstance(given, list) else [] if given in (None, "") else [given]
    return dict(zip(names, values, strict=False))
