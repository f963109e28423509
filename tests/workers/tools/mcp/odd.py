"""An MCP server of the older protocol, written by hand, that misbehaves as its argument says."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
tools: list[dict[str, Any]] = [{"name": "look", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}]
kind = sys.argv[1]
if kind == "dying":
    del tools[0]["annotations"]


if kind == "backtracking":
    slow = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    tools[0]["outputSchema"] = slow
if kind in ("parting", "keyed"):
    del tools[0]["annotations"]
if kind == "keyed":
    tools[0]["inputSchema"] = {"type": "object", "properties": {"idempotency_key": {"type": "string"}}}


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def flood(stream: Any) -> None:
    while True:
        stream.write("garbage " * 1_000 + "\n")


def answer(method: str, given: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        info = {"name": "odd", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        return {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info}
    if method == "tools/list":
        if kind == "endless":  # pages of tools without an end
            at = int(given.get("cursor", 0))
            page = [{"name": f"t{at}_{n}", "inputSchema": SCHEMA} for n in range(30)]
            return {"tools": page, "nextCursor": str(at + 1)}
        return {"tools": tools}
    if kind == "dying" or (kind == "dying once" and not Path(sys.argv[2]).exists()):
        with Path(sys.argv[2]).open("a") as log:
            log.write("called\n")
        os._exit(3)
    if kind == "slow":
        time.sleep(0.2)
    if kind == "changing":
        tools[:] = [{"name": "new", "inputSchema": SCHEMA}]
        say(method="notifications/tools/list_changed")
    if kind == "backtracking":
        return {"content": [], "structuredContent": {"x": "a" * 40 + "!"}}
    if kind == "keyed":
        return {"content": [], "structuredContent": {"result": given["arguments"]}}
    if kind == "parting":
        threading.Timer(0.1, os._exit, [0]).start()
    if kind == "mute":
        time.sleep(3_600)
    if kind == "line":
        sys.stdout.write("x" * 5_000_000)
    if kind == "garbage":
        flood(sys.stdout)
    return {"content": [{"type": "text", "text": f"{os.getpid()}"}]}


def main() -> None:
    if kind == "crash":
        sys.exit(" for ".join(["there is no such moon", *filter(None, [os.environ.get("KEY")])]))
    if kind == "silent":
        if sys.argv[2:]:
            Path(sys.argv[2]).with_suffix(".new").write_text(str(os.getpid()))
            Path(sys.argv[2]).with_suffix(".new").rename(sys.argv[2])
        time.sleep(3_600)
    if kind == "stderr":
        threading.Thread(target=flood, args=[sys.stderr], daemon=True).start()
    if kind == "stubborn":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "plain":
        tools.extend({"name": name, "inputSchema": SCHEMA} for name in ("add", "see-it"))
    if kind == "schemas":
        huge = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(3_000)}}
        odd = {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b c": {}, "__class__": {"type": []}},
        }
        none = {"type": "object", "properties": {"x": {"default": float("nan")}, "y": True}}
        tools.append({"name": "huge", "inputSchema": huge})
        tools.append({"name": "none", "inputSchema": none})
        tools.append({"name": "any", "inputSchema": {"type": "object", "properties": {"x": True}}})
        tools.extend([{"name": "odd.name/1", "inputSchema": odd}, {"name": "1st", "inputSchema": SCHEMA}])
    if kind == "judge":
        tools.append({"name": "entailment", "inputSchema": SCHEMA})
    print("this line is no message", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if "id" not in told:
            continue
        if told["method"] in ("initialize", "tools/list", "tools/call"):
            say(id=told["id"], result=answer(told["method"], told.get("params") or {}))
        else:
            say(id=told["id"], error={"code": -32601, "message": "no such method"})
    if kind == "stubborn":
        time.sleep(3_600)


main()
