"""Batches: a file of questions, and a file with the result of each of its lines.

May import `tasks` and everything beneath it. The command line and the API are built on it; it knows neither
HTTP nor a terminal.
"""
