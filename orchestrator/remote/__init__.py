"""A service elsewhere, asked over HTTP: as a solver like the one of this process.

May import ``bodies`` and the rooms beneath it. Knows nothing of how a service answers but what it answers.
"""
