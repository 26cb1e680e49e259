"""A service on loopback that speaks OpenAI Realtime's protocol: it takes appends and plays tones.

It is no emulator (`voiced emulate` is): it judges nothing, hears nothing and writes nothing down,
so that what it does within an event is far below what is measured. Every stamp is taken before an
event is read, or just before the first byte of one is handed to the socket.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

import numpy as np
import websockets
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

RATE = 24000
"""Hz of PCM both ways."""
LOUD = 8000
"""int16: what counts as a click."""
CLICKS_APART = RATE // 20
"""Samples between two clicks at least."""
KEY = "benchmark"
DELTA_MS = 100
PREFIX_MS = 300
"""A turn begins so long before its first sound."""


class Append(NamedTuple):
    """Sound of the microphone."""

    ns: int
    """Monotonic time at which it came."""
    connection: int
    samples: np.ndarray


class Service:
    """One service; the last client that connected is `client`.

    Attributes:
        appends: every append since the last `clear`.
        truncated: `audio_end_ms` of every truncate.
        first_append: monotonic ns of every connection's first append.
        surprises: types of client events that nothing is done with.
    """

    def __init__(self) -> None:
        self.appends: list[Append] = []
        self.truncated: asyncio.Queue[int] = asyncio.Queue()
        self.first_append: list[int] = []
        self.surprises: set[str] = set()
        self.client: ServerConnection | None = None
        self.url = ""
        self._names = itertools.count(1)
        self._heard = 0
        """Samples that the last connection has appended."""
        self._does: dict[str, Callable[[dict[str, object]], Awaitable[None]]] = {
            "session.update": self._update,
            "conversation.item.create": self._create,
            "conversation.item.delete": self._delete,
            "conversation.item.truncate": self._truncate,
        }

    async def start(self) -> None:
        self._server: Server = await serve(
            self._serve, "127.0.0.1", 0, compression=None, process_request=self._admit
        )
        self.url = f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def clear(self) -> None:
        """Forget what was appended."""
        self.appends.clear()

    # --- the wire

    @staticmethod
    def _admit(ws: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return ws.respond(HTTPStatus.UNAUTHORIZED, "invalid_api_key")
        if not request.path.startswith("/v1/realtime?model="):
            return ws.respond(HTTPStatus.NOT_FOUND, "model_not_found")
        return None

    async def _serve(self, ws: ServerConnection) -> None:
        number = len(self.first_append)
        self.client, self._heard, fresh = ws, 0, True
        session = {"id": self._name("sess"), "object": "realtime.session", "type": "realtime"}
        await self.send("session.created", session=session)
        try:
            async for text in ws:
                now = time.monotonic_ns()
                event = json.loads(text)
                kind = event["type"]
                if kind == "input_audio_buffer.append":
                    samples = np.frombuffer(base64.b64decode(event["audio"]), "<i2")
                    self.appends.append(Append(now, number, samples))
                    self._heard += len(samples)
                    if fresh:
                        self.first_append.append(now)
                        fresh = False
                elif kind in self._does:
                    await self._does[kind](event)
                else:
                    self.surprises.add(kind)
        except websockets.ConnectionClosed:
            pass

    async def send(self, kind: str, **fields: object) -> None:
        """Send one event to the last client."""
        assert self.client is not None
        event = {"type": kind, "event_id": self._name("event"), **fields}
        await self.client.send(json.dumps(event))

    def _name(self, what: str) -> str:
        return f"{what}_{next(self._names)}"

    async def _update(self, event: dict[str, object]) -> None:
        await self.send("session.updated", session=event["session"])

    async def _create(self, event: dict[str, object]) -> None:
        item = {"status": "completed", "object": "realtime.item", **event["item"]}  # type: ignore[dict-item]
        await self.send("conversation.item.added", previous_item_id=None, item=item)
        await self.send("conversation.item.done", previous_item_id=None, item=item)

    async def _delete(self, event: dict[str, object]) -> None:
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def _truncate(self, event: dict[str, object]) -> None:
        told = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        self.truncated.put_nowait(int(told["audio_end_ms"]))  # type: ignore[call-overload]
        await self.send("conversation.item.truncated", **told)

    # --- what it says

    async def reply(self, seconds: float, *, burst: bool) -> int:
        """Send a tone in deltas of 100 ms; return the ns of the first delta."""
        delta = base64.b64encode(_tone().tobytes()).decode()
        names = {"response_id": self._name("resp"), "item_id": self._name("item")}
        at = {**names, "output_index": 0, "content_index": 0}
        await self._begin(names)
        start, count = time.monotonic_ns(), round(seconds * 1000 / DELTA_MS)
        for i in range(count):
            await self.send("response.output_audio.delta", **at, delta=delta)
            if not burst:
                until = start + (i + 1) * DELTA_MS * 1_000_000
                await asyncio.sleep(max(0, (until - time.monotonic_ns()) / 1e9))
        await self.send("response.output_audio.done", **at)
        await self._end(names)
        return start

    async def _begin(self, names: dict[str, str]) -> None:
        item = {"id": names["item_id"], "type": "message", "role": "assistant", "content": []}
        at = {"response_id": names["response_id"], "output_index": 0}
        response = _response(names["response_id"], "in_progress")
        await self.send("response.created", response=response)
        await self.send("response.output_item.added", **at, item={**item, "status": "in_progress"})
        part = {"type": "audio", "transcript": ""}
        await self.send(
            "response.content_part.added",
            **at,
            item_id=names["item_id"],
            content_index=0,
            part=part,
        )

    async def _end(self, names: dict[str, str]) -> None:
        words = {"type": "output_audio", "transcript": "a tone"}
        item = {
            "id": names["item_id"], "type": "message", "role": "assistant", "status": "completed",
            "content": [words],
        }  # fmt: skip
        at = {"response_id": names["response_id"], "output_index": 0}
        await self.send(
            "response.output_audio_transcript.done", **at, item_id=names["item_id"],
            content_index=0, transcript="a tone",
        )  # fmt: skip
        await self.send("response.output_item.done", **at, item=item)
        response = _response(names["response_id"], "completed")
        await self.send("response.done", response={**response, "output": [item]})

    async def speech_started(self) -> str:
        """Tell that the user speaks, from now on; return the turn's name."""
        turn = self._name("item")
        await self.send(
            "input_audio_buffer.speech_started", item_id=turn,
            audio_start_ms=max(0, self._heard * 1000 // RATE - PREFIX_MS),
        )  # fmt: skip
        return turn

    async def speech_ended(self, turn: str) -> None:
        """Tell that the user's turn is over, and its words."""
        end = self._heard * 1000 // RATE
        await self.send("input_audio_buffer.speech_stopped", item_id=turn, audio_end_ms=end)
        await self.send("input_audio_buffer.committed", item_id=turn, previous_item_id=None)
        item = {"id": turn, "type": "message", "role": "user", "status": "completed", "content": []}
        await self.send("conversation.item.added", previous_item_id=None, item=item)
        await self.send(
            "conversation.item.input_audio_transcription.completed", item_id=turn, content_index=0,
            transcript="click", usage={"type": "duration", "seconds": 1.0},
        )  # fmt: skip

    async def call_tool(self, name: str, **arguments: object) -> None:
        """Have the client's own code called, and do not wait for it."""
        response, item = self._name("resp"), self._name("item")
        await self.send(
            "response.function_call_arguments.done", response_id=response, item_id=item,
            output_index=0, call_id=self._name("call"), name=name, arguments=json.dumps(arguments),
        )  # fmt: skip

    # --- what it heard

    def click_arrived(self, after_ns: int) -> int | None:
        """Return the ns of the first append with a click in it."""
        found = None
        for append in reversed(self.appends):
            if append.ns < after_ns:
                break
            if np.abs(append.samples.astype(int)).max(initial=0) > LOUD:
                found = append.ns
        return found

    def clicks(self, connection: int) -> int:
        """Count the clicks that a connection has brought."""
        mine = [append.samples for append in self.appends if append.connection == connection]
        if not mine:
            return 0
        loud = np.flatnonzero(np.abs(np.concatenate(mine).astype(int)) > LOUD)
        return int(np.count_nonzero(np.diff(loud, prepend=-RATE) > CLICKS_APART))

    def longest_pause_ms(self, after_ns: int) -> float:
        """Return the longest time between two appends, the last before `after_ns` among them."""
        times = [append.ns for append in self.appends]
        times = times[max(0, bisect_left(times, after_ns) - 1) :]
        return max((b - a for a, b in itertools.pairwise(times)), default=0) / 1e6


def _tone() -> np.ndarray:
    t = np.arange(RATE * DELTA_MS // 1000) / RATE
    return (16000 * np.sign(np.sin(2 * np.pi * 500 * t))).astype("<i2")


def _response(name: str, status: str) -> dict[str, object]:
    return {
        "object": "realtime.response", "id": name, "status": status, "output": [], "usage": None,
    }  # fmt: skip
