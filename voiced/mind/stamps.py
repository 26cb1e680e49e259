"""Wall-clock stamps as text, from the instant that every input brings along."""

from __future__ import annotations

from typing import NamedTuple

from voiced.mind.inputs import Instant


class _Civil(NamedTuple):
    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    ms: int


def _civil(instant: Instant) -> _Civil:
    """Return the local civil time (Howard Hinnant, "chrono-compatible low-level date algorithms").

    The standard library's calendar reads the machine's clock and time zone; the mind has neither.
    """
    total_ms = int(instant.wall * 1000) + instant.utc_offset_s * 1000
    days, ms = divmod(total_ms, 86_400_000)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return _Civil(
        year=year_of_era + era * 400 + (month <= 2),
        month=month,
        day=day_of_year - (153 * shifted + 2) // 5 + 1,
        hour=ms // 3_600_000,
        minute=ms // 60_000 % 60,
        second=ms // 1000 % 60,
        ms=ms % 1000,
    )


def iso(instant: Instant) -> str:
    """Return ISO 8601 with offset and milliseconds: "2026-11-23T01:02:03.456+01:00"."""
    c = _civil(instant)
    sign = "-" if instant.utc_offset_s < 0 else "+"
    offset = abs(instant.utc_offset_s) // 60
    return (
        f"{c.year:04}-{c.month:02}-{c.day:02}T{c.hour:02}:{c.minute:02}:{c.second:02}.{c.ms:03}"
        f"{sign}{offset // 60:02}:{offset % 60:02}"
    )


def compact(instant: Instant) -> str:
    """Return the stamp of file names: "20261123_010203", local time."""
    c = _civil(instant)
    return f"{c.year:04}{c.month:02}{c.day:02}_{c.hour:02}{c.minute:02}{c.second:02}"
