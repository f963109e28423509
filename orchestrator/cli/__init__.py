"""The command line: a thin layer over :mod:`orchestrator.tasks`, and how runs look in a terminal.

May import every other room of the orchestrator; nothing imports it.
"""
