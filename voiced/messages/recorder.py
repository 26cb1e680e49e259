"""Between control and the recorder process. What it records it reads from the lanes itself."""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Attach, Hello, Message, Shutdown


class Anchor(Message, frozen=True, kw_only=True):
    """From here on a file's frames follow near's, one by one."""

    file_frame: int
    near_frame: int


class Hole(Message, frozen=True, kw_only=True):
    """Silence in a file, because nothing could be read or written."""

    file_frame: int
    frames: int


class Part(Message, frozen=True, kw_only=True):
    """One file of a session's recording: a session has one, until its samplerate changes."""

    number: int
    """From 1 on."""
    file: str
    """Its name, in the recording's folder."""
    samplerate: int
    delay: int
    """Frames by which right is held back: from the callback to the ear, and back to near."""
    anchors: list[Anchor]
    """The last one counts from its `file_frame` on; never empty."""
    holes: list[Hole]


class Record(Message, frozen=True, kw_only=True):
    """Sent by control: record a session; its last `parts` is gone on with, where it has any.

    Left is the visitor, and only what lies between open edges; right is the agent as heard.
    """

    agent: str
    session_id: str
    folder: str
    what: str
    """session, turns or both."""
    format: str
    """wav or flac."""
    from_frame: int
    """Near frame that the first part begins with."""
    parts: list[Part] = []


class MarkTurn(Message, frozen=True, kw_only=True):
    """Sent by control: a turn sounded between two near frames; it is to have a file of its own."""

    agent: str
    session_id: str
    role: str
    """user or assistant."""
    id: str
    """Its row's; "" = it has none."""
    start_frame: int
    end_frame: int


class StopRecording(Message, frozen=True, kw_only=True):
    """Sent by control: record up to a near frame, then finish."""

    agent: str
    session_id: str
    to_frame: int


class DropRecording(Message, frozen=True, kw_only=True):
    """Sent by control: stop, and erase everything that was recorded of a session."""

    agent: str
    session_id: str


class PartMoved(Message, frozen=True, kw_only=True):
    """Sent by the recorder: a part began, or has another anchor or hole."""

    agent: str
    session_id: str
    part: Part


class FileFinished(Message, frozen=True, kw_only=True):
    """Sent by the recorder: a file is complete and closed."""

    agent: str
    session_id: str
    what: str
    """session or turn."""
    file: str
    """Relative to the recording's folder."""
    seconds: float
    holes: list[tuple[float, float]]
    """(second of the file, seconds)."""
    near_frame: int
    """Near frame that its first frame is."""
    number: int = 0
    """Of a session's file: its part's."""
    id: str = ""
    """Of a turn: its row's."""
    start_frame: int = -1
    """Of a turn: as it was marked."""


class Recorded(Message, frozen=True, kw_only=True):
    """Sent by the recorder: everything of a session is finished."""

    agent: str
    session_id: str


class RecorderTrouble(Message, frozen=True, kw_only=True):
    """Sent by the recorder: a recording cannot be written; told once until it can again."""

    agent: str
    session_id: str
    code: str
    """disk, format or empty."""
    sentence: str


ToRecorder: TypeAlias = (
    Hello | Attach | Record | MarkTurn | StopRecording | DropRecording | Shutdown
)
FromRecorder: TypeAlias = Hello | PartMoved | FileFinished | Recorded | RecorderTrouble
