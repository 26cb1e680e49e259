"""An emulator's own account of what a conversation would cost.

Made from what went over the wire, with the emulator's own prices: it shares neither code nor
figures with the daemon's meter, so that one can be held against the other.
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a bill."""

    connection: int
    what: str
    """What is paid for: "audio_in", "text_item", "transcription"."""
    amount: float
    unit: str
    """What `amount` counts: "tokens", "s", "items"."""
    usd: float


class Bill:
    """What all conversations with one emulator would have cost."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, connection: int, what: str, amount: float, unit: str, price: float) -> None:
        """Book one item, at `price` USD for one unit; nothing where the amount is 0."""
        if amount:
            line = Line(
                connection=connection, what=what, amount=amount, unit=unit, usd=amount * price
            )
            self.lines.append(line)

    @property
    def usd(self) -> float:
        """The sum."""
        return sum(line.usd for line in self.lines)

    def of(self, connection: int) -> float:
        """Return the sum of one connection, USD."""
        return sum(line.usd for line in self.lines if line.connection == connection)
