"""Any server that speaks the OpenAI protocol: the engine, its dialects and its streams.

May import what every engine may, but no other engine.
"""
