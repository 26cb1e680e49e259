"""A running daemon's lanes, read through the descriptors of its audio process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from voiced.lane.ring import Ring
from voiced.lane.words import LaneSegment


def lanes(pid: int) -> list[LaneSegment]:
    """Return the lanes that a process holds, in no order: their content tells whose they are."""
    held: dict[int, Path] = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if "memfd:voiced-lane" in os.readlink(entry):
            held.setdefault(entry.stat().st_ino, entry)
    found = []
    for entry in held.values():
        fd = os.open(entry, os.O_RDWR)
        found.append(LaneSegment(fd))
        os.close(fd)
    return found


def frames(ring: Ring, start: int, end: int | None = None) -> np.ndarray:
    """Return a ring's frames from a position to another, or up to now."""
    end = ring.write_position if end is None else end
    found = np.frombuffer(ring.load(start, end - start), np.int16)
    assert not ring.lapped(start), "the ring has been overwritten since"
    return found
