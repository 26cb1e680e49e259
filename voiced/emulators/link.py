"""One connection of a client, as an emulated service sees it."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from voiced.emulators.half_open import deafen
from voiced.emulators.script import Connection
from voiced.emulators.violations import Violation, Violations

T = TypeVar("T")


class Record(msgspec.Struct, kw_only=True):
    """What a connection was, for who looks on from outside; the key is never part of it."""

    connection: int
    path: str
    query: dict[str, str]
    opened_s: float
    """Seconds since the emulator began."""
    received: dict[str, int] = {}
    """How many of each type of message the client sent."""
    sent: dict[str, int] = {}
    audio_in_s: float = 0.0
    audio_out_s: float = 0.0
    heard: list[str] = []
    """The user's turns as they were read."""
    pictures: int = 0
    """How many the client showed."""
    said: list[str] = []
    """The replies' words."""
    results: list[tuple[str, str]] = []
    """What the client sent of tools' calls: (id of the call, the result)."""
    closed: int | None = None
    """Close code; absent = still open."""
    reason: str = ""


class Link:
    """The websocket of one connection, with what a script can do to it.

    Args:
        socket: the opened websocket.
        number: which connection of the emulator, counted from 1.
        script: what this connection plays.
        violations: where breaches go.
        opened_s: when, seconds since the emulator began.
    """

    def __init__(
        self,
        ws: ServerConnection,
        number: int,
        script: Connection,
        violations: Violations,
        opened_s: float,
    ) -> None:
        assert ws.request is not None  # a handshake came before
        self.number, self.script = number, script
        self.path, self.query = parts(ws.request.path)
        self.headers: Mapping[str, str] = ws.request.headers
        self.record = Record(
            connection=number, path=self.path, query=shown(self.query), opened_s=opened_s
        )
        self.failure: BaseException | None = None
        """What ended the work beside the reading, once all is over."""
        self._ws, self._violations = ws, violations
        self._clear = asyncio.Event()
        self._clear.set()
        self._opened = asyncio.get_running_loop().time()
        self._received, self._ended = asyncio.Event(), False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def age_s(self) -> float:
        """How long it has been open, real seconds."""
        return asyncio.get_running_loop().time() - self._opened

    async def caught_up(self) -> None:
        """Wait until all was received that the client has sent up to now, its end too."""
        link = self._ws.transport.get_extra_info("socket")
        while not self._ended:
            if self._ws.state is State.OPEN and not select.select([link], [], [], 0)[0]:
                return
            await self._received.wait()

    async def receive(self) -> str | bytes:
        """Return the client's next frame.

        Raises:
            ConnectionClosed: there is none any more.
        """
        try:
            frame = await self._next()
        except BaseException:
            self._ended = True
            raise
        finally:
            self._received.set()
            self._received.clear()
        return frame

    async def _next(self) -> str | bytes:
        taking = asyncio.create_task(self._recv())
        waiting: set[asyncio.Future[Any]] = {taking, self._failed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            taking.cancel()
            self._failed.result()  # raises what a task of this connection raised
        return await taking

    async def _recv(self) -> str | bytes:
        return await self._ws.recv()

    async def send(self, message: Any, kind: str = "", *, binary: bool = False) -> None:
        """Send one message as JSON; wait while a fault holds everything up.

        Args:
            message: what msgspec can encode.
            kind: its type, for the record.
            binary: as a binary frame.
        """
        self.record.sent[kind] = self.record.sent.get(kind, 0) + 1
        await self.send_raw(msgspec.json.encode(message).decode(), binary=binary)

    async def send_raw(self, frame: str | bytes, *, binary: bool = False) -> None:
        """Send one frame as it is."""
        await self._clear.wait()
        data = frame.encode() if binary and isinstance(frame, str) else frame
        await self._ws.send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye with a close frame (RFC 6455, 5.5.1: a reason has at most 123 bytes)."""
        self.record.closed, self.record.reason = code, reason
        await self._ws.close(code, reason.encode()[:123].decode(errors="ignore"))

    def reset(self) -> None:
        """Break the link: RST instead of a goodbye."""
        self.record.closed = 1006
        link: socket.socket = self._ws.transport.get_extra_info("socket")
        # The transport's socket forwards no SO_LINGER of a TLS link: there it is a plain FIN.
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._ws.transport.abort()

    def half_open(self) -> None:
        """Vanish: nothing is sent, nothing arrives, nobody says goodbye."""
        self._clear.clear()
        deafen(self._ws.transport.get_extra_info("socket"))
        self._ws.transport.pause_reading()

    def hold(self) -> None:
        """Send nothing any more; what arrives is still read and pings are answered."""
        self._clear.clear()

    def go_on(self) -> None:
        """Send what was held up."""
        self._clear.set()

    def violate(self, event: str, path: str, rule: str) -> None:
        """Write down what the client did wrongly."""
        self._violations.note(
            Violation(
                connection=self.number, at_s=round(self.age_s, 3), event=event, path=path, rule=rule
            )
        )

    def count(self, kind: str) -> None:
        """Note a message of the client in the record."""
        self.record.received[kind] = self.record.received.get(kind, 0) + 1

    def spawn(self, work: Coroutine[Any, Any, T], name: str = "") -> asyncio.Task[T]:
        """Do something beside the reading, until the connection ends; its failure ends that too."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._work_ended)
        return task

    def _work_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, ConnectionClosed) and not self._failed.done():
            self._failed.set_exception(error)

    async def finish(self) -> None:
        """End what still runs beside the reading, and the socket if it is open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failed.done():
            self.failure = self._failed.exception()
        else:
            self._failed.cancel()
        if self.record.closed is None and self._ws.close_code is not None:
            self.record.closed = int(self._ws.close_code)
            self.record.reason = self._ws.close_reason or ""
        if not self._clear.is_set():
            self._ws.transport.abort()


def parts(target: str) -> tuple[str, dict[str, str]]:
    """Return path and query of a request's target; of a repeated name the last counts."""
    split = urlsplit(target)
    query = parse_qs(split.query, keep_blank_values=True)
    return split.path, {name: values[-1] for name, values in query.items()}


def shown(query: Mapping[str, str]) -> dict[str, str]:
    """Return a query without what may be a key."""
    secret = {"key", "api_key", "apiKey", "access_token"}
    return {name: "..." if name in secret else value for name, value in query.items()}
