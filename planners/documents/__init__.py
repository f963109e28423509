"""Long material in chunks that are read side by side, and an answer from what they say, word for word.

From above: ``planner`` is the method, ``choosing`` says which chunks are read, ``reading`` has quotes taken
out of them, ``following`` finds what the quotes lead to, ``evidence`` makes material of them that one prompt
holds, ``ensemble`` is the baseline without quotes. Beneath are what they share: ``prompts``, ``matter`` (the
material), ``citing`` (quotes against it), ``chunks``, ``sources``, ``terms``, ``lengths`` and ``waves``.

May import the planners that answer from quotes, and what planners share; no other planner imports it.
"""
