"""Which past conversation a new session goes on with, and what is known of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from voiced.control import traces
from voiced.mind.effects import Recall, Row
from voiced.mind.inputs import Past, Recalled

LOOKED_AT = 200
"""Newest traces of an agent that are read, in search of one of this provider and model."""
BROKEN_OFF = ("crash", "shutdown")
"""End reasons of a session that nobody wanted to end."""
MAX_TRACE = 64 * 1024 * 1024


def recalled(
    folders: Sequence[Path], agent: str, wanted: Recall, now: float, damaged: set[Path]
) -> Recalled:
    """Return the past that a session goes on with, or why there is none.

    Args:
        folders: where the agent's traces are, and perhaps others'.
        agent: whose session it is.
        wanted: what the mind asked for.
        now: Unix time, s.
        damaged: traces that were found damaged before; it is told once, and what is found now is
            added.
    """
    if wanted.file:
        path = Path(wanted.file)
        try:
            return Recalled(session_id=wanted.session_id, past=_past(_read(path)))
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except traces.UNREADABLE:
            why = "it is no trace of voiced, or damaged"
        return Recalled(
            session_id=wanted.session_id,
            sentence=f"{path.name} cannot be gone on with: {why}; the session starts fresh",
        )
    before = frozenset(damaged)
    past = _fitting(folders, agent, wanted, now, damaged)
    fresh = sorted(path.name for path in damaged - before)
    sentence = ""
    if fresh:
        others = f" and {len(fresh) - 1} more" if len(fresh) > 1 else ""
        sentence = f"{fresh[0]}{others}: no trace of voiced, or damaged; it is passed over"
    return Recalled(session_id=wanted.session_id, past=past, sentence=sentence)


def _fitting(
    folders: Sequence[Path], agent: str, wanted: Recall, now: float, damaged: set[Path]
) -> Past | None:
    """Return the newest conversation that may be gone on with."""
    for trace in _newest(folders, damaged):
        if trace.agent != agent:
            continue  # Sessiontracedir may be the same for several.
        if not trace.legs and trace.end_reason in BROKEN_OFF:
            # It was cut while it began: the rows that it goes on with may be missing, and nothing
            # was said. What it was to go on with counts.
            continue
        fits = (trace.provider, trace.model) == (wanted.provider, wanted.model)
        if wanted.within_s > 0:
            # After a power cut only the very last conversation counts, and only a fresh one.
            if fits and trace.end_reason in BROKEN_OFF and _age_s(trace, now) <= wanted.within_s:
                return _past(trace, usd=_spent(trace))
            break
        if fits:
            return _past(trace, usd=_spent(trace))
    return None


def _newest(folders: Sequence[Path], damaged: set[Path]) -> Iterator[traces.Trace]:
    """Yield the traces of folders, the newest first; damaged ones are passed over."""
    every = (path for folder in folders for path in folder.glob(f"*{traces.TRACE}"))
    found = (path for path in every if not path.is_symlink())
    for path in sorted(found, key=_when, reverse=True)[:LOOKED_AT]:
        try:
            yield _read(path)
        except OSError:
            continue
        except traces.UNREADABLE:
            damaged.add(path)


def _when(path: Path) -> tuple[str, int]:
    """Return when a session began, by its name, and in the same second when it was written."""
    return path.name[:15], path.lstat().st_mtime_ns


def _read(path: Path) -> traces.Trace:
    if path.stat().st_size > MAX_TRACE:
        raise msgspec.DecodeError("too large")
    return traces.read_trace(path)


def _age_s(trace: traces.Trace, now: float) -> float:
    """Return how long ago a session ended, s; below 0 where a clock was set back since."""
    try:
        return now - datetime.datetime.fromisoformat(trace.ended).timestamp()
    except ValueError:
        return float("inf")


def _spent(trace: traces.Trace) -> float:
    """Return what a conversation that nobody ended has cost: going on with it brings no money."""
    return trace.before_usd + trace.cost_usd if trace.end_reason in BROKEN_OFF else 0.0


def _past(trace: traces.Trace, *, usd: float = 0.0) -> Past:
    rows = tuple(
        Row(index=n, **{name: getattr(row, name) for name in row.__struct_fields__})
        for n, row in enumerate(trace.transcript)
    )
    return Past(
        session_id=trace.session_id,
        provider=trace.provider,
        model=trace.model,
        handle=trace.resume_handle,
        rows=rows,
        usd=usd,
    )
