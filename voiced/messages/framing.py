"""How messages travel on a control channel: 4-byte big-endian length, then msgpack. No socket here.

A channel is an AF_UNIX stream socketpair between control and one child. `Hello` goes first in both
directions; whatever else comes first, or another version, is a protocol error. The end of the
stream means: close up and exit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from voiced.errors import RemoteProtocolError

PROTOCOL_VERSION = 1
MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one message; more is a broken channel."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """What every message of every channel is."""


class Hello(Message, frozen=True, kw_only=True):
    """First message in both directions."""

    version: int = PROTOCOL_VERSION
    pid: int


class LaneSeat(Message, frozen=True, kw_only=True):
    """The lane of one agent, as a child finds it among its inherited descriptors."""

    agent: str
    fd: int


class Attach(Message, frozen=True, kw_only=True):
    """Sent by control right after Hello: the shared memory, by inherited file descriptor."""

    device_fd: int
    lanes: list[LaneSeat]
    near_wake: tuple[int, int]
    """`Wake.fds`: audio sets it once per append period, network waits on it."""
    edge_wake: tuple[int, int]
    """`Wake.fds`: audio sets it at a gate edge, a flush and an epoch; control waits on it."""
    wire_fd: int = -1
    """Network's or inference's end of the datagram pair between them; -1 for everybody else."""
    speed: float = 1.0
    state_dir: str = ""
    providers_folder: str = ""
    """Folder of drop-in providers, for network: its first catalogue has them already."""


class Shutdown(Message, frozen=True, kw_only=True):
    """Sent by control: finish what cannot wait, and exit with status 0."""


class Configured(Message, frozen=True, kw_only=True):
    """Sent by a child: the configuration it was last given is in force."""


T = TypeVar("T", bound=Message)

_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """Return the frame of a message, ready to be sent."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


class Decoder(Generic[T]):
    """Takes bytes as they come, gives messages of one union as they are complete.

    Args:
        union: the type that every message on this channel must have.
    """

    def __init__(self, union: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(union)
        self._buffer = bytearray()

    def receive(self, data: bytes) -> Iterator[T]:
        """Feed bytes; yield every message they complete.

        Raises:
            RemoteProtocolError: the length is impossible or the message is not of the union; the
                channel must be closed, since nothing after it can be trusted.
        """
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > MAX_MESSAGE:
                raise RemoteProtocolError(f"a message claims {length} bytes")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            try:
                message = self._decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise RemoteProtocolError(f"a message cannot be read: {error}") from error
            yield message
