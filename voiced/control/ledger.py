"""Money spent, a line for each booking, for ever: `<state_dir>/ledger.jsonl`.

Budgets over days and months are counted from it, so that no reset, reconnect, restart or clock
change evades them.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from voiced.control.files import lines_of

FILE = "ledger.jsonl"
KNOWN_BYTES = 40
"""So much of a line has its time, to the millisecond: no other line begins with it. What a full
disk took of a line is written again behind it, whole: none is missing."""
_BEGIN = b'{"time":"'


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger."""

    time: str
    """ISO 8601 with offset, for people."""
    unix: float
    """The same in Unix seconds, for sums."""
    agent: str
    session_id: str
    provider: str
    model: str
    usd: Annotated[float, msgspec.Meta(ge=0)]
    """A slip of the hand below 0 would be money that nobody has given."""
    boot: str = ""
    """The machine's run in which it was booked; "" = not known."""
    boot_s: float = 0.0
    """Seconds since that run began."""


_decoder = msgspec.json.Decoder(Booking)


def line_of(booking: Booking) -> str:
    """Return the ledger's line for a booking, without newline."""
    return msgspec.json.encode(booking).decode()


class Reading:
    """A ledger's bookings, one by one: a season's do not fit into memory.

    Args:
        path: of the ledger; it may be missing.
        session_id: only this one's, and nothing is said of what cannot be read.

    Attributes:
        damage: a sentence where there are lines that cannot be read; known once all were taken.

    Raises:
        OSError: it cannot be read; from taking them.
    """

    def __init__(self, path: Path, session_id: str = "") -> None:
        self._path, self._session = path, session_id.encode()
        self.damage = ""

    def __iter__(self) -> Iterator[Booking]:
        damaged: list[int] = []
        torn: list[tuple[int, bytes]] = []
        """Numbers and beginnings of lines that may follow whole."""
        for number, line in self._lines():
            try:
                booking = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                if line.startswith(_BEGIN) and len(line) > KNOWN_BYTES:
                    torn.append((number, line[:KNOWN_BYTES]))
                elif line.strip():
                    damaged.append(number)
                continue
            damaged += [each for each, begins in torn if not line.startswith(begins)]
            torn = []
            yield booking
        damaged += [each for each, _ in torn]
        if damaged:
            more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
            self.damage = (
                f"{self._path}: line {min(damaged)}{more} cannot be read; no budget counts what it "
                "booked. Mend the line or delete it, and keep the others"
            )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with contextlib.suppress(FileNotFoundError):
            for number, line in enumerate(lines_of(self._path), 1):
                if self._session in line:
                    yield number, line


def day_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the day that `now` is in began: the last `day_ends` before it."""
    today = now.replace(hour=day_ends.hour, minute=day_ends.minute, second=0, microsecond=0)
    return today if today <= now else today - datetime.timedelta(days=1)


def month_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the month that `now` is in began, at the end of the last day before it."""
    return day_started(now, day_ends).replace(day=1)
