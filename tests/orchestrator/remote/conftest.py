"""A service over a real socket, and clients of it."""

from __future__ import annotations

from tests.orchestrator.api.conftest import api, empty_database, open_api

__all__ = ["api", "empty_database", "open_api"]
