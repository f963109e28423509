"""The embedded engine: llama.cpp in a child process, with prefixes shared between its slots.

May import what every engine may, but no other engine.
"""
