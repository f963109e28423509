"""vLLM servers, which this process starts or others run, and the KV events that they publish.

May import ``engines.openai``, whose protocol they speak, but no other engine.
"""
