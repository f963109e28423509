"""Executing one run: its nodes and their graph, its planner code, what is in flight, and the record.

May import ``consensus``. It knows nothing of votes, of tasks, or of how planners are found.
"""
