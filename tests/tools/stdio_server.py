"""A server of the Model Context Protocol, by the standard library alone, that can be hostile.

Run as `python stdio_server.py MODE`. It speaks revision 2025-11-25 over its standard input and
output; what real servers do beyond that (resources, prompts, logging) it does not.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
TOOLS: dict[str, dict[str, Any]] = {
    "echo": WORD,
    "huge": {"type": "object", "properties": {"mb": {"type": "integer"}}},
    "picture": NOTHING,
    "never": NOTHING,
    "slow": NOTHING,
    "steps": NOTHING,
    "fails": NOTHING,
    "refused": NOTHING,
    "odd": NOTHING,
    "die": NOTHING,
    "stop": NOTHING,
    "add/tool": WORD,
    "environment": NOTHING,
    "cancelled": NOTHING,
}
lock = threading.Lock()
cancelled: list[Any] = []
held: list[tuple[Any, str]] = []


def send(message: dict[str, Any]) -> None:
    line = json.dumps({"jsonrpc": "2.0", **message})
    with lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def answer(call: Any, text: str, *, wrong: bool = False) -> None:
    content = [{"type": "text", "text": text}]
    send({"id": call, "result": {"content": content, "isError": wrong}})


def call_tool(call: Any, name: str, given: dict[str, Any], token: Any) -> None:
    match name:
        case "echo":
            answer(call, given["word"])
        case "huge":
            answer(call, "z" * (given.get("mb", 10) << 20))
        case "picture":
            content = [
                {"type": "text", "text": "here it is"},
                {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            ]
            send({"id": call, "result": {"content": content}})
        case "slow":  # Answered by the next echo, so that nothing here takes a time.
            held.append((call, "at last"))
        case "steps":
            for step in range(3):
                progress = {"progressToken": token, "progress": step}
                send({"method": "notifications/progress", "params": progress})
            held.append((call, "three steps"))
        case "fails":
            answer(call, "no such place", wrong=True)
        case "refused":
            send({"id": call, "error": {"code": -32603, "message": "out of order"}})
        case "odd":
            send({"id": call, "result": {"content": "words"}})
        case "die":
            os._exit(7)
        case "stop":  # Hangs as a whole, with its pipes open.
            send(
                {
                    "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": 1},
                }
            )
            threading.Event().wait()
        case "add/tool":
            TOOLS[given["word"]] = NOTHING
            answer(call, "added")
            send({"method": "notifications/tools/list_changed"})
        case "environment":
            answer(call, json.dumps(dict(os.environ)))
        case "cancelled":
            answer(call, json.dumps(cancelled))


def listed() -> list[dict[str, Any]]:
    return [{"name": n, "description": f"Does {n}", "inputSchema": s} for n, s in TOOLS.items()]


def serve() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                result = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "test", "version": "1"},
                }
                send({"id": message["id"], "result": result})
            case "tools/list":
                send({"id": message["id"], "result": {"tools": listed()}})
            case "tools/call":
                given = message["params"]
                token = given.get("_meta", {}).get("progressToken")
                call_tool(message["id"], given["name"], given.get("arguments") or {}, token)
                if given["name"] == "echo":
                    for call, text in held:
                        answer(call, text)
                    held.clear()
            case "notifications/cancelled":
                cancelled.append(message["params"].get("requestId"))
            case method if "id" in message:
                error = {"code": -32601, "message": f"no method {method}"}
                send({"id": message["id"], "error": error})


def junk(chance: random.Random, depth: int = 0) -> Any:
    """Return JSON of the protocol's words in no order."""
    words = ["tools", "content", "text", "type", "id", "name", "inputSchema", "nextCursor", "_meta"]
    match chance.randrange(6 if depth < 3 else 4):
        case 0:
            return chance.choice([None, True, -1, 2**70, 0.5, ""])
        case 1 | 2:
            return chance.choice(words)
        case 3:
            return chance.choice(["object", "2025-11-25", "\ud800", "x" * 1000])
        case 4:
            return [junk(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(words): junk(chance, depth + 1) for _ in range(4)}


def talk_nonsense(seed: str) -> None:
    """Answer some requests as they should be, and some with anything."""
    chance = random.Random(seed)
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "initialize" and chance.random() < 0.9:
            info = {"name": "test", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info}
            send({"id": message["id"], "result": result})
        elif message.get("method") == "tools/list" and chance.random() < 0.5:
            send({"id": message["id"], "result": {"tools": listed()}})
        else:
            key = chance.choice(["result", "error", "params", "method"])
            named = chance.choice([message.get("id"), junk(chance)])
            send({"id": named, key: junk(chance)})
            method = chance.choice(
                ["notifications/progress", "sampling/createMessage", "roots/list"]
            )
            send({"id": chance.randrange(5), "method": method, "params": junk(chance)})


def main(mode: str) -> None:
    match mode:
        case _ if mode.startswith("nonsense"):
            talk_nonsense(mode)
        case "exits":
            sys.exit("ModuleNotFoundError: no module named show")
        case "silent":
            for _ in sys.stdin:
                pass
        case "endless":
            while True:
                sys.stdout.write("[" * 65_536)
        case "noise":
            while True:
                print("listening on port 1234", time.time())
        case "flood":
            while True:
                send({"method": "notifications/tools/list_changed"})
        case "strays":
            sys.stderr.write("a long way to say little\n" * 100_000)
            print("hello, this belongs into a log")
            print('{"jsonrpc": "2.0"')
            serve()
        case "tree":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            TOOLS[f"child_{child.pid}"] = NOTHING
            serve()
            time.sleep(600)  # Its input ended, and it does not care.
        case _:
            serve()


if __name__ == "__main__":
    main(sys.argv[1])
