"""The life of a task, from the request to the solution and to what can be asked of its trace afterwards.

May import ``planning`` and all that is beneath it. The three doors stand on this room.
"""
