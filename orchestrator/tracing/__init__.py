"""OpenTelemetry spans of runs while they go on; the names are those of ``storage.conventions``.

May import the settings, the errors, and the storage's names and values. ``live`` follows a run by its events
and knows nothing of OpenTelemetry's packages; only ``sending`` does, which is imported if tracing is on.
"""
