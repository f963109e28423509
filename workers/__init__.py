"""Who computes: engines, the pool in front of them, prefix placement and tools."""
