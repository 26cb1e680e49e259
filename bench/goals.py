"""The rows of the comparison: what each one is called and what voiced is held to.

A goal looks at the floor of the same run, because a latency is comparable with nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Figures = dict[str, list[float]]


def p50(values: Sequence[float]) -> float:
    return float(np.percentile(values, 50))


def p99(values: Sequence[float]) -> float:
    return float(np.percentile(values, 99))


class Row(NamedTuple):
    """One thing that is measured."""

    words: str
    goal: str
    met: Callable[[Sequence[float], Sequence[float]], Sequence[bool]]
    """Asked with the floor's figures and voiced's: each half of the goal, p50 first."""


def beside(factor: float = 1.0, more: float = 0.0) -> Callable[..., Sequence[bool]]:
    """Return whether p50 and p99 stay within the floor's own, times `factor` and `more`."""

    def met(floor: Sequence[float], voiced: Sequence[float]) -> Sequence[bool]:
        return [at(voiced) <= factor * at(floor) + more for at in (p50, p99)]

    return met


def within(limit: float) -> Callable[..., Sequence[bool]]:
    """Return whether every figure is at most `limit` from 0."""

    def met(_floor: Sequence[float], voiced: Sequence[float]) -> Sequence[bool]:
        return [max(abs(value) for value in voiced) <= limit]

    return met


ROWS = {
    "mic_wire": Row(
        "microphone click -> bytes on the wire, 10 ms appends, ms",
        "floor + 5, p50 and p99",
        beside(more=5),
    ),
    "burst": Row(
        "first delta -> first sound, reply in a burst, ms",
        "0.7 x floor, p50 and p99",
        beside(0.7),
    ),
    "realtime": Row(
        "first delta -> first sound, reply at real-time pace, ms",
        "floor + 45, p50 and p99",
        beside(more=45),
    ),
    "gaps": Row("gaps in a reply at real-time pace (count a reply)", "0", within(0)),
    "silence": Row(
        "speech_started on the wire -> silence, ms", "0.7 x floor, p50 and p99", beside(0.7)
    ),
    "heard": Row(
        "audio_end_ms sent with truncate, against the monitor (voiced: margin added back), ms",
        "1 ms each",
        within(1),
    ),
    "spin_gap": Row(
        "user code spins 0.6 s (voiced: control stopped): gap at the loudspeaker, ms",
        "0",
        within(0),
    ),
    "spin_pause": Row(
        "user code spins 0.6 s (voiced: control stopped): pause in the upload, ms",
        "2 append periods + 5 = 25",
        within(25),
    ),
    "cut": Row(
        "socket cut in the visitor's turn -> bytes on the wire again, ms", "150 each", within(150)
    ),
    "lost": Row(
        "... clicks of that turn (12) that the new connection was never sent", "0", within(0)
    ),
    "devices": Row(
        "sound server gone 3 s and back: both directions work again after, s", "3", within(3)
    ),
    "start": Row("start -> connected and sending, s", "floor + 0.3", beside(more=0.3)),
    "cpu": Row("connected and idle, % of a core, all processes", "floor + 2", beside(more=2)),
    "memory": Row("connected and idle, USS MB, all processes", "100", within(100)),
}


def verdict(row: Row, floor: Sequence[float], voiced: Sequence[float]) -> str:
    """Return the goal and whether voiced met it."""
    if not voiced:
        return f"{row.goal}: not met"
    try:
        halves = row.met(floor, voiced)
    except IndexError:  # the floor has no figure to stand beside
        return f"{row.goal}: no floor"
    if all(halves):
        return f"{row.goal}: met"
    return f"{row.goal}: {'met in the median only' if halves[0] else 'not met'}"
