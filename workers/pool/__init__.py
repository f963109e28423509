"""Many engines as one: placement by prefix, fair queueing, retries, health, and reports of all this.

May import ``prefix`` and the protocol (``calls``, ``engine``, ``errors``). It knows no
particular engine: what some report beyond the protocol is declared in :mod:`workers.pool.telling`.
"""
