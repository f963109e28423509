"""Anabranch as an MCP server: what assistants may ask of it, over the pipes of a process and over HTTP.

Needs the extra `mcp`. May import the API, whose door the HTTP form has, and everything beneath it. The tools
that planners find on MCP servers elsewhere are in `workers.tools.mcp`.
"""
