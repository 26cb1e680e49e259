"""What a process holds, as far as this account may see: with keys in it, only root sees all."""

from __future__ import annotations

import os
from pathlib import Path


def memory_mb(pid: int, *kinds: str) -> float:
    """Return the MB of a process in rows of smaps_rollup whose names begin so.

    Where that is root's to read: resident without shared, which anybody may see (proc(5), statm).
    """
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 1024**2
    return sum(int(row.split()[1]) for row in rows if row.startswith(kinds)) / 1024


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open; where that is root's to see, room for."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("FDSize:"))
