"""What lasts: tasks, their leases and their journals, the stores that keep them, and the readers of traces.

Imports no other top-level package.
"""
