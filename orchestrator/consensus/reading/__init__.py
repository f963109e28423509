"""How an answer is written: languages, sentences, explicit forms, and the figures of a sentence.

May import the quantities beneath it, and the JSON reader. Extraction is built on it.
"""
