"""OpenAI's protocol: its clients ask planners, or the engine itself, as if it were the service they know.

May import the modules of the API around it but for those that put its routes together: the handlers, the
examples and the OpenAPI document. What clients of this protocol read as errors is in ``refusals``.
"""
