"""A past conversation, or a list of them, as text, JSON or CSV."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from voiced.cli.traces import captions
from voiced.control.archive import Past, Standing
from voiced.control.traces import Trace, TraceRow

LIST_COLUMNS: Final = (
    "session_id", "agent", "state", "started", "ended", "seconds", "provider", "model",
    "end_reason", "rows", "cost_usd", "recordings", "file",
)  # fmt: skip


def summary(past: Past) -> dict[str, Any]:
    """Return what a list tells of a conversation, by LIST_COLUMNS."""
    trace = past.trace
    return {
        "session_id": past.stem,
        "agent": trace.agent,
        "state": past.standing.value,
        "started": trace.started,
        "ended": trace.ended if past.standing is Standing.ENDED else "",
        "seconds": _length_s(trace),
        "provider": trace.provider,
        "model": trace.model,
        "end_reason": trace.end_reason if past.standing is Standing.ENDED else "",
        "rows": len(trace.transcript),
        "cost_usd": round(trace.cost_usd, 6),
        "recordings": len(trace.recordings),
        "file": str(past.path),
    }


def listed_text(every: Sequence[Past]) -> str:
    """Return a line for each conversation."""
    return "".join(_line(summary(past)) + "\n" for past in every)


def listed_json(every: Sequence[Past]) -> str:
    """Return a JSON list."""
    return json.dumps([summary(past) for past in every], indent=1, ensure_ascii=False) + "\n"


def listed_csv(every: Sequence[Past]) -> str:
    """Return a header and a line for each conversation."""
    return _csv(LIST_COLUMNS, [list(summary(past).values()) for past in every])


def _line(of: Mapping[str, Any]) -> str:
    started = str(of["started"])[:19].replace("T", " ") or "?"
    standing = of["end_reason"] or of["state"]
    return (
        f"{started:19}  {of['agent'] or '?':16}  {_lasting(of['seconds']):>9}  "
        f"{row_count(of['rows']):>9}  ${of['cost_usd']:.4f}  {standing:12}  {of['session_id']}"
    )


def row_count(rows: int) -> str:
    """Return how many rows, in words."""
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _lasting(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left:02} s" if minutes else f"{left} s"


def _length_s(trace: Trace) -> float:
    try:
        began, ended = map(datetime.datetime.fromisoformat, (trace.started, trace.ended))
        return round((ended - began).total_seconds(), 3)
    except (ValueError, TypeError):
        return 0.0


def _csv(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()


def text_of(past: Past) -> str:
    """Return a conversation as a person reads it."""
    trace = past.trace
    standing = {
        Standing.ENDED: f"ended {trace.ended}: {trace.end_reason}",
        Standing.RUNNING: "it still runs; this is it so far",
        Standing.BROKEN_OFF: "it broke off; the daemon's next start makes the trace of it",
    }[past.standing]
    head = [
        past.stem,
        f"{trace.agent}, {trace.provider} {trace.model}".rstrip(),
        f"began {trace.started}",
        standing,
        f"cost ${trace.cost_usd:.4f}, {_connections(trace)}"
        + (f", {_latency(found)}" if (found := _latencies(trace)) else ""),
        *(f"recording {each.file}, {each.seconds:.1f} s" for each in trace.recordings),
        "",
    ]
    return "\n".join([*head, *map(_said, trace.transcript)]) + "\n"


def _connections(trace: Trace) -> str:
    count = len(trace.legs)
    return "1 connection" if count == 1 else f"{count} connections"


def _latencies(trace: Trace) -> list[float]:
    return sorted(turn.latency_s for turn in trace.turns if turn.latency_s is not None)


def _latency(ordered: list[float]) -> str:
    return f"{ordered[len(ordered) // 2]:.2f} s to the first sound (median)"


def _said(row: TraceRow) -> str:
    at = row.timestamp[11:19]
    kind = "" if row.type in ("text", row.role) else f" ({row.type})"
    cut = " (cut off)" if _interrupted(row) else ""
    if cut and not row.message.strip():
        return f"{at} {row.role}{kind} (cut off before a word of it was heard)"
    return f"{at} {row.role}{kind}{cut}: {row.message}".rstrip()


def _interrupted(row: TraceRow) -> bool:
    try:
        told = json.loads(row.metadata or "{}")
    except ValueError:
        return False
    return isinstance(told, dict) and bool(told.get("interrupted"))


def json_of(past: Past) -> str:
    """Return the trace itself; of a session that runs or broke off, what it would be now."""
    return msgspec.json.format(msgspec.json.encode(past.trace), indent=1).decode() + "\n"


def csv_of(past: Past) -> str:
    """Return the transcript's rows in the conversation's seven columns."""
    columns = TraceRow.__struct_fields__
    return _csv(
        columns, [[getattr(row, name) for name in columns] for row in past.trace.transcript]
    )


LISTED: Final[Mapping[str, Callable[[Sequence[Past]], str]]] = MappingProxyType(
    {"text": listed_text, "json": listed_json, "csv": listed_csv}
)
SHOWN: Final[Mapping[str, Callable[[Past], str]]] = MappingProxyType(
    {
        "text": text_of,
        "json": json_of,
        "csv": csv_of,
        "srt": lambda past: captions.srt(past.trace),
        "vtt": lambda past: captions.vtt(past.trace),
    }
)
SUFFIX: Final = {"text": "txt"}
"""A file's ending, where it is not the format's name."""
