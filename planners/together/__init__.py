"""Workers that write on one page and see each other's paragraphs.

May import what other planners share.
"""
