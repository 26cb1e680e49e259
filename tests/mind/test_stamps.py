from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
from hypothesis import given

from voiced.mind import stamps
from voiced.mind.inputs import Instant

OFFSETS = st.integers(-14 * 60, 14 * 60)


@given(st.integers(-2_000_000_000_000, 30_000_000_000_000), OFFSETS)
def test_stamps_agree_with_the_calendar(ms: int, minutes: int) -> None:
    instant = Instant(mono_ns=0, wall=ms / 1000, utc_offset_s=minutes * 60)
    zone = timezone(timedelta(minutes=minutes))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    there = (epoch + timedelta(milliseconds=int(ms / 1000 * 1000))).astimezone(zone)
    assert stamps.iso(instant) == there.isoformat(timespec="milliseconds")
    assert stamps.compact(instant) == there.strftime("%Y%m%d_%H%M%S")


def test_a_known_morning() -> None:
    instant = Instant(mono_ns=0, wall=1_795_395_723.456, utc_offset_s=3600)
    assert stamps.iso(instant) == "2026-11-23T02:02:03.456+01:00"
    assert stamps.compact(instant) == "20261123_020203"
