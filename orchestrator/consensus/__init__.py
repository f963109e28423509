"""Deciding when branches agree: extraction, equivalence, entropy, stop rules and merging, as pure functions.

Imports no other room of the orchestrator, and does no I/O.
"""
