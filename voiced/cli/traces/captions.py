"""Captions of a past conversation: SubRip and WebVTT, by when the words sounded.

A row's words are shown while they were heard, in pieces of at most two lines, each for its share
of the time. Rows of which no time is known (typed text, traces of older versions) stand at their
time stamp for as long as reading takes. Formats: SubRip as players read it; WebVTT of the W3C
(https://www.w3.org/TR/webvtt1/), 4 "Syntax".
"""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from voiced.control.traces import Trace

LINE: Final = 42
"""Characters of a caption's line, as broadcasters have it."""
PIECE: Final = 2 * LINE
READING_CHARS_S: Final = 15.0
"""Characters that are read in a second, where nothing else tells how long a caption stands."""
SHORTEST_S: Final = 1.0
EARLY_S: Final = 2.0
"""A row may be stamped so much before the recording's first frame."""
_SAID: Final = ("user", "assistant")


class Cue(NamedTuple):
    """One caption."""

    start_s: float
    """From the beginning of the session's recording, else of the session."""
    end_s: float
    who: str
    """user or assistant."""
    text: str


def cues(trace: Trace) -> list[Cue]:
    """Return the captions of what was said, in order."""
    zero = _zero(trace)
    spoken = {each.id: each for each in trace.spoken}
    found: list[Cue] = []
    for row in trace.transcript:
        text = " ".join(row.message.split())
        if row.role not in _SAID or row.type != "text" or not text:
            continue
        times = spoken.get(row.id)
        start = _seconds(times.began if times else row.timestamp, zero)
        if start is None or start < -EARLY_S:
            continue  # A row of the conversation that this one went on with.
        end = _seconds(times.ended, zero) if times else None
        start = max(0.0, start)
        if end is None or end <= start:
            end = start + max(SHORTEST_S, len(text) / READING_CHARS_S)
        found += _pieces(start, end, row.role, text)
    return sorted(found, key=lambda cue: cue.start_s)


def _zero(trace: Trace) -> datetime.datetime | None:
    sessions = [each.began for each in trace.recordings if each.what == "session"]
    return _time(min(sessions, default=trace.started))


def _time(stamp: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(stamp).astimezone()
    except (ValueError, OverflowError):
        return None


def _seconds(stamp: str, zero: datetime.datetime | None) -> float | None:
    at = _time(stamp)
    return None if at is None or zero is None else (at - zero).total_seconds()


def _pieces(start: float, end: float, who: str, text: str) -> Iterator[Cue]:
    """Cut a long text; each piece stands for its share of the time."""
    parts = textwrap.wrap(text, PIECE, break_on_hyphens=False)
    whole = sum(map(len, parts))
    at, done = start, 0
    for part in parts:
        done += len(part)
        until = start + (end - start) * done / whole
        yield Cue(at, until, who, part)
        at = until


def srt(trace: Trace) -> str:
    """Return the captions as SubRip."""
    blocks = (
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n"
        f"{_lines(_labelled(cue, trace)).replace('-->', '->')}\n"
        for number, cue in enumerate(cues(trace), 1)
    )
    return "\n".join(blocks)


def vtt(trace: Trace) -> str:
    """Return the captions as WebVTT, each with its speaker's voice tag."""
    blocks = (
        f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n"
        f"<v {_escaped(_name(cue, trace))}>{_escaped(_lines(cue.text))}\n"
        for cue in cues(trace)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _name(cue: Cue, trace: Trace) -> str:
    return "visitor" if cue.who == "user" else trace.agent or "agent"


def _labelled(cue: Cue, trace: Trace) -> str:
    return f"{_name(cue, trace)}: {cue.text}"


def _lines(text: str) -> str:
    return "\n".join(_wrapped(text))


def _wrapped(text: str) -> Iterable[str]:
    return textwrap.wrap(text, LINE, break_on_hyphens=False)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
