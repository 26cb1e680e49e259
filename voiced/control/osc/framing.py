"""OSC packets in a TCP stream: SLIP (OSC 1.1, RFC 1055) or a size before each (OSC 1.0).

Which of the two a sender speaks shows in its first byte: SLIP begins with END (0xC0) or with the
packet itself, a size below 16 MB begins with zero. Pure: bytes in, packets out.
"""

from __future__ import annotations

import struct
from typing import Final

from voiced.control.osc.codec import PacketError

MAX_STREAM_PACKET: Final = 131_072
"""Bytes of one packet in a stream: whole texts come this way."""
_END: Final = b"\xc0"
_ESC: Final = b"\xdb"
_ESC_END: Final = b"\xdb\xdc"
_ESC_ESC: Final = b"\xdb\xdd"
_SIZE = struct.Struct(">I")


class Deframer:
    """Cuts one stream into packets; after an error the stream is beyond repair."""

    def __init__(self, limit: int = MAX_STREAM_PACKET) -> None:
        self._limit = limit
        self._rest = bytearray()
        self.slip: bool | None = None
        """How the other side frames; None before its first byte."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the packets that are complete with this piece of the stream.

        Raises:
            PacketError: The framing is broken, or a packet is too long; close the connection.
        """
        self._rest += piece
        if self.slip is None and self._rest:
            first = self._rest[0]
            if first not in b"\x00\xc0/#":
                raise PacketError("the stream begins neither with SLIP nor with a size")
            self.slip = first != 0
        return self._slip() if self.slip else self._sized()

    def _sized(self) -> list[bytes]:
        packets: list[bytes] = []
        at = 0
        while len(self._rest) - at >= 4:
            (size,) = _SIZE.unpack_from(self._rest, at)
            if size > self._limit:
                raise PacketError(f"a packet of {size} bytes, at most {self._limit} are taken")
            if len(self._rest) - at - 4 < size:
                break
            if size:
                packets.append(bytes(self._rest[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._rest[:at]
        return packets

    def _slip(self) -> list[bytes]:
        *frames, rest = self._rest.split(_END)
        self._rest = bytearray(rest)
        if len(rest) > 2 * self._limit or any(len(frame) > 2 * self._limit for frame in frames):
            raise PacketError(f"a packet of more than {self._limit} bytes")
        return [_unescape(bytes(frame)) for frame in frames if frame]


def _unescape(frame: bytes) -> bytes:
    if _ESC not in frame:
        return frame
    # ESC is followed by one of two bytes; anything else is a broken frame.
    parts = frame.split(_ESC)
    out = [parts[0]]
    for part in parts[1:]:
        if part[:1] == b"\xdc":
            out.append(_END + part[1:])
        elif part[:1] == b"\xdd":
            out.append(_ESC + part[1:])
        else:
            raise PacketError("a SLIP escape that escapes nothing")
    return b"".join(out)


def frame_slip(packet: bytes) -> bytes:
    """Return a packet between two ENDs, as OSC 1.1 wants it."""
    return _END + packet.replace(_ESC, _ESC_ESC).replace(_END, _ESC_END) + _END


def frame_sized(packet: bytes) -> bytes:
    """Return a packet with its size before it, as OSC 1.0 wants it."""
    return _SIZE.pack(len(packet)) + packet
