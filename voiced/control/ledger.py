"""Money spent, a line for each booking, for ever: `<state_dir>/ledger.jsonl`.

Budgets over days and months are counted from it, so that no reset, reconnect, restart or clock
change evades them.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from voiced.control.files import read_file

FILE = "ledger.jsonl"
KNOWN_BYTES = 40
"""So much of a line has its time, to the millisecond: no other line begins with it."""


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


def read(path: Path) -> tuple[list[Booking], str]:
    """Return every booking that can be read, and a sentence where there are lines that cannot."""
    try:
        lines = read_file(path).splitlines()
    except FileNotFoundError:
        return [], ""
    bookings: list[Booking] = []
    damaged: list[int] = []
    torn: dict[int, bytes] = {}
    for number, line in enumerate(lines, 1):
        try:
            bookings.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if line.strip():
                torn[number] = line
        else:
            # What a full disk took of a line was written again behind it: nothing is missing.
            damaged += [
                each
                for each, part in torn.items()
                if len(part) < KNOWN_BYTES or not line.startswith(part)
            ]
            torn.clear()
    damaged += torn
    if not damaged:
        return bookings, ""
    more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
    return bookings, (
        f"{path}: line {damaged[0]}{more} cannot be read; no budget counts what it booked. Mend "
        "the line or delete it, and keep the others"
    )


def day_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the day that `now` is in began: the last `day_ends` before it."""
    today = now.replace(hour=day_ends.hour, minute=day_ends.minute, second=0, microsecond=0)
    return today if today <= now else today - datetime.timedelta(days=1)


def month_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the month that `now` is in began, at the end of the last day before it."""
    return day_started(now, day_ends).replace(day=1)
