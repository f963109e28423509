"""An engine that computes nothing, for timing, faults and scale; also as a server with vLLM's HTTP interface.

May import what every engine may, but no other engine.
"""
