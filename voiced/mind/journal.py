"""The lines of a session's journal: enough of them rebuild its trace, whenever they stop."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voiced.mind.effects import Row


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every line is."""

    at: str
    """ISO 8601 with offset and milliseconds."""
    mono_ns: int
    """For durations within one run of the daemon."""


class Began(Line, frozen=True, kw_only=True, tag="began"):
    """The first line: whose session this is. A second one follows after Forget."""

    agent: str
    session_id: str
    provider: str
    model: str
    mode: str
    before_usd: float = 0.0
    """What the conversation had cost when the daemon ended under it."""


class LegBegan(Line, frozen=True, kw_only=True, tag="leg"):
    """A leg opened."""

    leg: int
    resumed: str
    """native, replay or fresh."""
    reason: str
    """connect, cap, goaway or lost."""
    service_session: str


class RowLine(Line, frozen=True, kw_only=True, tag="row"):
    """A row, new or rewritten: the last line of an id counts."""

    row: Row


class RowGone(Line, frozen=True, kw_only=True, tag="row_gone"):
    """A row turned out to hold nothing."""

    id: str


class HandleLine(Line, frozen=True, kw_only=True, tag="handle"):
    """The provider's resume handle as of now."""

    leg: int
    handle: str


class CostLine(Line, frozen=True, kw_only=True, tag="cost"):
    """Money booked."""

    leg: int
    usd: float
    conversation_usd: float
    """Of this session so far, with what is pending."""
    detail: str = ""
    response: str = ""
    """What it was for; "" = no reply of its own: time, a transcription."""


class LatencyLine(Line, frozen=True, kw_only=True, tag="latency"):
    """One turn: user's end to first sound."""

    leg: int = 0
    response: str
    seconds: float


class ReplyLine(Line, frozen=True, kw_only=True, tag="reply"):
    """The service has said all of a reply, or given it up."""

    leg: int
    response: str
    status: str
    """completed, cancelled or failed."""
    rows: tuple[str, ...]
    """Its rows, the first of each of its turns."""


class StatusLine(Line, frozen=True, kw_only=True, tag="status"):
    """Something that was told by onStatus or onError."""

    source: str
    """"status", or onError's source."""
    code: str
    sentence: str


class SpokenLine(Line, frozen=True, kw_only=True, tag="spoken"):
    """When the words of a row sounded: a visitor's in the room, the agent's at the loudspeaker."""

    id: str
    """The row's, the first of a turn's rows."""
    began: str
    """ISO 8601 with offset and milliseconds, as `ended`."""
    ended: str


class RecordingLine(Line, frozen=True, kw_only=True, tag="recording"):
    """A recording began or was finished: the last line of a file counts."""

    file: str
    """Relative to the trace's folder."""
    what: str
    """session or turn."""
    began: str
    """When its first frame passed: ISO 8601 with offset and milliseconds."""
    seconds: float = 0.0
    """0 until it is finished."""
    holes: tuple[tuple[float, float], ...] = ()
    """(second of the file, seconds) that are silence because nothing could be read or written."""
    id: str = ""
    """Of a turn: its row's."""
    instead_of: str = ""
    """The file that this one took the place of."""


class Ended(Line, frozen=True, kw_only=True, tag="ended"):
    """The last line of a session that ended in order."""

    end_reason: str
    conversation_usd: float
    handle: str


AnyLine: TypeAlias = (
    Began | LegBegan | RowLine | RowGone | HandleLine | CostLine | LatencyLine | ReplyLine
    | StatusLine | SpokenLine | RecordingLine | Ended
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


def encode(line: AnyLine) -> str:
    """Return a line as JSON, without its newline."""
    return _encoder.encode(line).decode()


def decode(text: str | bytes) -> AnyLine:
    """Return the line that a journal holds.

    Raises:
        msgspec.DecodeError: it is not whole, or not a journal's (the last one after a power cut).
    """
    return _decoder.decode(text)
