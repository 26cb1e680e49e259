"""The network process's end of the wire to the inference process: packets, and whose they are.

The socket outlives both processes. This side says `Hello` with a generation of its own and drops
everything it reads before the `Ready` that carries it: that was meant for a predecessor. A `Ready`
of another process id than the last means that inference was started anew and every conversation is
gone. A `Ready` that answers nobody, while an answer is awaited, is a process that never read this
`Hello`: its predecessor may have read it and died of something else, so it is said again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from voiced.messages.inference import (
    MAX_PACKET,
    FromInference,
    Hello,
    Ready,
    ToInference,
    Trouble,
    decode_from_inference,
    encode,
)

SEND_BUFFER = 24 * 1024
"""Bytes that may wait in the socket: a few tenths of a second of sound, and one longest packet
(the kernel keeps twice as much)."""
BURST = 32
"""Packets read at one go, so that the upload gets its turn."""

logger = logging.getLogger(__name__)


class _Place(NamedTuple):
    receive: Callable[[FromInference], None]
    lost: Callable[[], None]


class InferenceWire:
    """One end of the packet pair (`contract.LocalWire`).

    Args:
        end: an `AF_UNIX`, `SOCK_SEQPACKET` socket; it becomes non-blocking.
        trouble: told what inference says about itself, of no conversation: code and sentence.
    """

    def __init__(self, end: socket.socket, trouble: Callable[[str, str], None]) -> None:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._end, self._trouble = end, trouble
        self._loop = asyncio.get_running_loop()
        self._generation = time.monotonic_ns()
        self._instance = 0
        self._ready = asyncio.Event()
        self._places: dict[str, _Place] = {}
        self._sending = asyncio.Lock()
        self._refused = 0
        self._greeting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read. Hello waits for the first use: its arrival is what starts inference."""
        self._loop.add_reader(self._end, self._readable)

    def close(self) -> None:
        """Stop reading; the socket stays open for the successor."""
        self._loop.remove_reader(self._end)
        if self._greeting is not None:
            self._greeting.cancel()

    async def ready(self) -> int:
        """Wait until an inference process answers; return its process id."""
        if self._greeting is None:
            self._greet()
        await self._ready.wait()
        return self._instance

    def attach(
        self, conversation: str, receive: Callable[[FromInference], None], lost: Callable[[], None]
    ) -> None:
        """Give `receive` every message about `conversation`; `lost` when its process is gone."""
        self._places[conversation] = _Place(receive, lost)

    def detach(self, conversation: str) -> None:
        """Stop receiving for `conversation`."""
        self._places.pop(conversation, None)

    async def send(self, message: ToInference) -> None:
        """Send a message, after those before it, waiting while the wire is full.

        Raises:
            ValueError: it is longer than a packet may be; nothing was sent.
        """
        packet = encode(message)
        # Whole packets in order: a second sender waits behind one that waits for room.
        async with self._sending:
            while True:
                try:
                    self._end.send(packet)
                except (BlockingIOError, InterruptedError):
                    await self._writable()
                except OSError as error:
                    if error.errno not in {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}:
                        raise
                    return  # control holds both ends; without it this process ends anyway
                else:
                    return

    async def _writable(self) -> None:
        room: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._end, _set, room)
        try:
            await room
        finally:
            self._loop.remove_writer(self._end)

    def _greet(self) -> None:
        self._greeting = self._loop.create_task(self.send(Hello(generation=self._generation)))

    def _readable(self) -> None:
        for _ in range(BURST):
            try:
                packet = self._end.recv(MAX_PACKET + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                logger.error("! the wire to inference cannot be read: %s", error)
                self._loop.remove_reader(self._end)
                return
            if not packet:
                # Control is gone, and with it this process; or an empty packet, which says nothing.
                if self._hung_up():
                    self._loop.remove_reader(self._end)
                    return
                continue
            try:
                message = decode_from_inference(packet)
            except ValueError as error:
                self._refuse(error)
                continue
            self._receive(message)

    def _hung_up(self) -> bool:
        """Tell the end of the wire from an empty packet, which reads the same."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _refuse(self, error: ValueError) -> None:
        """Log the first refusals and then each power of two: a flood must not fill the log."""
        self._refused += 1
        if self._refused < 4 or self._refused & (self._refused - 1) == 0:
            logger.warning("! refused packet %d of inference: %s", self._refused, error)

    def _receive(self, message: FromInference) -> None:
        if isinstance(message, Ready):
            self._on_ready(message)
        elif not self._ready.is_set():
            return  # meant for a predecessor of this process
        elif message.conversation in self._places:
            self._places[message.conversation].receive(message)
        elif isinstance(message, Trouble) and not message.conversation:
            self._trouble(message.code, message.sentence)

    def _on_ready(self, ready: Ready) -> None:
        if not self._ready.is_set():
            if ready.generation == self._generation:
                logger.info("< ready instance=%d", ready.instance)
                self._instance = ready.instance
                self._ready.set()
            elif ready.generation == 0 and self._greeting is not None:
                # Where the first Hello still lies unread the second changes nothing: both are read
                # before whatever is said to the answer.
                self._greet()
            return
        if ready.instance == self._instance:
            return
        logger.warning("! inference was started anew: instance=%d", ready.instance)
        # What still comes of conversations is of nobody's interest until the new one has answered.
        self._ready.clear()
        places, self._places = self._places, {}
        self._greet()
        for place in places.values():
            place.lost()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
