"""Writes that wait for the end of a drain: all of them in order, or under a flood the latest.

A flooded parameter takes its last valid value; nothing that is no plain write ever waits or is
passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from voiced.control.osc.address import AtParameter
from voiced.control.osc.codec import OscMessage
from voiced.control.osc.peer import Peer

EXACT: Final = 64
"""So many waiting writes are all acted on; above, it is a flood."""
KNOWN: Final = 4096

Head: TypeAlias = bytes
"""The bytes of a message up to the end of its type tags."""


def head(packet: bytes) -> Head:
    """Return address and type tags of what may be a message, as they are."""
    return packet[: packet.find(b"\0", packet.find(b",") + 1)]


class Inbox:
    """Plain writes in the order they came, each as it came."""

    def __init__(self, write: Callable[[Peer, AtParameter, bytes], bool]) -> None:
        self._write = write
        self._known: dict[Head, AtParameter] = {}
        self._waiting: list[tuple[Peer, AtParameter, bytes]] = []
        self.passed_over = 0
        """Writes that a later one of the same parameter made void."""

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, packet: bytes, message: OscMessage, at: AtParameter) -> None:
        """Remember that packets with this head are plain writes."""
        if len(self._known) >= KNOWN:
            self._known.clear()
        key = head(packet)
        if len(key) > len(message.address):
            self._known[key] = at

    def forget(self) -> None:
        """Forget what heads mean: the address space has changed."""
        self._known.clear()

    def take(self, peer: Peer, packet: bytes) -> bool:
        """Keep a packet if it is known to be a plain write."""
        at = self._known.get(packet[: packet.find(b"\0", packet.find(b",") + 1)])
        if at is None:
            return False
        self._waiting.append((peer, at, packet))
        return True

    def put(self, peer: Peer, at: AtParameter, packet: bytes) -> None:
        """Keep a plain write."""
        self._waiting.append((peer, at, packet))

    def flush(self) -> None:
        """Act on what waits."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) <= EXACT:
            for peer, at, packet in waiting:
                self._write(peer, at, packet)
            return
        # Newest first, until one is taken; the others of that parameter are void.
        later: dict[tuple[int, AtParameter], list[tuple[Peer, AtParameter, bytes]]] = {}
        for item in waiting:
            key = (id(item[0]), item[1])
            later.setdefault(key, []).append(item)
        for items in later.values():
            while items:
                peer, at, packet = items.pop()
                if self._write(peer, at, packet):
                    self.passed_over += len(items)
                    break
