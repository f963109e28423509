"""Prompt prefixes as chains of hashed blocks, and which of them a replica holds, by text or by tokens.

May import the protocol (``calls``, ``errors``). Engines publish such chains and the pool places calls
by them, so both depend on this package.
"""
