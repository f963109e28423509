"""Tools that planners may call: typed Python callables, the calculator, entailment.

May import ``models`` and the errors of workers.
"""
