"""Many engines as one: placement by prefix, fair waiting, retries, health, and what a pool tells of itself.

May import ``engines``, ``prefix`` and the protocol (``calls``, ``engine``, ``errors``).
"""
