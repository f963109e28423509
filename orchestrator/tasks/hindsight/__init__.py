"""What stored runs can be asked afterwards: replay, verification, counterfactuals and differences.

May import ``setup`` from the room around it, and everything beneath that room.
"""
