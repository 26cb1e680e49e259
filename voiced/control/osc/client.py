"""A small blocking client of a running daemon, for the command line: TCP, whole texts."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from voiced.control.osc.codec import Argument, OscMessage, PacketError, decode, encode
from voiced.control.osc.framing import Deframer, frame_slip
from voiced.control.osc.pattern import Pattern
from voiced.control.osc.settings import PORT
from voiced.errors import ChannelClosed, RemoteProtocolError, VoicedError

_ANSWERS: Final = {
    "/voiced/ping": "/voiced/pong",
    "/voiced/sync": "/voiced/synced",
    "/voiced/subscribe": "/voiced/subscribed",
    "/voiced/unsubscribe": "/voiced/unsubscribed",
    "/voiced/dump": "/voiced/dump/done",
    "/voiced/midi/unbind": "/voiced/midi/unbound",
}
_SECRET: Final = "/set"
_STREAM_LIMIT: Final = 16 << 20
_LEASE_S: Final = 24 * 3600


class AnswerRefused(VoicedError):
    """The daemon refused what was asked; its text is the daemon's sentence."""

    def __init__(self, address: str, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.address = address
        self.code = code


class NoAnswer(VoicedError):
    """The daemon is there but has not answered in time."""


class Said(msgspec.Struct, frozen=True):
    """One message from the daemon."""

    address: str
    args: tuple[Argument, ...]


class Client:
    """One connection; also a context manager.

    Raises:
        ChannelClosed: Nobody listens there, or the daemon went away; so does every method.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = PORT, timeout: float = 2.0) -> None:
        self._deframer = Deframer(_STREAM_LIMIT)
        self._waiting: deque[Said] = deque()
        self._syncs = 0
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise ChannelClosed(
                f"no voiced answers at {host} port {port}: is `voiced run` running? ({error})"
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; what this connection held (Talk) is let go."""
        self._socket.close()

    def send(self, address: str, *args: int | float | str | bool) -> None:
        """Send one message."""
        try:
            self._socket.sendall(frame_slip(encode(address, args)))
        except OSError as error:
            raise ChannelClosed(f"voiced went away: {error}") from error

    def receive(self, timeout: float | None = None) -> Said:
        """Return the next message; wait for it no longer than `timeout` seconds.

        Raises:
            NoAnswer: None came in time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self._waiting:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise NoAnswer("voiced has not answered in time")
            self._socket.settimeout(left)
            try:
                piece = self._socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError as error:
                raise ChannelClosed(f"voiced went away: {error}") from error
            if not piece:
                raise ChannelClosed("voiced went away")
            self._take(piece)
        return self._waiting.popleft()

    def _take(self, piece: bytes) -> None:
        try:
            for packet in self._deframer.feed(piece):
                messages: list[OscMessage] = decode(packet, _STREAM_LIMIT)
                self._waiting += [Said(m.address, m.args) for m in messages]
        except PacketError as error:
            raise RemoteProtocolError(f"voiced sent what is no OSC: {error}") from error

    def ask(
        self, address: str, *args: int | float | str | bool, timeout: float = 2.0
    ) -> tuple[Argument, ...]:
        """Send a message and return the arguments of its answer.

        Raises:
            AnswerRefused: The daemon refused it.
            NoAnswer: None came in time.
        """
        self.send(address, *args)
        answers = {_ANSWERS.get(address, address), address + _SECRET}
        until = time.monotonic() + timeout
        while True:
            said = self.receive(max(until - time.monotonic(), 0.0))
            if said.address in answers:
                return said.args
            _raise_if_refused(said, address)

    def do(self, address: str, *args: int | float | str | bool, timeout: float = 2.0) -> list[Said]:
        """Send a message, wait until it is done, and return what was said meanwhile.

        Raises:
            AnswerRefused: The daemon refused it; `code` "later" is told, not raised.
            NoAnswer: It was not done in time.
        """
        self._syncs += 1
        self.send(address, *args)
        self.send("/voiced/sync", self._syncs)
        heard: list[Said] = []
        until = time.monotonic() + timeout
        refused: AnswerRefused | None = None
        while True:
            said = self.receive(max(until - time.monotonic(), 0.0))
            if said.address == "/voiced/synced" and said.args == (self._syncs,):
                if refused is not None:
                    raise refused
                return heard
            try:
                _raise_if_refused(said, address)
            except AnswerRefused as error:
                refused = refused or (error if error.code != "later" else None)
            heard.append(said)

    def listen(self, pattern: str = "/*") -> Iterator[Said]:
        """Yield what happens from now on, after a dump of how things are; for ever."""
        matcher = Pattern(pattern, crossing=True)
        self.ask("/voiced/subscribe", pattern, _LEASE_S, "flat")
        while True:
            said = self.receive()
            if matcher.matches(said.address):
                yield said


def _raise_if_refused(said: Said, address: str) -> None:
    if said.address == "/voiced/error" and said.args[:1] == (address,):
        _address, code, sentence = _three_words(said.args)
        raise AnswerRefused(address, code, sentence)


def _three_words(args: Sequence[Argument]) -> tuple[str, str, str]:
    if len(args) != 3:
        raise RemoteProtocolError("voiced sent an error without a sentence")
    return str(args[0]), str(args[1]), str(args[2])
