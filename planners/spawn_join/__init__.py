"""Spawn and join (APR, arXiv 2504.15466): a model hands parts of its work to children, and gets back words.

``spawning`` has the planner and the tree of conversations; ``conversations`` has both forms in which a model
spawns and joins, by calls of functions and by markers in its text. May import what planners share.
"""
