"""Deciding when branches agree: extraction, equivalence, entropy, stop rules and merging."""
