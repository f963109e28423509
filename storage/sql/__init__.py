"""The store on SQLite and PostgreSQL: tables, migrations, leases, retention, and group commit of the journal.

May import the contract (``store``) and the vocabulary beneath it.
"""
