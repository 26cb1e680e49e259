"""Control's end of one child's message channel, on the asyncio loop, without a task.

What is sent goes out at once or waits in a bounded buffer: a child that does not read is hung, and
the loop never waits for it. What a child says is taken for so long at a time that everybody else on
the loop has a turn, however much it says.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from voiced.errors import RemoteProtocolError
from voiced.messages.framing import PROTOCOL_VERSION, Decoder, Hello, Message, encode

MAX_UNSENT = 16 * 1024 * 1024
"""Bytes that may wait for a child that does not read."""
TURN_S = 0.02
"""For so long one child is listened to before the loop goes on to the others."""
_READ = 256 * 1024

T = TypeVar("T", bound=Message)


class Channel(Generic[T]):
    """One connected stream socket.

    Args:
        sock: control's end of the socketpair; this takes it over.
        union: what the child may say.
        on_message: called with every message after Hello, and with Hello itself.
        on_broken: called once with a sentence when the child broke the protocol.
        on_closed: called once when the child's end is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        union: type[T],
        on_message: Callable[[T], None],
        on_broken: Callable[[str], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._loop, self._sock = loop, sock
        self._decoder: Decoder[T] = Decoder(union)
        self._on_message, self._on_broken, self._on_closed = on_message, on_broken, on_closed
        self._received: Iterator[T] | None = None
        """What was read and not yet taken."""
        self._unsent = bytearray()
        self._greeted = False
        self._open = True
        sock.setblocking(False)
        loop.add_reader(sock, self._readable)

    def send(self, message: Message) -> None:
        """Send a message, or keep it until the child reads; nothing once the channel is closed."""
        if not self._open:
            return
        waiting = bool(self._unsent)
        self._unsent += encode(message)
        if not waiting:
            self._writable()
            if self._open and self._unsent:
                self._loop.add_writer(self._sock, self._writable)
        if len(self._unsent) > MAX_UNSENT:
            self._break("it does not read what it is told")

    def close(self) -> None:
        """Close this end; the child takes it as the order to exit."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def drain(self) -> None:
        """Take everything the child sent before it exited, then close."""
        while self._open and self._listen(float("inf")):
            pass
        self.close()

    def _readable(self) -> None:
        """Take what there is, for the length of a turn."""
        self._listen(time.monotonic() + TURN_S)
        if self._open and self._received is not None:
            # The socket may have nothing more, so its readiness does not bring us back.
            self._loop.remove_reader(self._sock)
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._sock, self._readable)
            self._readable()

    def _listen(self, until: float) -> bool:
        """Take what was read, or is read now, until a time; tell whether there may be more."""
        if self._received is None:
            try:
                received = self._sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                received = b""
            if not received:
                self.close()
                self._on_closed()
                return False
            self._received = self._decoder.receive(received)
        try:
            for message in self._received:
                self._take(message)
                if not self._open:
                    return False
                if time.monotonic() > until:
                    return True
        except RemoteProtocolError as error:
            self._break(str(error))
        self._received = None
        return self._open

    def _take(self, message: T) -> None:
        if isinstance(message, Hello):
            if self._greeted:
                raise RemoteProtocolError("it said Hello twice")
            if message.version != PROTOCOL_VERSION:
                raise RemoteProtocolError(
                    f"it speaks version {message.version} of the channel and control version "
                    f"{PROTOCOL_VERSION}: two versions of voiced are mixed, install one of them"
                )
            self._greeted = True
        elif not self._greeted:
            raise RemoteProtocolError(f"its first message is {type(message).__name__}, not Hello")
        self._on_message(message)

    def _writable(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The other end is gone; the reader will see it, after what it still has to say.
            self._unsent.clear()
        self._loop.remove_writer(self._sock)

    def _break(self, sentence: str) -> None:
        self.close()
        self._on_broken(sentence)
