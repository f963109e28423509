"""The contract that forbids import cycles; ``lint-imports`` runs it with the others.

It sees what the contract about siblings does not: a module that imports the package around it while that
package imports the module.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class NoCircles(Contract):
    """Imports for the type checker count like those that run."""

    type_name = "circles"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find a cycle in each strongly connected group of modules."""
        imports: nx.DiGraph[str] = nx.DiGraph()
        for module in sorted(graph.modules):
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                imports.add_edge(module, imported)
        tangles = [each for each in nx.strongly_connected_components(imports) if len(each) > 1]
        circles = [[module for module, _ in nx.find_cycle(imports.subgraph(each))] for each in tangles]
        return ContractCheck(kept=not circles, metadata={"circles": circles})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each cycle."""
        circles: Any = check.metadata["circles"]
        for circle in circles:
            output.print_error(" -> ".join([*circle, circle[0]]))
