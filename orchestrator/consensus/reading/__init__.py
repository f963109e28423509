"""How an answer is written: languages, sentences, explicit forms, and the figures of a sentence.

Imports no other room, and nothing of the consensus room but its JSON reader: extraction is built on it.
"""
