"""Who is sent what: the configuration's targets and the subscriptions of senders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from voiced.control.osc.pattern import Pattern
from voiced.control.osc.peer import Destination, OscArgs, Peer, packets
from voiced.parameters import Refusal

MAX_SUBSCRIPTIONS: Final = 32
DEFAULT_LEASE_S: Final = 60
KEEP_S: Final = 24 * 3600
"""A lease-0 subscription survives restarts for so long after it was last asked for."""
_ANSWER_S: Final = 0.5
"""A target that did not refuse for so long after something was sent to it is there again."""


class SavedSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A lease-0 subscription as it is written to disk."""

    ip: str
    port: int
    pattern: str
    flat: bool
    asked: float
    """Unix seconds when it was last asked for."""


class Target:
    """One listener: where it is, what it wants, whether it answers."""

    def __init__(
        self,
        destination: Destination,
        wire: Callable[[Destination, bytes], None],
        send: Sequence[str],
        skip: Sequence[str] = (),
        *,
        flat: bool = False,
        stream: bool = False,
        lease_until: float | None = None,
        lease_s: int = 0,
        configured: bool = False,
        asked: float = 0.0,
    ) -> None:
        self.destination = destination
        self.send_patterns = tuple(send)
        self.flat = flat
        self.stream = stream
        self.configured = configured
        self.lease_until = lease_until
        """Monotonic seconds; None = lasts."""
        self.lease_s = lease_s
        self.asked = asked
        """Unix seconds of the subscription, 0.0 for the configuration's."""
        self.absent = configured
        """Refused what it was sent, or has not been sent anything yet."""
        self._sent_at: float | None = None
        """When something was first sent that has not been refused since."""
        self._wire = wire
        self._send = [Pattern(text, crossing=True) for text in send]
        self._skip = [Pattern(text, crossing=True) for text in skip]
        self._known: dict[str, bool] = {}

    def wants(self, address: str) -> bool:
        """Whether this listener is sent what happens at `address`."""
        known = self._known.get(address)
        if known is None:
            known = any(p.matches(address) for p in self._send) and not any(
                p.matches(address) for p in self._skip
            )
            if len(self._known) > 4096:
                self._known.clear()
            self._known[address] = known
        return known

    def send(self, packet: bytes, now: float) -> None:
        """Send one packet."""
        if self.absent and self._sent_at is None:
            self._sent_at = now
        self._wire(self.destination, packet)

    def refused(self) -> None:
        """Note that nobody listens there now."""
        self.absent = True
        self._sent_at = None

    def is_back(self, now: float) -> bool:
        """Whether an absent listener has not refused what it was sent; told once."""
        if self.absent and self._sent_at is not None and now - self._sent_at >= _ANSWER_S:
            self.absent = False
            self._sent_at = None
            return True
        return False


class Listeners:
    """All targets and subscriptions."""

    def __init__(self, wire: Callable[[Destination, bytes], None]) -> None:
        self._wire = wire
        self._configured: list[Target] = []
        self._subscribed: dict[tuple[Destination, bool, str], Target] = {}

    def __len__(self) -> int:
        return len(self._configured) + len(self._subscribed)

    def configure(self, targets: list[Target]) -> None:
        """Replace the configuration's targets."""
        self._configured = targets

    def all(self) -> list[Target]:
        """Return every target and subscription."""
        return [*self._configured, *self._subscribed.values()]

    def subscribe(
        self, peer: Peer, port: int | None, pattern: str, lease_s: int, flat: bool,
        now: float, wall: float,
    ) -> Target | Refusal:  # fmt: skip
        """Send a peer's own host what matches from now on; asked again, it goes on.

        Raises:
            PacketError: The pattern is none.
        """
        destination = peer.destination if port is None else (peer.ip, port)
        stream = peer.stream and port is None
        key = (destination, stream, pattern)
        if key not in self._subscribed and len(self._subscribed) >= MAX_SUBSCRIPTIONS:
            return Refusal("busy", f"there are {MAX_SUBSCRIPTIONS} subscriptions already")
        lasting = lease_s == 0
        target = Target(
            destination,
            (lambda _where, packet: peer.send(packet)) if stream else self._wire,
            (pattern,),
            flat=flat,
            stream=stream,
            lease_until=None if lasting else now + lease_s,
            lease_s=lease_s,
            asked=wall,
        )
        self._subscribed[key] = target
        return target

    def restore(self, saved: Sequence[SavedSubscription], wall: float) -> None:
        """Take up the lease-0 subscriptions of an earlier run that are not too old."""
        for one in saved[:MAX_SUBSCRIPTIONS]:
            if 0 <= wall - one.asked <= KEEP_S:
                where = (one.ip, one.port)
                target = Target(where, self._wire, (one.pattern,), flat=one.flat, asked=one.asked)
                target.absent = True
                self._subscribed[(where, False, one.pattern)] = target

    def saved(self) -> list[SavedSubscription]:
        """Return what must survive a restart."""
        return [
            SavedSubscription(
                ip=t.destination[0], port=t.destination[1], pattern=t.send_patterns[0],
                flat=t.flat, asked=t.asked,
            )
            for t in self._subscribed.values()
            if t.lease_until is None and not t.stream
        ]  # fmt: skip

    def unsubscribe(self, destination: Destination) -> int:
        """End every subscription of one destination, and return how many there were."""
        keys = [key for key in self._subscribed if key[0] == destination]
        for key in keys:
            del self._subscribed[key]
        return len(keys)

    def unsubscribe_stream(self, destination: Destination) -> None:
        """End what went out on a connection that is gone."""
        for key in [key for key in self._subscribed if key[0] == destination and key[1]]:
            del self._subscribed[key]

    def expire(self, now: float, wall: float) -> None:
        """End the subscriptions whose lease is over; a lease-0 one that is absent for a day too."""
        for key, target in list(self._subscribed.items()):
            over = target.lease_until is not None and now >= target.lease_until
            stale = target.lease_until is None and target.absent and wall - target.asked > KEEP_S
            if over or stale:
                del self._subscribed[key]

    def refused(self, destination: Destination) -> None:
        """Note that nobody listens at a destination now."""
        for target in self.all():
            if target.destination == destination and not target.stream:
                target.refused()

    def wanting(self, address: str) -> list[Target]:
        """Return who is sent what happens at `address`, each destination once."""
        chosen: dict[tuple[Destination, bool], Target] = {}
        for target in self.all():
            where = (target.destination, target.stream)
            if where not in chosen and target.wants(address):
                chosen[where] = target
        return list(chosen.values())

    def tell(
        self, address: str, args: OscArgs, now: float, *,
        but: Destination | None = None, host: str | None = None,
    ) -> None:  # fmt: skip
        """Send a message to whoever wants it, except to `but`, or only on one host."""
        parts: dict[bool, list[bytes]] = {}
        for target in self.wanting(address):
            if target.destination == but or (host is not None and target.destination[0] != host):
                continue
            if target.stream not in parts:
                parts[target.stream] = packets(address, args, whole=target.stream)
            for packet in parts[target.stream]:
                target.send(packet, now)

    @staticmethod
    def tell_one(target: Target, address: str, args: OscArgs, now: float) -> None:
        """Send a message to one of them, wanted or not."""
        for packet in packets(address, args, whole=target.stream):
            target.send(packet, now)
