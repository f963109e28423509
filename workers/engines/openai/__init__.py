"""Any server that speaks the OpenAI protocol: the engine, its dialects and its streams.

May import what all engines may, and no other engine.
"""
