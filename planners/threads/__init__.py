"""Threads in one text (ThreadWeaver, arXiv 2512.07843; Multiverse, arXiv 2506.09991), over stop strings.

``weaving`` has the planner, which is the client's state machine, and ``text`` what it writes; ``dialects``
has the tags of both papers and the strict reader of a block. May import what planners share.
"""
