"""Answers, refusals and log lines, never more of them than anybody can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from voiced.control.osc.address import Nowhere
from voiced.control.osc.limits import Window
from voiced.control.osc.peer import Peer
from voiced.control.osc.surface import Surface
from voiced.control.osc.targets import Listeners
from voiced.parameters import Refusal

ERROR: Final = "/voiced/error"
ERRORS_PER_S: Final = 50
"""Over all sources: a flood may come from many ports."""
LINES_PER_S: Final = 10


class Replies:
    """What goes back to senders, and what the log is told about them."""

    def __init__(self, surface: Surface, listeners: Listeners, now: Callable[[], float]) -> None:
        self._surface = surface
        self._listeners = listeners
        self._now = now
        self._errors = Window(ERRORS_PER_S, 1.0)
        self._lines = Window(LINES_PER_S, 1.0)
        self.refused = 0
        """Messages refused since the start."""

    def refuse(
        self, peer: Peer, address: str, code: str, sentence: str | Nowhere, *,
        everyone: bool = False,
    ) -> None:  # fmt: skip
        """Tell a sender and the targets on its host (or all) that nothing was done, and why.

        At most 10 a second go to one source. A `Nowhere` is put into words only if it is sent.
        """
        self.refused += 1
        now = self._now()
        if not peer.errors.take(now) or not self._errors.take(now):
            return
        words = sentence.sentence() if isinstance(sentence, Nowhere) else sentence
        args = (address[:256], code, words)
        peer.answer(ERROR, args)
        self._listeners.tell(
            ERROR, args, now, but=peer.destination, host=None if everyone else peer.ip
        )
        self.log("debug", f"! osc {peer.origin.id} {address[:64]} {code}: {words}")

    def refusal(self, peer: Peer, address: str, refusal: Refusal) -> None:
        """Tell a sender of a refusal."""
        self.refuse(peer, address, refusal.code, refusal.sentence)

    def later(self, peer: Peer, address: str, sentence: str) -> None:
        """Tell a sender, once for each address, that what it did has no effect yet."""
        if peer.first_time(address):
            self.refuse(peer, address, "later", sentence)

    def log(self, level: str, line: str) -> None:
        """Write a log line, at most 10 a second; the next one tells how many were left out."""
        left_out = self._lines.refused
        if self._lines.take(self._now()):
            self._surface.log(level, line + (f" ({left_out} more left out)" if left_out else ""))
