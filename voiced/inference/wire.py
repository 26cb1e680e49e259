"""The socket to the network process: packets in, packets out, never blocking the loop."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from voiced.messages.inference import (
    MAX_PACKET,
    FromInference,
    ToInference,
    decode_to_inference,
    encode,
)

_HIGH_WATER: Final = 64
"""Packets: `drain` waits while more than these wait."""
_BURST: Final = 32
"""Packets read at one go, so that other work gets its turn."""

logger = logging.getLogger(__name__)


class Wire:
    """One end of the packet pair.

    Args:
        end: an `AF_UNIX`, `SOCK_SEQPACKET` socket; it becomes non-blocking.
        receive: called with each message; a packet that is none is logged and dropped.
        closed: called once if the other end is gone for good.
    """

    def __init__(
        self,
        end: socket.socket,
        receive: Callable[[ToInference], None],
        closed: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._receive = receive
        self._closed = closed
        self._waiting: deque[bytes] = deque()
        self._low = asyncio.Event()
        self._low.set()
        self._loop = asyncio.get_running_loop()
        self._refused = 0

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._end, self._readable)

    def send(self, message: FromInference) -> None:
        """Send a message, after what waits before it."""
        self._waiting.append(encode(message))
        if len(self._waiting) == 1:
            self._writable()

    async def drain(self) -> None:
        """Wait until the network process has taken most of what was sent."""
        await self._low.wait()

    def forget(self) -> None:
        """Drop what was not taken: it is for a network process that is gone."""
        self._waiting.clear()
        self._low.set()
        self._loop.remove_writer(self._end)

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                packet = self._end.recv(MAX_PACKET + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                logger.error("! the wire cannot be read: %s", error)
                self._gone()
                return
            if not packet and self._hung_up():
                self._gone()
                return
            try:
                message = decode_to_inference(packet)
            except ValueError as error:
                self._refuse(error)
                continue
            self._receive(message)

    def _refuse(self, error: ValueError) -> None:
        """Log the first refusals and then each power of two: a flood must not fill the log."""
        self._refused += 1
        if self._refused < 4 or self._refused & (self._refused - 1) == 0:
            logger.warning("! refused packet %d: %s", self._refused, error)

    def _writable(self) -> None:
        while self._waiting:
            try:
                self._end.send(self._waiting[0])
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._end, self._writable)
                break
            except OSError as error:
                # The pair's far end is closed: reading finds that out and ends this process.
                logger.debug("! the wire cannot be written: %s", error)
                self._waiting.clear()
                break
            self._waiting.popleft()
        if not self._waiting:
            self._loop.remove_writer(self._end)
        if len(self._waiting) > _HIGH_WATER:
            self._low.clear()
        else:
            self._low.set()

    def _hung_up(self) -> bool:
        """Tell the end of the wire from an empty packet, which reads the same."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _gone(self) -> None:
        self._loop.remove_reader(self._end)
        self._loop.remove_writer(self._end)
        self._closed()
