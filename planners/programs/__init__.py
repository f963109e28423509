"""Short programs that models write, computed without a sandbox: numbers, texts, lists and days, and no more.

After program-aided language models (PAL, arXiv 2211.10435), with an evaluator of its own in place of Python:
it walks the syntax tree of a part of the language, and means by it what Python means. There are no modules
but a few functions of them, no attributes but named ones of a table, and what a program costs is bounded: its
length, its depth, its steps, the digits of its numbers, and the sizes of its lists and texts.

May import :mod:`planners.measuring`, for units, and the calculator of :mod:`workers.tools`.
"""
