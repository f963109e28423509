"""Who computes: engines, the pool in front of them, prefix placement, models and tools.

Imports no other top-level package.
"""
