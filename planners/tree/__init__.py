"""Search in a tree: of steps, by a beam, or of answers, by adaptive branching; and what scores them.

May import what other planners share.
"""
