"""The method ``strategies``: paths by different strategies, written by one model, or by two step by step.

May import what every planner may. No other planner imports anything from here.
"""
