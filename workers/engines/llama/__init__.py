"""The embedded engine: llama.cpp in a child process, with prefixes shared between its slots.

May import what all engines may, and no other engine.
"""
