"""What a client sent that the service's reference does not allow."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One breach of the protocol by the client."""

    connection: int
    """Which connection of the emulator, counted from 1."""
    at_s: float
    """When, seconds since that connection was opened."""
    event: str
    """Type of the client's message; "" where it had none."""
    path: str
    """Where in the message, as a JSON path: `session.audio.input.format.rate`; "" = all of it."""
    rule: str
    """The rule that it breaks, as a sentence."""

    def __str__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"connection {self.connection}, {self.at_s:.3f} s, {self.event}{where}: {self.rule}"


class Violations:
    """All breaches of one emulator, in order; empty is what a correct client leaves."""

    def __init__(self) -> None:
        self._rows: list[Violation] = []

    def note(self, violation: Violation) -> None:
        """Write one down."""
        self._rows.append(violation)

    def clear(self) -> None:
        """Forget them, for tests that provoke some."""
        self._rows.clear()

    def __iter__(self) -> Iterator[Violation]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return "\n".join(map(str, self._rows)) or "no violations"
