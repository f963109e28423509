"""Long material in chunks that are read side by side, and an answer from what they say, word for word.

The way from the top: ``planner`` is the method, ``choosing`` says which chunks are read, ``reading`` has
quotes taken out of them, ``following`` finds what the quotes lead to, ``evidence`` makes material of them
that one prompt holds, ``ensemble`` is the baseline without quotes. Beneath: ``prompts``, ``citing`` (quotes
against the material), ``chunks``, ``sources`` (where documents begin), ``terms`` and ``lengths``.
"""
