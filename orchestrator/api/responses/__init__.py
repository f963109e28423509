"""OpenAI's Responses API, as Open Responses specifies it, on the same tasks as everything else.

May import the rooms of the API around it but for those that put its routes together. What a stream says is a
pure function of the journal of a task (``fold``), so that any process can go on where another has stopped.
"""
