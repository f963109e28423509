"""Tools that a planner may call: typed Python callables and built-ins."""
