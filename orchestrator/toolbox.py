"""The tools of a process, from its settings and its caller."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.errors import translated
from orchestrator.settings import Settings
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox


def build_toolbox(settings: Settings, tools: Iterable[Tool] = ()) -> Toolbox:
    """The installed tools, the entailment model that the settings name, and ``tools``. Reads files.

    Raises:
        Unavailable: an installed tool cannot be imported, or the entailment model does not exist.
    """
    with translated():
        toolbox = Toolbox.installed()
        if settings.nli is not None:
            from workers.tools.entailment import entailment

            toolbox = toolbox.with_tools(entailment(settings.nli))
        return toolbox.with_tools(*tools)
