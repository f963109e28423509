"""Clients of other people's making, each in its own process, against one served process of ours."""
