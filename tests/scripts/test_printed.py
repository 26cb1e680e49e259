"""What a script prints: whole lines, and never more than a log takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voiced.scripts.printed import BURST, LINES_PER_S, LONGEST, Lines


def test_lines_come_whole_however_they_were_cut() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    for part in (b"good ", b"day\nand\x1b[31m ", b"you\n\n", "fünf".encode()[:2]):
        lines.take(part, 0.0)
    lines.take("fünf".encode()[2:], 0.0)
    lines.close()
    assert told == ["good day", "and [31m you", "fünf"]


def test_a_gigabyte_costs_a_line() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    for _ in range(1000):
        lines.take(b"x" * 65_536, 0.0)
    lines.take(b"\nnext\n", 0.0)
    assert told == ["x" * LONGEST + " ...", "next"]


def test_the_pace_of_a_log_and_how_much_was_left_out() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    lines.take(b"y\n" * 10_000, 0.0)
    assert told == ["y"] * BURST
    lines.take(b"z\n" * 1000, 1.0)
    assert told[BURST].startswith("(9900 lines were left out")
    assert told[BURST + 1 :] == ["z"] * LINES_PER_S
    lines.close()
    assert told[-1].startswith(f"({1000 - LINES_PER_S} lines were left out")


@given(st.lists(st.tuples(st.binary(max_size=200), st.floats(0, 1)), max_size=50))
def test_anything_printed_is_short_lines_at_a_pace(parts: list[tuple[bytes, float]]) -> None:
    told: list[str] = []
    lines, now = Lines(told.append), 0.0
    for part, later in parts:
        now += later
        lines.take(part, now)
    lines.close()
    spoken = [line for line in told if "left out" not in line]
    assert len(spoken) <= BURST + LINES_PER_S * now + 1
    assert all(line.isprintable() and len(line) <= LONGEST + 4 for line in told)
