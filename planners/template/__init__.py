"""ParallelPrompt: one task for many items, or many samples of one task, found in a prompt and checked.

May import what other planners share.
"""
