"""What speaks to one model: a room for each kind of engine behind the protocol of :mod:`workers.engine`.

May import ``models``, ``prefix`` and the protocol. No engine knows of the pool.
"""
