"""Everything an agent can want done, in the order it wants it. Performing them is the shell's."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voiced.messages.network import ToNetwork, Value
from voiced.mind.inputs import Origin
from voiced.mind.row import Row as Row


class Effect(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What every effect is."""


# --- to the doors


class Told(Effect, frozen=True, kw_only=True):
    """A parameter's stored value, for everybody who listens.

    `origin` wrote it; it gets the echo only if what was stored differs from what it sent
    (`adjusted`) or it asked for echoes.
    """

    name: str
    value: Value
    origin: Origin
    page: str = "par"
    adjusted: bool = False


class Callback(Effect, frozen=True, kw_only=True):
    """/<agent>/cb/<name> with its arguments in surface.md's order."""

    name: str
    args: tuple[int | float | str, ...]


class SignalNow(Effect, frozen=True, kw_only=True):
    """Signals that may not wait for the tick: phase and mic_open at their edges."""

    channels: tuple[str, ...]


class RowWritten(Effect, frozen=True, kw_only=True):
    """A new row, or the same id rewritten."""

    row: Row


class RowRemoved(Effect, frozen=True, kw_only=True):
    """A partial row that turned out to hold nothing; listeners see it rewritten empty."""

    row: Row


class RowsCleared(Effect, frozen=True, kw_only=True):
    """The table is empty again."""


class ShowText(Effect, frozen=True, kw_only=True):
    """/<agent>/text: what the model shows without speaking it."""

    text: str


class RunTool(Effect, frozen=True, kw_only=True):
    """A tool call for its executor alone: /<agent>/tool/call and /<agent>/tool/do/<name>.

    Kind "config": the message that the configuration says. Answered by `ToolAnswer`.
    """

    executor: Origin
    call_id: str
    name: str
    arguments: str
    """JSON object."""
    values: tuple[int | float | str, ...]
    """The arguments in the schema's order."""


class DropCall(Effect, frozen=True, kw_only=True):
    """A result is not wanted any more: /<agent>/tool/cancelled, or timeout where it is too late."""

    executor: Origin
    call_id: str
    name: str
    late: bool


class Caption(Effect, frozen=True, kw_only=True):
    """The line on show of one speaker ("user" or "assistant"), "" when done; or a "word"."""

    who: str
    line: str


class Refused(Effect, frozen=True, kw_only=True):
    """A command did nothing, and why: /voiced/error to its origin, and to targets."""

    origin: Origin
    name: str
    code: str
    """One of surface.md's error codes."""
    sentence: str


# --- to the hands


class Send(Effect, frozen=True, kw_only=True):
    """A message to the network process."""

    message: ToNetwork


class SetGate(Effect, frozen=True, kw_only=True):
    """The gate word of this agent's lane."""

    open: bool


class SetLane(Effect, frozen=True, kw_only=True):
    """The other words control owns; None = as it is."""

    volume: float | None = None
    micgain: float | None = None
    playback: str | None = None
    """"play", "pause" or "silent"."""
    guard: bool | None = None
    inputs: int | None = None
    """Bit n-1 = channel n of the device is heard; 0 = those of the configuration."""


class StopSpeaker(Effect, frozen=True, kw_only=True):
    """STOP_TO = the speaker's write position now: everything queued is dropped under a fade."""


class Install(Effect, frozen=True, kw_only=True):
    """Installdependencies: bring what a provider lacks, if the configuration allows it."""

    origin: Origin
    provider: str
    packages: tuple[str, ...]
    """As the provider names them."""
    command: str
    """What does the same by hand."""


class WarmUp(Effect, frozen=True, kw_only=True):
    """Initialize: start or restart the hands."""


class StopHands(Effect, frozen=True, kw_only=True):
    """Shutdown: stop the hands; the doors stay."""


# --- to the disk


class ScanFolder(Effect, frozen=True, kw_only=True):
    """Read the folder of "profiles" or "skills" anew; answered by `FilesFound`."""

    what: str
    asked: bool
    """Answer even if nothing in it has changed."""


class Keep(Effect, frozen=True, kw_only=True):
    """A persisting parameter changed at run time: it survives a restart."""

    name: str
    value: Value
    page: str = "par"


class Journal(Effect, frozen=True, kw_only=True):
    """One line for the running session's journal; the shell adds nothing but the newline."""

    session_id: str
    line: str
    """JSON object."""
    sync: bool = False
    """On the disk at once, with all before it: a session that breaks off in its first second is not
    to be less than the one that it goes on with."""


class TraceClosed(Effect, frozen=True, kw_only=True):
    """The session is over: its journal becomes a trace."""

    session_id: str
    end_reason: str


class Recall(Effect, frozen=True, kw_only=True):
    """Find the past conversation that this session goes on with; answered by `Recalled`."""

    session_id: str
    """Of the session that asks."""
    provider: str
    model: str
    file: str = ""
    """This trace; "" = the newest of this provider and model."""
    within_s: float = 0.0
    """Above 0: only the last one, if it broke off so recently."""


class ForgetSession(Effect, frozen=True, kw_only=True):
    """Erase the journal, the trace and the recordings of this session; lines may follow anew."""

    session_id: str


class Record(Effect, frozen=True, kw_only=True):
    """Record this session, from a near frame on."""

    session_id: str
    what: str
    """session, turns or both."""
    format: str
    """wav or flac."""
    from_frame: int


class RecordTurn(Effect, frozen=True, kw_only=True):
    """A turn of a recorded session lies between these near frames: it gets a file of its own."""

    session_id: str
    role: str
    id: str
    """Its row's; "" = it has none."""
    start_frame: int
    end_frame: int


class RecordOver(Effect, frozen=True, kw_only=True):
    """The recorded session ended at this near frame."""

    session_id: str
    to_frame: int


class Spend(Effect, frozen=True, kw_only=True):
    """Money booked; fsynced into the ledger."""

    session_id: str
    provider: str
    model: str
    usd: float


class Log(Effect, frozen=True, kw_only=True):
    """One line for the service's log; never a visitor's words."""

    level: str
    """"debug", "info", "warning" or "error"."""
    line: str


AgentEffect: TypeAlias = (
    Told | Callback | SignalNow | RowWritten | RowRemoved | RowsCleared | Caption | Refused | Send
    | SetGate | SetLane | StopSpeaker | WarmUp | StopHands | Keep | Journal | TraceClosed
    | Recall | ForgetSession | Record | RecordTurn | RecordOver | Spend | Log
    | ShowText | RunTool | DropCall | ScanFolder | Install
)  # fmt: skip
