"""Engines, each for one model: a package for each kind, behind the protocol of :mod:`workers.engine`.

May import ``models``, ``prefix`` and the protocol. No engine knows about the pool.
"""
