"""A microphone in memory and a strict Expression Measurement, around one real side channel.

Time stands still between the calls of the microphone, and runs SPEED times as fast for the side
channel and the service.
"""

from __future__ import annotations

import asyncio
import http
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from tests.providers import hume_oracle
from voiced.lane.seam import Clock
from voiced.lane.words import DeviceSegment, Edge, Epoch, LaneSegment
from voiced.network.expression import Expression

SPEED = 40.0
KEY = "hk-secret"
DEADLINE_S = 5


async def await_true(condition: Callable[[], bool]) -> None:
    """Look until `condition()` holds: what the loop does inside sends no message."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Told:
    """Where results go (`expression.Teller`)."""

    def __init__(self) -> None:
        self.results: list[tuple] = []
        self.usd = 0.0
        self.troubles: list[tuple[str, str]] = []
        self.news = asyncio.Event()

    def measured(self, frame, channels, scores) -> None:
        self.results.append((frame, dict(channels), scores))
        self.news.set()

    def spent_aside(self, usd, detail) -> None:
        self.usd += usd

    def trouble_aside(self, code, sentence) -> None:
        self.troubles.append((code, sentence))
        self.news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until something told makes `done` true."""
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                self.news.clear()
                await self.news.wait()


class Session:
    """One session, seen from the service."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        assert socket.request is not None
        self.headers, self.path = socket.request.headers, socket.request.path
        self.pcm = bytearray()
        self.frames: list[bytes] = []
        self.updates: list[int] = []
        self.closed = False
        self.wrong: list[str] = []
        self.news = asyncio.Event()
        self.first_s = 0.0

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(bytes(self.pcm), "<i2")

    async def say(self, *events: dict | str | bytes) -> None:
        for event in events:
            await self.socket.send(json.dumps(event) if isinstance(event, dict) else event)

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until what has come makes `done` true."""
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def listen(self) -> None:
        async for frame in self.socket:
            try:
                self._take(frame)
            except Exception as error:  # a test looks at it
                self.wrong.append(f"{type(error).__name__}: {error}")
            self.news.set()

    def _take(self, frame: str | bytes) -> None:
        assert not self.closed, "something after session.close"
        if isinstance(frame, str):
            event = hume_oracle.check(frame, hume_oracle.EXPRESSION_TOLD)
            if event["type"] == "session.close":
                self.closed = True
                return
            assert not self.frames, "session.update after the first audio"
            assert 3000 <= int(str(event["measurement_timer_ms"])) <= 10000
            self.updates.append(int(str(event["measurement_timer_ms"])))
            return
        assert frame, "an empty frame"
        assert len(frame) % 2 == 0
        assert len(frame) <= 3200
        now_s = asyncio.get_running_loop().time() * SPEED
        self.first_s = self.first_s or now_s
        self.frames.append(frame)
        self.pcm += frame
        ahead_s = len(self.pcm) / 32000 - (now_s - self.first_s)
        # A loop that is late by 20 ms is late by 0.8 s at this speed.
        assert ahead_s < 0.5 + 0.02 * SPEED, f"{ahead_s:.1f} s faster than real time"


class Service:
    """A running service."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.fresh: asyncio.Queue[Session] = asyncio.Queue()
        self.status = 0
        self.greeting: list[dict | str] = [created()]
        self.endpoint = ""

    async def next(self) -> Session:
        async with asyncio.timeout(DEADLINE_S):
            return await self.fresh.get()

    async def _serve(self, socket: ServerConnection) -> None:
        session = Session(socket)
        self.sessions.append(session)
        await session.say(*self.greeting)
        self.fresh.put_nowait(session)
        await session.listen()

    def answer(self, connection: ServerConnection, request):
        if self.status:
            return connection.respond(http.HTTPStatus(self.status), "no\n")
        return None


class Microphone:
    """The lane that audio writes, by a test's hand."""

    def __init__(self, rate: int = 48000) -> None:
        self.device_fd, self.device = DeviceSegment.create()
        self.lane_fd, self.lane = LaneSegment.create(rate)
        self.rate, self.near, self.serial = rate, 0, 0
        self.channel: Expression | None = None
        for direction in ("input", "output"):
            self.device.append_epoch(direction, Epoch(1, 0, 0, rate, 480, 0, 0))

    def close(self) -> None:
        os.close(self.device_fd)
        os.close(self.lane_fd)

    def gate(self, is_open: bool) -> int:
        self.serial += 1
        self.lane.append_edge(Edge(self.near, is_open, self.serial))
        return self.near

    def speak(self, samples: np.ndarray, far: np.ndarray | None = None) -> None:
        """Half a second at most: more is left out as too old."""
        samples = np.ascontiguousarray(samples, np.int16)
        far = np.zeros(len(samples), np.int16) if far is None else far
        self.lane.far.store(self.near, memoryview(np.ascontiguousarray(far, np.int16)))
        self.lane.near.store(self.near, memoryview(samples))
        self.near += len(samples)
        self.lane.far.publish_write(self.near)
        self.lane.near.publish_write(self.near)
        if self.channel is not None:
            self.channel.appended()

    def hush(self, seconds: float) -> None:
        self.speak(np.zeros(int(seconds * self.rate), np.int16))


class Stage:
    """A side channel with its microphone and service."""

    def __init__(self, service: Service, mic: Microphone, told: Told) -> None:
        self.service, self.mic, self.told = service, mic, told
        self.goodbyes: set[asyncio.Task[None]] = set()
        self.run: asyncio.Task[None] | None = None

    def start(self, *, key: str = KEY, speed: float = SPEED, **parameters) -> None:
        self.mic.channel = Expression(
            self.mic.lane,
            self.mic.device,
            Clock(speed),
            key=key,
            parameters={"Affectendpoint": self.service.endpoint, **parameters},
            teller=self.told,
            watch=self.goodbyes.add,
        )
        self.run = asyncio.create_task(self.mic.channel.run())

    async def next(self) -> Session:
        """Return the next session, once it is served: what is said before that is not heard."""
        session = await self.service.next()
        await await_true(
            lambda: self.mic.channel is not None and self.mic.channel._feed is not None
        )
        return session

    async def stop(self) -> None:
        if self.run is not None:
            self.run.cancel()
            await asyncio.wait([self.run], timeout=DEADLINE_S)
        if self.goodbyes:
            await asyncio.wait(self.goodbyes, timeout=DEADLINE_S)


@asynccontextmanager
async def stage(rate: int = 48000) -> AsyncIterator[Stage]:
    """Set everything up; at the end nothing that the service was told may have been wrong."""
    service, mic = Service(), Microphone(rate)
    try:
        async with serve(
            service._serve, "127.0.0.1", 0, process_request=service.answer, close_timeout=1
        ) as server:
            service.endpoint = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made = Stage(service, mic, Told())
            try:
                yield made
            finally:
                await made.stop()
        assert [session.wrong for session in service.sessions if session.wrong] == []
        assert KEY not in repr(made.told.troubles)
    finally:
        mic.close()


def created(interval: int = 3000) -> dict:
    return {
        "type": "session.created",
        "session_id": "ses_01",
        "audio": {"type": "audio/pcm", "encoding": "s16le", "sample_rate": 16000, "channels": 1},
        "measurement_timer_ms": interval,
    }


def result(
    expressions: dict[str, float], voice: dict[str, float] | None = None, *,
    begin: int = 0, end: int = 0,
) -> dict:  # fmt: skip
    def scores(table: dict[str, float]) -> list[dict]:
        return [{"name": name, "probability": value} for name, value in table.items()]

    return {
        "type": "measurement.result",
        "measurement_id": 0,
        "utterance_id": 0,
        "audio_start_ms": begin,
        "audio_end_ms": end,
        "trigger": "interval",
        "expressions": scores(expressions),
        "voice_attributes": scores(voice or {}),
    }


def error(code: str, retryable: bool) -> dict:
    return {"type": "error", "code": code, "message": "no", "retryable": retryable}


def closed(reason: str) -> dict:
    return {
        "type": "session.closed",
        "session_id": "ses_01",
        "reason": reason,
        "received": {"audio_duration_ms": 0, "frames": 0},
        "produced": {"utterances": 0, "measurements": 0},
    }
