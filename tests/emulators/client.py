"""A client that says exactly what it is told to say, and what visitors sound like."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import voiced.cli

VISITORS = Path(voiced.cli.__file__).parent / "visitors"
RECORDINGS = Path(__file__).parent.parent / "wire"
DEADLINE_S = 20.0
KEY = {"Authorization": "Bearer a-key"}


def run(test: Callable[[], Awaitable[None]], deadline_s: float = 40.0) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(deadline_s):
            await test()

    asyncio.run(bounded())


def visitor(name: str, rate: int = 24_000, silence_s: float = 1.0) -> bytes:
    """Return a recording of public-domain speech with silence behind it, s16le."""
    with wave.open(str(VISITORS / name)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if rate != 16_000:
        sound = soxr.resample(sound, 16_000, rate)
    silence = np.zeros(int(silence_s * rate), "<i2")
    return np.concatenate([sound.astype("<i2"), silence]).tobytes()


def silence(ms: int, rate: int = 24_000) -> bytes:
    return bytes(ms * rate // 1000 * 2)


def recorded(name: str) -> list[dict[str, Any]]:
    """Return a recorded conversation, without its notes."""
    lines = (RECORDINGS / name).read_text("utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "dir" in row]


class Client:
    """A websocket client; `events` is everything that came, in order."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.events: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.taken = 0
        """How many of them somebody asked for."""

    @classmethod
    async def open(cls, url: str, path: str, headers: dict[str, str] = KEY, **more: Any) -> Client:
        return cls(await connect(url + path, additional_headers=headers, max_size=None, **more))

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def append(self, pcm: bytes, piece: int = 4800) -> None:
        for at in range(0, len(pcm), piece):
            audio = base64.b64encode(pcm[at : at + piece]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def next(self) -> dict[str, Any]:
        """Return the next event that no one asked for yet."""
        while self.taken == len(self.events):
            async with asyncio.timeout(DEADLINE_S):
                frame = await self.ws.recv()
            if isinstance(frame, bytes):
                self.frames.append(frame)
            else:
                self.events.append(json.loads(frame))
        self.taken += 1
        return self.events[self.taken - 1]

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next event of this type, with these values at its top."""
        while True:
            event = await self.next()
            if event["type"] == kind and all(event.get(k) == v for k, v in fields.items()):
                return event

    async def done(self) -> dict[str, Any]:
        """Return the next response that is done."""
        return (await self.until("response.done"))["response"]

    async def closed(self) -> tuple[int, str]:
        """Return the close code and reason, once the service ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.ws.close_code or 0, self.ws.close_reason or ""

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]
