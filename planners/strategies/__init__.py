"""The method ``strategies``: paths by different strategies, written by one model, or by two step by step."""
