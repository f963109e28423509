"""The tools of MCP servers. Needs the extra ``mcp``, except to read how servers are declared.

May import the rest of the tools.
"""
