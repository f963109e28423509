"""The service over HTTP: tasks, their events and traces as JSON."""
