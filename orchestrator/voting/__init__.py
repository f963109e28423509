"""The ``vote`` verb: branches of one prompt, judged as they arrive, stopped when they agree, and merged.

May import ``runtime`` and ``consensus``. It is written with the verbs of ``runtime``, as a planner would be.
"""
