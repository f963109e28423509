"""Reasoning methods, one module each: a question comes in, nodes go out.

May import :mod:`orchestrator` and the values of :mod:`workers`. Nothing imports it: planners are entry points.
"""
