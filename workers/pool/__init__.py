"""Many engines as one: placement by prefix, fair waiting, retries, health, and what a pool tells of itself.

May import ``prefix`` and the protocol (``calls``, ``engine``, ``errors``, ``exposition``). It knows no
engine: what some tell beyond the protocol stands in :mod:`workers.pool.telling`.
"""
