"""Tools that planners may call: Python callables, HTTP endpoints, MCP servers, the calculator, entailment.

May import ``models`` and the errors of workers.
"""
