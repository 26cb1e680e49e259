"""A raw client of any service: it says what it is told to say, frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.emulators.client import DEADLINE_S


def tone(size: int) -> bytes:
    """Return `size` bytes of a 440 Hz tone, 16 kHz s16le."""
    t = np.arange(size // 2) / 16000
    return (8000 * np.sin(2 * np.pi * 440 * t)).astype("<i2").tobytes()


class Client:
    """A raw client: what it sends is what the test says; every wait has a deadline."""

    def __init__(self, url: str, headers: dict[str, str], context: ssl.SSLContext | None) -> None:
        self._opening = connect(
            url, additional_headers=headers, compression=None, max_size=None, ssl=context
        )
        self.seen: list[dict[str, Any]] = []
        """All that was received."""

    async def __aenter__(self) -> Client:
        self._ws = await self._opening
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ws.close()

    async def send(self, *messages: Any) -> None:
        """Send frames: strings and bytes as they are, all else as JSON."""
        for message in messages:
            raw = isinstance(message, str | bytes)
            await self._ws.send(message if raw else json.dumps(message))

    def break_off(self, *messages: Any) -> None:
        """Send frames and hang up without a goodbye, all before anybody can read them."""
        for message in messages:
            self._ws.protocol.send_text(json.dumps(message).encode())
        self._ws.send_data()
        self._ws.transport.abort()

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(DEADLINE_S):
            message = json.loads(await self._ws.recv())
        self.seen.append(message)
        return message

    async def until(self, wanted: Any) -> list[dict[str, Any]]:
        """Return all messages up to the one for which `wanted` is true, with it."""
        found = []
        while True:
            found.append(await self.next())
            if wanted(found[-1]):
                return found

    async def closed(self) -> tuple[int, str]:
        """Wait for the end of the connection and return its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self._ws.close_code or 0, self._ws.close_reason or ""
