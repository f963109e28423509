"""What stands between code that runs ahead and the world."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from orchestrator.runtime.nodes import Node, Owner, Waitable


class Gate(Waitable):
    """Closed until what the code of the node at ``path`` has started from is confirmed.

    ``of`` is the path of the node that it runs ahead of. ``held`` are tools with side effects that could
    begin but for the gate. Awaiting it returns once it is open.
    """

    def __init__(self, owner: Owner, path: str, of: str) -> None:
        super().__init__(owner)
        self.path = path
        self.of = of
        self.opened = False
        self.held: list[Node[Any]] = []

    def ready(self) -> bool:
        """Whether it is open."""
        return self.opened

    def __await__(self) -> Generator[Waitable, None, None]:
        yield from self.suspend()
