"""The audio process's end of its control channel: a socket, framed messages, no thread."""

from __future__ import annotations

import os
import select
import socket

from voiced.errors import ChannelClosed, RemoteProtocolError
from voiced.messages.audio import FromAudio, ToAudio
from voiced.messages.framing import PROTOCOL_VERSION, Attach, Decoder, Hello, encode

SEND_TIMEOUT_S = 2.0
"""A control process that takes nothing for so long is as good as gone."""


class Channel:
    """Sends and receives the messages of `voiced.messages.audio`; greets on construction.

    Args:
        fd: the inherited end of the socketpair.
        attach: what control said, where this program was greeted before it renewed itself.

    Attributes:
        attach: the shared memory that control named in its greeting.

    Raises:
        RemoteProtocolError: something else than Hello and Attach came, or another version.
        ChannelClosed: control is gone.
    """

    def __init__(self, fd: int, attach: Attach | None = None) -> None:
        self._socket = socket.socket(fileno=fd)
        self._decoder: Decoder[ToAudio] = Decoder(ToAudio)  # type: ignore[arg-type]
        self._waiting: list[ToAudio] = []
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._socket.settimeout(SEND_TIMEOUT_S)
        self.attach = attach or self._greet()

    def _greet(self) -> Attach:
        self.send(Hello(pid=os.getpid()))
        hello = self._next()
        if not isinstance(hello, Hello) or hello.version != PROTOCOL_VERSION:
            raise RemoteProtocolError(f"expected Hello of version {PROTOCOL_VERSION}, got {hello}")
        attach = self._next()
        if not isinstance(attach, Attach):
            raise RemoteProtocolError(f"expected Attach, got {type(attach).__name__}")
        return attach

    def _next(self) -> ToAudio:
        while not self._waiting:
            self._waiting = self.receive(None)
        return self._waiting.pop(0)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def receive(self, timeout_s: float | None) -> list[ToAudio]:
        """Sleep until messages come or `timeout_s` is over; return those that are complete.

        Raises:
            ChannelClosed: control is gone.
            RemoteProtocolError: what came is no message.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            return waiting
        # Rounded up: a poll that wakes a little early would spin until its deadline.
        if not self._readable.poll(None if timeout_s is None else int(timeout_s * 1000 + 0.999)):
            return []
        try:
            received = self._socket.recv(65536)
        except OSError as error:
            raise ChannelClosed(f"control is gone: {error}") from error
        if not received:
            raise ChannelClosed("control is gone")
        return list(self._decoder.receive(received))

    def send(self, message: FromAudio) -> None:
        """Send one message.

        Raises:
            ChannelClosed: control is gone, or takes nothing.
        """
        try:
            self._socket.sendall(encode(message))
        except OSError as error:
            raise ChannelClosed(f"control is gone: {error}") from error
