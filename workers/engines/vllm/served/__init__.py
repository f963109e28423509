"""What runs inside a vLLM server that we start: its folder is on the server's path, and on nobody else's.

The server may run in an environment without Anabranch, so what stands here imports nothing of the project.
"""
