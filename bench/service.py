"""A voice service on loopback, shaped like OpenAI Realtime: it takes appends and plays tones."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import numpy as np
import websockets


class Service:
    """One service; the last client that connected is `client`.

    Attributes:
        appends: (monotonic ns, samples) of every append.
        truncated: `audio_end_ms` of every truncate.
        connected: monotonic ns of every connection's opening.
    """

    def __init__(self) -> None:
        self.appends: list[tuple[int, np.ndarray]] = []
        self.truncated: asyncio.Queue[int] = asyncio.Queue()
        self.connected: list[int] = []
        self.first_append: list[int] = []
        self.client: websockets.ServerConnection | None = None
        self._rate = 48000
        self.port = 0

    async def start(self) -> None:
        self._server = await websockets.serve(self._serve, "127.0.0.1", 0, compression=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def url(self, rate: int) -> str:
        return f"ws://127.0.0.1:{self.port}/{rate}"

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, ws: websockets.ServerConnection) -> None:
        assert ws.request is not None
        self._rate = int(ws.request.path.strip("/"))
        self.client, fresh = ws, True
        self.connected.append(time.monotonic_ns())
        try:
            async for text in ws:
                now = time.monotonic_ns()
                event = json.loads(text)
                if event["type"] == "input_audio_buffer.append":
                    samples = np.frombuffer(base64.b64decode(event["audio"]), "<i2")
                    self.appends.append((now, samples))
                    if fresh:
                        self.first_append.append(now)
                        fresh = False
                elif event["type"] == "conversation.item.truncate":
                    self.truncated.put_nowait(event["audio_end_ms"])
        except websockets.ConnectionClosed:
            pass

    def click_arrived(self, after_ns: int) -> int | None:
        """Return the ns of the first append with a click in it."""
        for ns, samples in self.appends:
            if ns >= after_ns and len(samples) and int(np.abs(samples.astype(int)).max()) > 8000:
                return ns
        return None

    def longest_pause_ms(self, after_ns: int) -> float:
        """Return the longest time between two appends."""
        times = [ns for ns, _ in self.appends if ns >= after_ns]
        return max((b - a for a, b in zip(times, times[1:], strict=False)), default=0) / 1e6

    async def send(self, **event: object) -> None:
        assert self.client is not None
        await self.client.send(json.dumps(event))

    async def reply(self, seconds: float, *, burst: bool) -> int:
        """Send a tone in deltas of 100 ms; return the ns of the first delta."""
        step = self._rate // 10
        t = np.arange(step) / self._rate
        tone = (16000 * np.sign(np.sin(2 * np.pi * 500 * t))).astype("<i2")
        delta = base64.b64encode(tone.tobytes()).decode()
        start, count = time.monotonic_ns(), round(seconds * 10)
        for i in range(count):
            await self.send(
                type="response.output_audio.delta", delta=delta, first=i == 0, last=i == count - 1
            )
            if not burst:
                until = start + (i + 1) * 100_000_000
                await asyncio.sleep(max(0, (until - time.monotonic_ns()) / 1e9))
        return start
