"""OSC 1.0 packets, strictly: bytes to messages and back. Pure, no socket.

Open Sound Control 1.0 specification (Wright, 2002), with the type tags `T F N I` that 1.1 requires
and `h d S m r t b` of its optional ones. In: whatever is not exactly a packet is refused with one
exception and a sentence. Out: only `i f s`, which everything understands.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from voiced.errors import LocalProtocolError, VoicedError

Argument: TypeAlias = int | float | str | bytes | bool | None

MAX_PACKET: Final = 65_536
"""Bytes of one packet in; more than a datagram holds."""
MAX_DEPTH: Final = 8
"""Bundles in bundles."""
MAX_ADDRESS: Final = 256
MAX_ARGS: Final = 256
MAX_BUNDLE: Final = 1400
"""Bytes of one bundle out: fits an Ethernet frame."""
MAX_TEXT: Final = 4096
"""Bytes of one message with text out over UDP, and of one text in over UDP."""
IMMEDIATELY: Final = 1
"""The timetag that means now."""
_BUNDLE: Final = b"#bundle\0"
_FLOAT_MAX: Final = 3.4028234663852886e38
_PAD: Final = (b"", b"\0\0\0", b"\0\0", b"\0")

_I = struct.Struct(">i")
_F = struct.Struct(">f")
_H = struct.Struct(">q")
_D = struct.Struct(">d")
_T = struct.Struct(">Q")
_NUMBERS: Final = {"i": _I, "f": _F, "h": _H, "d": _D, "t": _T}


class PacketError(VoicedError):
    """A packet is not OSC, or is more than this door takes; its text is the reason."""


class OscMessage(msgspec.Struct, frozen=True):
    """One message: `tags` without their comma, one argument each; N and I are None."""

    address: str
    tags: str = ""
    args: tuple[Argument, ...] = ()
    timetag: int = IMMEDIATELY
    """NTP 32.32 of the innermost bundle around it."""


def decode(packet: bytes, limit: int = MAX_PACKET) -> list[OscMessage]:
    """Return the messages of a packet, bundles opened, in their order.

    Raises:
        PacketError: Nothing of the packet may be used.
    """
    if len(packet) > limit:
        raise PacketError(f"the packet has {len(packet)} bytes, at most {limit} are taken")
    messages: list[OscMessage] = []
    # (start, end, depth, timetag); a stack of its own, so that no packet can exhaust Python's.
    todo = [(0, len(packet), 0, IMMEDIATELY)]
    while todo:
        start, end, depth, timetag = todo.pop()
        if packet[start : start + 8] != _BUNDLE:
            messages.append(_message(packet, start, end, timetag))
            continue
        if depth == MAX_DEPTH:
            raise PacketError(f"bundles are nested deeper than {MAX_DEPTH}")
        if end - start < 16:
            raise PacketError("a bundle ends before its timetag")
        (inner,) = _T.unpack_from(packet, start + 8)
        todo += reversed(_elements(packet, start + 16, end, depth + 1, inner))
    return messages


def _elements(
    packet: bytes, at: int, end: int, depth: int, timetag: int
) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    while at < end:
        if end - at < 8:
            raise PacketError("a bundle's element ends before it begins")
        (size,) = _I.unpack_from(packet, at)
        at += 4
        if size <= 0 or size % 4 or size > end - at:
            raise PacketError(f"a bundle's element claims {size} bytes where {end - at} are left")
        found.append((at, at + size, depth, timetag))
        at += size
    return found


def _string(packet: bytes, start: int, end: int, what: str) -> tuple[bytes, int]:
    """Return the string that begins at `start`, and where the next thing does."""
    stop = packet.find(b"\0", start, end)
    if stop < 0:
        raise PacketError(f"{what} has no end")
    after = start + ((stop - start) // 4 + 1) * 4
    if after > end or packet.count(b"\0", stop, after) != after - stop:
        raise PacketError(f"{what} is not padded with zeros to a multiple of four")
    return packet[start:stop], after


def _message(packet: bytes, start: int, end: int, timetag: int) -> OscMessage:
    if end - start < 4 or (end - start) % 4:
        raise PacketError("a message's size is no multiple of four")
    if packet[start] != 0x2F:
        raise PacketError('a packet begins with "/" or "#bundle"')
    raw, at = _string(packet, start, end, "the address")
    if len(raw) > MAX_ADDRESS:
        raise PacketError(f"the address has {len(raw)} bytes, at most {MAX_ADDRESS} are taken")
    if not raw.isascii() or min(raw) <= 0x20 or 0x7F in raw:
        raise PacketError("the address is not plain printable ASCII without blanks")
    address = raw.decode("ascii")
    if at == end:
        return OscMessage(address, timetag=timetag)  # senders that leave out an empty tag string
    if packet[at] != 0x2C:
        raise PacketError(f"the message to {address[:64]} has no type tags")
    raw, at = _string(packet, at, end, "the type tag string")
    if len(raw) > MAX_ARGS + 1:
        raise PacketError(f"the message to {address[:64]} has more than {MAX_ARGS} arguments")
    tags = raw[1:].decode("latin-1")
    args: list[Argument] = []
    for tag in tags:
        argument, at = _argument(packet, at, end, tag, address)
        args.append(argument)
    if at != end:
        raise PacketError(f"the message to {address[:64]} is longer than its type tags say")
    return OscMessage(address, tags, tuple(args), timetag)


def _argument(packet: bytes, at: int, end: int, tag: str, address: str) -> tuple[Argument, int]:
    number = _NUMBERS.get(tag)
    if number is not None:
        if end - at < number.size:
            raise PacketError(f"the message to {address[:64]} ends within an argument")
        value: int | float = number.unpack_from(packet, at)[0]
        return value, at + number.size
    match tag:
        case "s" | "S":
            raw, at = _string(packet, at, end, f"a text to {address[:64]}")
            try:
                return raw.decode(), at
            except UnicodeDecodeError:
                raise PacketError(f"a text to {address[:64]} is not UTF-8") from None
        case "T":
            return True, at
        case "F":
            return False, at
        case "N" | "I":
            return None, at
        case "b":
            return _blob(packet, at, end, address)
        case "m" | "r":
            if end - at < 4:
                raise PacketError(f"the message to {address[:64]} ends within an argument")
            return packet[at : at + 4], at + 4
        case _:
            raise PacketError(
                f"the message to {address[:64]} has an argument of the unknown type {tag!r}"
            )


def _blob(packet: bytes, at: int, end: int, address: str) -> tuple[bytes, int]:
    if end - at < 4:
        raise PacketError(f"the message to {address[:64]} ends within an argument")
    (size,) = _I.unpack_from(packet, at)
    padded = (size + 3) // 4 * 4
    if size < 0 or padded > end - at - 4:
        raise PacketError(f"a blob to {address[:64]} claims {size} bytes that are not there")
    stop = at + 4 + size
    after = at + 4 + padded
    if packet.count(b"\0", stop, after) != after - stop:
        raise PacketError(f"a blob to {address[:64]} is not padded with zeros")
    return packet[at + 4 : stop], after


def _padded(raw: bytes) -> bytes:
    return raw + b"\0" + _PAD[(len(raw) + 1) % 4]


def encode(address: str, args: Sequence[int | float | str | bool] = ()) -> bytes:
    """Return one message: bools and 32 bit ints as i, floats as f, the rest as s.

    Ints beyond 32 bits and floats beyond 32 bit floats go as text. Zero bytes in text are left out.

    Raises:
        LocalProtocolError: A float is not finite.
    """
    tags = ","
    body: list[bytes] = []
    for argument in args:
        if isinstance(argument, int) and -(2**31) <= argument < 2**31:
            tags += "i"
            body.append(_I.pack(argument))
        elif isinstance(argument, float) and abs(argument) <= _FLOAT_MAX:
            tags += "f"
            body.append(_F.pack(argument))
        elif isinstance(argument, float) and not math.isfinite(argument):
            raise LocalProtocolError(f"{argument} was to be sent to {address}")
        else:
            tags += "s"
            text = str(argument).replace("\0", "")
            body.append(_padded(text.encode("utf-8", "replace")))
    return _padded(address.encode("ascii", "replace")) + _padded(tags.encode()) + b"".join(body)


def encode_bundles(
    messages: Iterable[bytes], timetag: int = IMMEDIATELY, limit: int = MAX_BUNDLE
) -> list[bytes]:
    """Return encoded messages as bundles of at most `limit` bytes.

    A message too long for any bundle goes out alone, as it is.
    """
    head = _BUNDLE + _T.pack(timetag)
    bundles: list[bytes] = []
    parts: list[bytes] = []
    size = len(head)
    for message in messages:
        need = 4 + len(message)
        if len(head) + need > limit:
            bundles.append(message)
            continue
        if size + need > limit:
            bundles.append(head + b"".join(parts))
            parts, size = [], len(head)
        parts += (_I.pack(len(message)), message)
        size += need
    if parts:
        bundles.append(head + b"".join(parts))
    return bundles


def split_text(text: str, limit: int) -> list[str]:
    """Return a text in parts of at most `limit` bytes of UTF-8, no character torn; one at least."""
    raw = text.encode("utf-8", "replace")
    parts: list[str] = []
    at = 0
    while len(raw) - at > limit:
        stop = at + limit
        while raw[stop] & 0xC0 == 0x80:
            stop -= 1
        parts.append(raw[at:stop].decode())
        at = stop
    parts.append(raw[at:].decode())
    return parts
