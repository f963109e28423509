"""What the code of a run had waited for when it added a node, from what the journal records of it."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 64
"""How many nodes are named at most: those that were waited for last."""


class Waits:
    """Follows the nodes of a run in the order in which they are added.

    The journal records only what is new since the scope's last node.
    """

    def __init__(self) -> None:
        self._after: dict[str, tuple[str, ...]] = {}
        self._waited: dict[str, tuple[str, ...]] = {}  # by scope

    def add(self, path: str, recorded: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the scope of a new node has waited for since its last one, and what the node comes after.

        That is what its scope had waited for by then, without what those nodes came after themselves.
        """
        scope = path.rpartition(".")[0]
        seen = tuple(each for each in recorded if each in self._after)
        waited = self._waited.get(scope, ())
        if seen:
            passed = {earlier for after in {self._after[each] for each in seen} for earlier in after}
            kept = [each for each in dict.fromkeys((*waited, *seen)) if each not in passed]
            waited = self._waited[scope] = tuple(kept[-MOST:])
        self._after[path] = waited
        return seen, waited
