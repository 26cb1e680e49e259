"""OSC over TCP: one connection each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from voiced.control.osc.codec import PacketError
from voiced.control.osc.framing import Deframer, frame_sized, frame_slip
from voiced.control.osc.peer import Destination, Peer

MAX_STREAMS: Final = 32
BACKLOG: Final = 1 << 20
"""Bytes that may wait for a slow reader; then it is let go."""
_AT_ONCE: Final = 128
"""Packets of one connection acted on before the others get their turn."""


class Stream(asyncio.Protocol):
    """One TCP connection: packets in, answers out in the framing the other side speaks.

    `opened(stream)` returns the peer, or None to turn it away; `packet(peer, bytes)` is called for
    each packet, `drained()` after a few of them, `closed(peer)` once at the end.
    """

    def __init__(
        self,
        opened: Callable[[Stream], Peer | None],
        packet: Callable[[Peer, bytes], None],
        drained: Callable[[], None],
        closed: Callable[[Peer], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._opened = opened
        self._packet = packet
        self._drained = drained
        self._closed = closed
        self._log = log
        self._deframer = Deframer()
        self._queue: deque[bytes] = deque()
        self._working = False
        self._peer: Peer | None = None
        self._transport: asyncio.Transport | None = None
        self.remote: Destination = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = transport.get_extra_info("peername") or ("", 0)
        self.remote = (str(name[0]), int(name[1]))
        self._peer = self._opened(self)
        if self._peer is None:
            transport.abort()

    def data_received(self, piece: bytes) -> None:
        """Cut what came into packets and act on them, a few at a time."""
        if self._peer is None:
            return
        try:
            self._queue += self._deframer.feed(piece)
        except PacketError as error:
            self._log("warning", f"! osc {self._peer.origin.id}: {error}; connection closed")
            self.abort()
            return
        if not self._working:
            self._work()

    def _work(self) -> None:
        self._working = False
        for _ in range(min(_AT_ONCE, len(self._queue))):
            if self._peer is None:
                return
            self._packet(self._peer, self._queue.popleft())
        self._drained()
        if self._transport is None or self._transport.is_closing():
            return
        if self._queue:
            self._working = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._work)
        else:
            self._transport.resume_reading()

    def connection_lost(self, _reason: Exception | None) -> None:
        """Tell that it is over."""
        peer, self._peer = self._peer, None
        self._queue.clear()
        if peer is not None:
            self._closed(peer)

    def send(self, _destination: Destination, packet: bytes) -> None:
        """Send one packet; a reader that is too slow is let go."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > BACKLOG:
            self._log("warning", f"! osc tcp {self.remote}: reads too slowly; connection closed")
            transport.abort()
            return
        framed = frame_slip(packet) if self._deframer.slip else frame_sized(packet)
        transport.write(framed)

    def close(self) -> None:
        """Close once what was sent has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
