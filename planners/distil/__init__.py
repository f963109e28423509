"""Parallel-distil-refine (arXiv 2510.01123): rounds of drafts, and the workspace that is kept between them.

May import :mod:`planners.population`, which asks for the drafts and counts what they claim.
"""
