"""The tools of a run, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from workers.errors import ToolError
from workers.showing import raised, show
from workers.tools.arguments import arguments_model
from workers.tools.tool import Tool

GROUP = "anabranch.tools"
"""The entry points under which installed packages offer tools."""

ENTAILMENT = "entailment"
"""The name of the tool that says whether a text entails another, if a toolbox has one."""

ROUTER = "router"
"""The name of the tool that says whether an answer is a list of independent points, if a toolbox has one."""

UNOFFERED = frozenset({ENTAILMENT, ROUTER})
"""Judges of ours: no model is offered them, and no server appoints them."""


class Toolbox(Mapping[str, Tool]):
    """An immutable set of tools by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for entry in tools:
            if entry.name in self._tools:
                raise ValueError(f"two tools are named {entry.name!r}: name one of them with @tool(name=…)")
            self._tools[entry.name] = entry

    @classmethod
    def installed(cls) -> Toolbox:
        """The tools that installed packages offer under the entry points ``anabranch.tools``; reads files.

        Raises:
            ToolError: one of them cannot be imported or is not a tool.
        """
        return cls(_load(entry.name, entry.load) for entry in entry_points(group=GROUP))

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def find(self, name: str) -> Tool:
        """The tool of this name.

        Raises:
            ToolError: there is none; the message lists the ones that exist.
        """
        if name not in self._tools:
            known = ", ".join(self._tools) or "none at all"
            raise ToolError(f"there is no tool {show(name)}, only {known}")
        return self._tools[name]

    def with_tools(self, *tools: Tool) -> Toolbox:
        """This toolbox with these tools added; a new one replaces one of the same name."""
        return Toolbox({**self._tools, **{entry.name: entry for entry in tools}}.values())

    def describe(self) -> list[dict[str, Any]]:
        """What planners and models can know about the tools, as JSON.

        How often and how many at once is a matter of the process that calls them, and may differ when a run
        is resumed by another.
        """
        return [
            {
                "name": entry.name,
                "description": entry.description,
                "schema": entry.schema,
                "side_effects": entry.side_effects,
                **({"takes_key": True} if entry.takes_key else {}),
                **({"examples": list(entry.examples)} if entry.examples else {}),
            }
            for entry in self._tools.values()
        ]

    def as_described(self, descriptions: Iterable[Mapping[str, Any]]) -> Toolbox:
        """The tools in the output of :meth:`describe`, with this toolbox's functions where it has them."""
        return Toolbox(self._described(description) for description in descriptions)

    def _described(self, description: Mapping[str, Any]) -> Tool:
        name, schema = str(description["name"]), description["schema"]
        here = self._tools.get(name) or _absent(name, schema, takes_key=bool(description.get("takes_key")))
        return replace(
            here,
            description=str(description["description"]),
            schema=schema,
            side_effects=bool(description["side_effects"]),
            examples=tuple(description.get("examples", ())),
        )


def _absent(name: str, schema: Mapping[str, Any], *, takes_key: bool) -> Tool:
    """Stands for a tool that a journal mentions but this process does not have."""

    def missing(**_: object) -> None:
        raise ToolError(f"the tool {name} is not installed in this process")

    arguments = arguments_model(name, dict.fromkeys(schema.get("properties", {}), (Any, None)))
    return Tool(name, "", arguments, schema, False, 1.0, missing, takes_key)


def _load(name: str, load: Callable[[], object]) -> Tool:
    try:
        loaded = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also an exit
        raise ToolError(f"the tool {name} cannot be imported: {raised(error)}") from error
    if not isinstance(loaded, Tool):
        raise ToolError(f"the entry point {name} of {GROUP} is {show(loaded)}: decorate it with @tool")
    return loaded
