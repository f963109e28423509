"""Models as files: the catalogue of GGUF models, where their bytes come from, and the entailment model.

May import the errors of workers.
"""
