"""How an answer is written: languages, sentences, explicit forms, and the figures of a sentence.

Imports no other room, and of its own the JSON reader and the names of units. Extraction is built on it.
"""
