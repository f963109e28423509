"""How an answer is written: languages, sentences, explicit forms, and the figures of a sentence.

Imports no other room; of the consensus room, the JSON reader and the names of units. Extraction is built on it.
"""
