"""Who may do what: callers and their scopes, the keys by which they are known, and the limits of each.

May import storage and the errors beneath it. The rooms from ``tasks`` up import it.
"""
