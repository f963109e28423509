"""Reasoning methods, one module each: a question comes in, nodes go out."""
