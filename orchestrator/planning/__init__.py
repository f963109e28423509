"""What authors of planners see: the ``Run`` with all its verbs, ``@planner``, and how planners are found.

May import ``voting`` and all that is beneath it.
"""
