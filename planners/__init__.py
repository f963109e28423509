"""Reasoning methods, one module each: a question comes in, nodes go out.

May import :mod:`orchestrator` and the values of :mod:`workers`. Nothing imports planners: they are entry
points.
"""
