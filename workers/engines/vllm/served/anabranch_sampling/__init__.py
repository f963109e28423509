"""Arithmetic sampling (arXiv 2210.15458) as a logits processor of vLLM.

A sample is one number between 0 and 1, its code. Each token of the vocabulary has an interval there, as long
as its probability; the token is drawn in whose interval the code lies, and where it lies in it is the code
from then on. Evenly spaced codes make samples that are spread as evenly over what the model may say, each of
which is still distributed as any sample is, and which need to know nothing of each other.

May import vLLM and torch, and nothing of the project.
"""
