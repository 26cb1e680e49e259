"""From the journal of a session, a line at a time, to its trace, one JSON file.

While a session runs, `<stem>.journal.jsonl` grows; at its end, or at the next start after a power
cut, it becomes `<stem>.json` and goes. The last line about a row id is the row; a torn line is left
out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, assert_never

import msgspec

from voiced.control.files import lines_of, read_file, replace_file
from voiced.control.journal import Append, Finish
from voiced.mind import journal
from voiced.mind.effects import Row

FOLDER = "voice_sessions"
JOURNAL = ".journal.jsonl"
TRACE = ".json"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a damaged trace raises."""


def journal_path(folder: Path, session_id: str) -> Path:
    """Return where a running session's journal is; `folder` is its agent's."""
    return folder / f"{session_id}{JOURNAL}"


def line_job(folder: Path, session_id: str, line: str, *, sync: bool = False) -> Append:
    """Return the job that writes one line of a session, and where `sync`, puts it on the disk."""
    return Append(path=journal_path(folder, session_id), line=line, sync=sync)


def close_job(path: Path, end_reason: str = "", tried: Callable[[], None] | None = None) -> Finish:
    """Return the job that turns a journal into its trace; `tried` is called behind it."""

    def work() -> None:
        close_journal(path, end_reason)

    return Finish(path=path, work=work, tried=tried)


def forget_job(folder: Path, session_id: str, erase_more: Callable[[], None]) -> Finish:
    """Return the job that erases a session's journal and trace, and then `erase_more`."""
    path = journal_path(folder, session_id)

    def work() -> None:
        path.unlink(missing_ok=True)
        path.with_name(f"{session_id}{TRACE}").unlink(missing_ok=True)
        erase_more()

    return Finish(path=path, work=work)


def leftovers(folder: Path) -> list[Path]:
    """Return an agent's journals of sessions that never ended: a power cut, a kill."""
    return sorted(folder.glob(f"*{JOURNAL}"))


def close_journal(path: Path, end_reason: str = "") -> Path | None:
    """Write the trace of a journal and remove the journal; None where there is none.

    `end_reason` is why the session ended; "" = the journal's own word for it, else "crash".

    Raises:
        OSError: the trace cannot be written; the journal stays.
    """
    try:
        if path.is_symlink():
            return None
        if not any(line.strip() for line in lines_of(path)):
            path.unlink()  # The power went before its first line was on the disk.
            return None
    except FileNotFoundError:
        return None
    stem = path.name.removesuffix(JOURNAL)
    # Of a session that goes on for weeks it is larger than what should be in memory at once.
    trace = trace_of(stem, lines_of(path), end_reason)
    target = path.with_name(f"{stem}{TRACE}")
    write_trace(target, trace)
    os.unlink(path)
    return target


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One provider connection of the session."""

    at: str
    leg: int
    resumed: str
    reason: str
    service_session: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One reply, and what came before it since the one before."""

    at: str
    """When the first was told of it."""
    leg: int
    response: str
    """The service's name for it."""
    status: str = ""
    """completed, cancelled or failed; "" = its end was never told."""
    rows: list[str] = []
    """Ids of its rows."""
    latency_s: float | None = None
    """User's end to first sound; None = nothing sounded, or nobody had spoken."""
    cost_usd: float = 0.0
    """With all that was spent since the turn before: time on the line, transcriptions."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was told by onStatus or onError."""

    at: str
    source: str
    code: str
    sentence: str


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """When the words of a row sounded: in the room, or at the loudspeaker as heard."""

    id: str
    began: str
    ended: str


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A sound file of the session."""

    file: str
    """Relative to the trace's folder."""
    what: str
    """session (left the visitor between open edges, right the agent as heard) or turn (mono)."""
    began: str
    """When its first frame passed."""
    seconds: float
    """0 = it was never finished; it is readable up to its last second."""
    holes: list[tuple[float, float]]
    """(second of the file, seconds) that are silence because nothing could be read or written."""
    id: str
    """Of a turn: its row's."""


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the conversation: the operator's seven columns."""

    role: str
    message: str
    id: str
    timestamp: str
    type: str
    metadata: str
    session_id: str


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A past session, whole."""

    version: int = 1
    session_id: str
    agent: str
    provider: str
    model: str
    mode: str
    started: str
    ended: str
    end_reason: str
    cost_usd: float
    before_usd: float = 0.0
    """What the conversation had cost when the daemon ended under it; not in `cost_usd`."""
    resume_handle: str
    """The provider's own; "" = there is none."""
    legs: list[Leg]
    transcript: list[TraceRow]
    turns: list[Turn] = []
    told: list[Told]
    spoken: list[Spoken] = []
    recordings: list[Recording] = []


_decoder = msgspec.json.Decoder(Trace)


def read_trace(path: Path) -> Trace:
    """Return the trace that a file holds.

    Raises:
        OSError: it cannot be read.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no trace.
    """
    return _decoder.decode(read_file(path))


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace in one step.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    replace_file(path, msgspec.json.format(msgspec.json.encode(trace), indent=1) + b"\n")


def recorded_job(folder: Path, session_id: str, line: journal.RecordingLine) -> Finish:
    """Return the job that adds a recording to a trace which is written already."""
    path = folder / f"{session_id}{TRACE}"

    def work() -> None:
        try:
            trace = read_trace(path)
        except (FileNotFoundError, *UNREADABLE):
            return  # Not traced, or forgotten meanwhile, or damaged: nothing to add it to.
        fresh = recording_of(line)
        replaced = (line.file, line.instead_of)
        others = [each for each in trace.recordings if each.file not in replaced]
        write_trace(path, msgspec.structs.replace(trace, recordings=[*others, fresh]))

    return Finish(path=path, work=work)


def recording_of(line: journal.RecordingLine) -> Recording:
    """Return what a trace tells of a recording."""
    return Recording(
        file=line.file, what=line.what, began=line.began, seconds=line.seconds,
        holes=list(line.holes), id=line.id,
    )  # fmt: skip


def trace_of(session_id: str, lines: Iterable[bytes], end_reason: str) -> Trace:
    """Return the trace that the lines of a journal tell.

    A second `began` (Forget) starts it over. The end is where the lines stop.
    """
    found = _Reading(session_id)
    for line in lines:
        try:
            found.take(journal.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return found.trace(end_reason)


def _place(row: Row) -> int:
    """Return where a row stands: it may have been written after one that began later."""
    return row.index


def _without_index(row: Row) -> TraceRow:
    columns = TraceRow.__struct_fields__
    return TraceRow(**{column: getattr(row, column) for column in columns})


class _Reading:
    """What the lines so far have told."""

    def __init__(self, session_id: str) -> None:
        self._began = journal.Began(
            at="", mono_ns=0, agent="", session_id=session_id, provider="", model="", mode=""
        )
        self._at = self._handle = self._end_reason = ""
        self._usd = 0.0
        self._rows: dict[str, Row] = {}
        self._legs: list[Leg] = []
        self._turns: dict[tuple[int, str], Turn] = {}
        self._unspent = 0.0
        """USD that no turn has taken yet."""
        self._told: list[Told] = []
        self._spoken: dict[str, Spoken] = {}
        self._recordings: dict[str, Recording] = {}

    def take(self, line: journal.AnyLine) -> None:
        """Take the next line."""
        match line:
            case journal.Began():
                self._began = line
                self._rows, self._legs, self._turns, self._told = {}, [], {}, []
                self._unspent = 0.0
                self._spoken, self._recordings = {}, {}
            case journal.LegBegan():
                self._legs.append(
                    Leg(at=line.at, leg=line.leg, resumed=line.resumed, reason=line.reason,
                        service_session=line.service_session)
                )  # fmt: skip
            case journal.RowLine():
                self._rows[line.row.id] = line.row
            case journal.RowGone():
                self._rows.pop(line.id, None)
            case journal.HandleLine():
                self._handle = line.handle
            case journal.CostLine():
                self._usd = line.conversation_usd
                self._unspent += line.usd
                if line.response:
                    self._turn(line.leg, line.response, line.at)
            case journal.LatencyLine():
                self._turn(line.leg, line.response, line.at, latency_s=line.seconds)
            case journal.ReplyLine():
                self._turn(
                    line.leg, line.response, line.at, status=line.status, rows=list(line.rows)
                )
            case journal.StatusLine():
                self._told.append(
                    Told(at=line.at, source=line.source, code=line.code, sentence=line.sentence)
                )
            case journal.SpokenLine():
                self._spoken[line.id] = Spoken(id=line.id, began=line.began, ended=line.ended)
            case journal.RecordingLine():
                self._recordings.pop(line.instead_of, None)
                self._recordings[line.file] = recording_of(line)
            case journal.Ended():
                self._end_reason, self._handle = line.end_reason, line.handle
                self._usd = line.conversation_usd
            case _:
                assert_never(line)
        self._at = line.at

    def _turn(self, leg: int, response: str, at: str, **news: Any) -> None:
        """Take what is told of a reply, with what was spent up to now."""
        known = self._turns.get((leg, response)) or Turn(at=at, leg=leg, response=response)
        usd, self._unspent = known.cost_usd + self._unspent, 0.0
        self._turns[leg, response] = msgspec.structs.replace(known, cost_usd=usd, **news)

    def trace(self, end_reason: str) -> Trace:
        """Return the whole; without a word about its end it broke off."""
        began = self._began
        return Trace(
            session_id=began.session_id,
            agent=began.agent,
            provider=began.provider,
            model=began.model,
            mode=began.mode,
            started=began.at,
            ended=self._at,
            end_reason=end_reason or self._end_reason or "crash",
            cost_usd=self._usd,
            before_usd=began.before_usd,
            resume_handle=self._handle,
            legs=self._legs,
            transcript=[_without_index(row) for row in sorted(self._rows.values(), key=_place)],
            turns=list(self._turns.values()),
            told=self._told,
            spoken=list(self._spoken.values()),
            recordings=list(self._recordings.values()),
        )
