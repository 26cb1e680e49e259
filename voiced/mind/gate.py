"""What may leave the machine: who holds Talk, when the gate is open, when the guard is on."""

from __future__ import annotations

import msgspec

from voiced.mind.inputs import Origin
from voiced.mind.session import SECOND, Lifecycle

MS = 1_000_000
"""ns"""


class Talk:
    """The push-to-talk pedal: pressed while anybody holds it.

    Each origin lets go of its own hold only. Talkmax takes every hold away; whoever is still
    pressing then must let go before it counts again, since many senders repeat a held 1.
    """

    def __init__(self) -> None:
        self._holders: dict[Origin, None] = {}
        self._expired: set[Origin] = set()
        self._since: int | None = None
        self._tail_until: int | None = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return bool(self._holders)

    def press(self, origin: Origin, mono_ns: int) -> bool:
        """Note that `origin` holds; return whether the pedal went down."""
        if origin in self._expired or origin in self._holders:
            return False
        went_down = not self._holders
        self._holders[origin] = None
        if went_down:
            self._since, self._tail_until = mono_ns, None
        return went_down

    def release(self, origin: Origin, mono_ns: int, tail_ms: int) -> bool:
        """Note that `origin` let go; return whether the pedal came up."""
        self._expired.discard(origin)
        if origin not in self._holders:
            return False
        del self._holders[origin]
        if self._holders:
            return False
        self._since = None
        self._tail_until = mono_ns + tail_ms * MS
        return True

    def take_away(self) -> None:
        """End every hold at once, as Talkmax does."""
        self._expired.update(self._holders)
        self._holders.clear()
        self._since = self._tail_until = None

    def max_at(self, max_s: int) -> int | None:
        """Return when Talkmax is over; None while nobody holds, or without a limit."""
        if self._since is None or max_s == 0:
            return None
        return self._since + max_s * SECOND

    def tail_at(self, mono_ns: int) -> int | None:
        """Return when the tail of a release ends, None if none runs."""
        if self._tail_until is None or self._tail_until <= mono_ns:
            return None
        return self._tail_until

    def lets_through(self, mono_ns: int) -> bool:
        """Whether it is held, or its tail still runs."""
        return self.held or self.tail_at(mono_ns) is not None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides the gate."""

    lifecycle: Lifecycle
    mode: str
    """Sessionmode in force."""
    active: bool
    muted: bool
    disarmed: bool
    """A one_turn exchange is over."""
    closing: bool
    """The session ends as soon as its last words were heard."""
    talk: bool
    """`Talk.lets_through`."""


def is_open(intent: Intent) -> bool:
    """Return whether the microphone may leave the machine."""
    if intent.lifecycle not in (Lifecycle.OPEN, Lifecycle.REFRESHING):
        return False
    if intent.muted or not intent.active or intent.disarmed or intent.closing:
        return False
    return intent.talk if intent.mode == "push_to_talk" else True


def guards(bargein: str, echo_free: bool, mode: str) -> bool:
    """Return whether near is replaced by silence while the loudspeaker sounds (half duplex).

    Bargein auto lets visitors interrupt where the voice cannot hear itself, and by Talk.
    """
    if bargein == "auto":
        return not (echo_free or mode == "push_to_talk")
    return bargein == "off"
