"""The service over HTTP: tasks, their events and traces as JSON; a thin layer over :mod:`orchestrator.tasks`.

May import the rooms from ``tasks`` down. Only the command line imports it.
"""
