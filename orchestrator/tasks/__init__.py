"""The life of a task, from request to solution, and what can be asked of its trace afterwards.

May import ``planning`` and everything beneath it. The three front doors are built on it.
"""
