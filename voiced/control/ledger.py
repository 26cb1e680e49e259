"""Money spent, a line for each booking, for ever: `<state_dir>/ledger.jsonl`.

Budgets over days and months are counted from it, so that no reset, reconnect, restart or clock
change evades them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import msgspec

FILE = "ledger.jsonl"


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
    usd: float
    boot: str = ""
    """The machine's run in which it was booked; "" = not known."""
    boot_s: float = 0.0
    """Seconds since that run began."""


_decoder = msgspec.json.Decoder(Booking)


def line_of(booking: Booking) -> str:
    """Return the ledger's line for a booking, without newline."""
    return msgspec.json.encode(booking).decode()


def read(path: Path) -> list[Booking]:
    """Return every booking that can be read; torn or foreign lines are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return list(_readable(lines))


def _readable(lines: Iterable[bytes]) -> Iterable[Booking]:
    for line in lines:
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def day_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the day that `now` is in began: the last `day_ends` before it."""
    today = now.replace(hour=day_ends.hour, minute=day_ends.minute, second=0, microsecond=0)
    return today if today <= now else today - datetime.timedelta(days=1)


def month_started(now: datetime.datetime, day_ends: datetime.time) -> datetime.datetime:
    """Return when the month that `now` is in began, at the end of the last day before it."""
    return day_started(now, day_ends).replace(day=1)
