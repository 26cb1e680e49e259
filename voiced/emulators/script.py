"""How an emulator behaves: what it hears, says and calls, and the faults it plays.

A script is a TOML or JSON file (or these structs, in a test). A service's n-th connection plays the
n-th `[[connection]]`, the last one repeats; without any it hears and answers by itself.

    [[tool]]                       # called when a visitor's words hold one of these
    words = ["light", "lamp"]
    name = "set_light"
    arguments = { colour = "blue" }

    [[connection]]
    heard = [{ text = "Turn the light blue.", revisions = ["Turn", "Turn the night"] }]
    [[connection.reply]]
    says = "One moment."
    calls = [{ name = "set_light", arguments = { colour = "blue" } }]
    [[connection.reply]]
    says = "The light is blue now, like the deep sea on a clear day."
    [[connection.fault]]
    what = "close"
    code = 1011
    reply = 2                      # in the second reply of this connection ...
    audio_ms = 600                 # ... once 600 ms of it were sent
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from voiced.errors import ConfigError

FaultKind = Literal[
    "goaway", "cap", "close", "reset", "half_open", "stall", "send", "error", "lost_done",
    "drop_handles",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, and when.

    At its time after the session is ready (`after_s`), in a reply or behind it (`reply`,
    `audio_ms`), or when a turn of the user has ended (`turn`); at once where none is given.
    """

    what: FaultKind
    """goaway: the service announces its end. cap: the session's longest time is over, in the
    service's own form. close: a close frame. reset: the link breaks (RST). half_open: the other
    side vanished, the link looks alive. stall: nothing is sent any more, pings are answered. send:
    one frame of any content. error: the service's error event. lost_done: the reply's last event
    is never sent. drop_handles: what could be resumed is forgotten."""
    after_s: float | None = None
    """So long after the session is ready, seconds of the emulator's own time."""
    reply: int | None = None
    """In this reply of the connection, counted from 1."""
    audio_ms: int | None = None
    """With `reply`: once so much of its audio was sent; absent = once it has ended."""
    turn: int | None = None
    """When this turn of the user, counted from 1, has ended."""
    code: int = 1011
    """Close code."""
    reason: str = ""
    """Close reason, or the message of an error."""
    error: str = ""
    """Code of an error, as the service spells it."""
    kind: str = ""
    """Type of an error, as the service spells it; "" = what fits the code."""
    seconds: float = 0.0
    """goaway: the time left. stall: its length; 0 = for good."""
    frame: str = "{not json"
    """send: the frame."""
    binary: bool = False
    """send: as a binary frame."""


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that the service wants called."""

    name: str
    """Its name."""
    arguments: dict[str, Any] = {}
    """What it is called with."""
    raw: str | None = None
    """The arguments as they go over the wire, in place of `arguments`: for ones that do not
    parse."""


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool call by word: made when the user said one of `words` and the client has the tool."""

    words: list[str]
    """Any of these calls for it, in small letters or large."""
    name: str
    """Its name, as the client declared it."""
    arguments: dict[str, Any] = {}
    """What it is called with."""
    says: str = ""
    """What is said before the call."""


class Heard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a turn of the user is read as."""

    text: str = ""
    """The final reading."""
    revisions: list[str] = []
    """Partial readings before the final one. A service that appends sends the pieces of the last
    of them: the final reading then differs from what its pieces said."""
    failed: bool = False
    """The transcription fails."""
    delay_s: float = 0.0
    """How much later than the turn's end the reading comes."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer of the service."""

    says: str | None = None
    """The words; absent = the emulator's own answer; "" = none."""
    calls: list[Call] = []
    """The tools it calls."""
    delay_s: float = 0.0
    """How long the service thinks."""
    gap_s: float = 0.0
    """A pause before every delta but the first: an uneven network."""
    fails: str = ""
    """The code with which the reply fails, as the service spells it."""


class Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens on one connection."""

    refuse: int = 0
    """HTTP status in place of a websocket."""
    silent: bool = False
    """The connection is taken and nothing ever said on it."""
    longest_s: float | None = None
    """The session's cap in place of the service's own, seconds."""
    speech: list[tuple[int, int]] | None = None
    """Where speech lies in the audio received, ms from its start: in place of detection."""
    heard: list[Heard] = []
    """The user's turns, in order; after the last the recogniser reads."""
    reply: list[Reply] = []
    """The replies, in order; after the last the emulator answers by itself."""
    fault: list[Fault] = []
    """What goes wrong."""
    options: dict[str, Any] = {}
    """What only one service knows: see the service's options."""

    def heard_at(self, turn: int) -> Heard | None:
        """Return what the user's n-th turn, counted from 1, is read as; None = listen."""
        return self.heard[turn - 1] if turn <= len(self.heard) else None

    def reply_at(self, number: int) -> Reply:
        """Return the n-th reply, counted from 1."""
        return self.reply[number - 1] if number <= len(self.reply) else Reply()


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an emulator does that is not the service's ordinary behaviour."""

    connection: list[Connection] = []
    """What each connection plays, in order; the last one repeats."""
    tool: list[Tool] = []
    """Tools called by word, where the script's replies leave it to the emulator."""
    answer: str = "You said: {heard}"
    """The emulator's own answer; {heard} is what the user said."""

    def connection_at(self, number: int) -> Connection:
        """Return what the n-th connection, counted from 1, plays."""
        if not self.connection:
            return Connection()
        return self.connection[min(number, len(self.connection)) - 1]

    def called_by(self, text: str) -> Tool | None:
        """Return the tool that these words of the user call for."""
        spoken = text.lower()
        return next((t for t in self.tool if any(w.lower() in spoken for w in t.words)), None)


def load(path: Path) -> Script:
    """Read a script, TOML unless its name ends in .json.

    Raises:
        ConfigError: it cannot be read, or is no script; the sentence says where.
    """
    try:
        raw = path.read_bytes()
        rows = msgspec.json.decode(raw) if path.suffix == ".json" else tomllib.loads(raw.decode())
        return msgspec.convert(rows, Script)
    except OSError as error:
        raise ConfigError([f"the script {path} cannot be read: {error.strerror}"]) from error
    except (ValueError, msgspec.DecodeError) as error:
        raise ConfigError([f"the script {path} is none: {error}"]) from error
