"""An OpenAI-shaped service in a process of its own: when which append came, and a tone to hear.

    with Ear() as ear:
        ear.url                             # for `endpoint`
        ear.do("reply", 2.0)                # seconds of a tone, all at once
        ear.do("call", "spin", '{"seconds": 0.6}')
        ear.appends()                       # [(monotonic seconds, samples)]

It judges nothing: `voiced emulate` does. Appends are stamped in a thread that does nothing else.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any, Self

from websockets.sync.server import ServerConnection, serve

from tests.daemon.rig import ROOT

RATE = 24_000


class Ear:
    """The service's process."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.daemon.ear"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.url = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    def do(self, *what: Any) -> Any:
        """Have it do something; return what it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def appends(self) -> list[tuple[float, int]]:
        """Return monotonic seconds and samples of every append since last time."""
        return [(at, samples) for at, samples in self.do("appends")]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class _Service:
    """One connection at a time."""

    def __init__(self) -> None:
        self.appends: list[tuple[float, int]] = []
        self._socket: ServerConnection | None = None
        self._names = itertools.count(1)

    def serve(self, ws: ServerConnection) -> None:
        self._socket = ws
        session = {"id": "sess_1", "object": "realtime.session", "type": "realtime"}
        self._send("session.created", session=session)
        for text in ws:
            now = time.monotonic()
            event = json.loads(text)
            match event["type"]:
                case "input_audio_buffer.append":
                    self.appends.append((now, len(event["audio"]) * 3 // 8))
                case "session.update":
                    self._send("session.updated", session=event["session"])
                case "conversation.item.create":
                    item = {"status": "completed", "object": "realtime.item", **event["item"]}
                    item.setdefault("id", self._name("item"))
                    self._send("conversation.item.added", previous_item_id=None, item=item)
                    self._send("conversation.item.done", previous_item_id=None, item=item)
                case "response.create":
                    self.reply(0.1)

    def reply(self, seconds: float) -> None:
        """Send a tone, as one delta."""
        wave = [round(16_000 * math.sin(2 * math.pi * 500 * n / RATE)) for n in range(RATE // 10)]
        tone = struct.pack(f"<{len(wave)}h", *wave) * round(seconds * 10)
        response, item = self._name("resp"), self._name("item")
        at = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        with self._response(response, {**message, "status": "completed"}):
            self._send("response.output_item.added", response_id=response, output_index=0,
                       item={**message, "status": "in_progress"})  # fmt: skip
            self._send("response.content_part.added", **at, part={"type": "audio"})
            delta = base64.b64encode(tone).decode()
            self._send("response.output_audio.delta", **at, delta=delta)
            self._send("response.output_audio.done", **at)
            self._send("response.output_audio_transcript.done", **at, transcript="a tone")

    def call(self, name: str, arguments: str) -> None:
        """Call a tool."""
        response = self._name("resp")
        item = {
            "id": self._name("item"), "type": "function_call", "status": "completed",
            "call_id": self._name("call"), "name": name, "arguments": arguments,
        }  # fmt: skip
        with self._response(response, item):
            self._send("response.output_item.added", response_id=response, output_index=0,
                       item={**item, "status": "in_progress", "arguments": ""})  # fmt: skip
            self._send("response.function_call_arguments.done", response_id=response,
                       item_id=item["id"], output_index=0, call_id=item["call_id"], name=name,
                       arguments=arguments)  # fmt: skip

    def _response(self, name: str, item: dict[str, Any]) -> _Response:
        return _Response(self, name, item)

    def _send(self, kind: str, **fields: Any) -> None:
        assert self._socket is not None
        event = {"type": kind, "event_id": self._name("event"), **fields}
        self._socket.send(json.dumps(event))

    def _name(self, what: str) -> str:
        return f"{what}_{next(self._names)}"


class _Response:
    """The events around a reply."""

    def __init__(self, service: _Service, name: str, item: dict[str, Any]) -> None:
        self._service, self._item = service, item
        self._is = {"object": "realtime.response", "id": name, "output": [], "usage": None}

    def __enter__(self) -> None:
        is_now = {**self._is, "status": "in_progress"}
        self._service._send("response.created", response=is_now)

    def __exit__(self, *_: object) -> None:
        send = self._service._send
        send("response.output_item.done", response_id=self._is["id"], output_index=0,
             item=self._item)  # fmt: skip
        is_now = {**self._is, "status": "completed", "output": [self._item]}
        send("response.done", response=is_now)


def main() -> None:
    service = _Service()
    with serve(service.serve, "127.0.0.1", 0, compression=None) as server:
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer(f"ws://127.0.0.1:{server.socket.getsockname()[1]}")
        for line in sys.stdin:
            match json.loads(line):
                case ["appends"]:
                    so_far, service.appends = service.appends, []
                    answer(so_far)
                case [word, *arguments]:
                    getattr(service, word)(*arguments)
                    answer(time.monotonic())


def answer(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
