"""What stored runs can be asked afterwards: replay, verification, counterfactuals, and how two differ.

May import ``setup`` of the room around it, and all that is beneath that room.
"""
