"""One run from question to answer, and what is around it: runs, votes, planners, tasks, and the three doors.

May import :mod:`workers` and :mod:`storage`; planners are found by name and never imported.
"""
