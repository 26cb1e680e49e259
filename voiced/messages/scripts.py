"""Between control and a scripts process, which runs one agent's Python file and nothing else.

The process has no shared memory: what a script writes over is its own.
"""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Hello, Message, Shutdown
from voiced.messages.network import Value

LONGEST_TEXT = 64_000
"""Characters of any text that a script sends; what is longer is cut where it comes from."""


class LoadScript(Message, frozen=True, kw_only=True):
    """Sent by control: run this file, now and whenever it changes."""

    agent: str
    path: str
    not_version: str = ""
    """A version that ended the process while it was loaded: it is left alone."""
    last_good: str = ""
    """Source of the last version that could be loaded; it serves where the file's cannot."""


class ParameterValues(Message, frozen=True, kw_only=True):
    """Sent by control: what the agent's parameters hold, and which pulses there are."""

    values: dict[str, Value]
    """Of a secret, whether there is one."""
    pulses: tuple[str, ...]


class ParameterTold(Message, frozen=True, kw_only=True):
    """Sent by control: what a parameter holds now."""

    name: str
    value: Value


class RunCallback(Message, frozen=True, kw_only=True):
    """Sent by control: something happened; answered by CallbackEnded."""

    number: int
    name: str
    args: tuple[int | float | str, ...]
    limit_s: float
    """If it runs longer, the process ends."""


class CallFunction(Message, frozen=True, kw_only=True):
    """Sent by control: the model calls a tool; answered by FunctionEnded."""

    call_id: str
    name: str
    arguments: str
    """JSON object that fits the tool's schema."""


class DropFunction(Message, frozen=True, kw_only=True):
    """Sent by control: nobody waits for this call's result any more."""

    call_id: str


class Alive(Message, frozen=True, kw_only=True):
    """Sent by scripts at least every 0.25 s: its silence means that it hangs."""


class Loading(Message, frozen=True, kw_only=True):
    """Sent by scripts: this version of the file is being run."""

    version: str


class OfferedTool(Message, frozen=True, kw_only=True):
    """One function of the script that the model may call."""

    name: str
    description: str
    schema: str
    mode: str
    confirm: bool
    timeout_s: float
    """0 = what holds for all tools."""


class Loaded(Message, frozen=True, kw_only=True):
    """Sent by scripts: this version is in force."""

    version: str
    """"" = the last good one, which is not the file's."""
    source: str
    callbacks: tuple[str, ...]
    tools: tuple[OfferedTool, ...]
    remarks: tuple[str, ...] = ()
    """What its author should know: a function that is almost named like a callback."""


class NotLoaded(Message, frozen=True, kw_only=True):
    """Sent by scripts: this version cannot be used; what was in force before still is."""

    version: str
    sentence: str


class CallbackEnded(Message, frozen=True, kw_only=True):
    """Sent by scripts: a callback returned, or raised."""

    number: int
    trouble: str = ""
    """What it raised and where, in one line."""


class FunctionEnded(Message, frozen=True, kw_only=True):
    """Sent by scripts: a tool returned, or raised."""

    call_id: str
    name: str
    ok: bool
    result: str
    trouble: str = ""


class FunctionProgress(Message, frozen=True, kw_only=True):
    """Sent by scripts: a tool says that it is still at work."""

    call_id: str
    text: str


class Overran(Message, frozen=True, kw_only=True):
    """Sent by scripts as its last word: this ran for too long, so the process ends."""

    name: str
    sentence: str


class SetParameter(Message, frozen=True, kw_only=True):
    """Sent by scripts: the script sets a parameter."""

    name: str
    value: Value


class PressPulse(Message, frozen=True, kw_only=True):
    """Sent by scripts: the script fires a pulse."""

    name: str
    text: str | None = None


class Utter(Message, frozen=True, kw_only=True):
    """Sent by scripts: /<agent>/say, or /<agent>/note."""

    text: str
    aloud: bool


class Printed(Message, frozen=True, kw_only=True):
    """Sent by scripts: a line that the script printed."""

    line: str


ToScripts: TypeAlias = (
    Hello | LoadScript | ParameterValues | ParameterTold | RunCallback | CallFunction
    | DropFunction | Shutdown
)  # fmt: skip
FromScripts: TypeAlias = (
    Hello | Alive | Loading | Loaded | NotLoaded | CallbackEnded | FunctionEnded
    | FunctionProgress | Overran | SetParameter | PressPulse | Utter | Printed
)  # fmt: skip
