"""Everything that can happen to an agent: commands from the doors, events from the hands, time.

Messages of the network process (`LegEvent`) are inputs as they are.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voiced.messages.network import Catalogue, LegEvent, NetworkTrouble, ReplaySounds, Value
from voiced.mind.profiles import File
from voiced.mind.row import Row


class Instant(msgspec.Struct, frozen=True):
    """When an input happened, by both clocks."""

    mono_ns: int
    """`Clock.mono_ns`: for everything that lasts."""
    wall: float
    """Unix seconds: for what people and files read, never for durations."""
    utc_offset_s: int = 0


class Origin(msgspec.Struct, frozen=True):
    """Who wants something: errors and unchanged echoes go back there, Talk is held by it."""

    kind: str
    """"osc", "midi", "shell", "panel", "script", "config", "state", "profile" or "mind"."""
    id: str = ""
    """Tells two of a kind apart: "127.0.0.1:52133", a binding's name."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool that is executed outside the mind."""

    name: str
    description: str
    schema: str
    """JSON schema of its arguments, as text: what the model is shown."""
    executor: Origin
    """Who runs it. Kind "config": the configuration says what is sent."""
    mode: str = "enabled"
    """What whoever declared it wants; a Tool slot that names it decides."""
    confirm: bool = False
    """A call waits until the operator approves it."""
    answers: bool = True
    """False: fire and forget, whoever executes it sends no result."""
    silence_s: float = 0.0
    """The executor may be silent for so long; 0 = what the agent's setting says."""


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about all tools of an agent."""

    tools: tuple[Tool, ...] = ()
    """Declared in the configuration."""
    silence_s: float = 10.0
    """An executor that says nothing for so long has failed."""
    rate: int = 30
    """Calls a minute."""
    confirm: tuple[str, ...] = ()
    """Names of tools whose calls wait for approval, whoever declared them; "*" = all."""


class Input(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What every input of this module is."""


class Write(Input, frozen=True, kw_only=True):
    """Set a parameter; the value is already coerced by its row (`voiced.parameters`).

    Writing Talk means: this origin holds it (1) or lets go (0).
    """

    name: str
    value: Value
    origin: Origin
    page: str = "par"
    """"par", or a provider's name for its own page."""


class Press(Input, frozen=True, kw_only=True):
    """Fire a pulse."""

    name: str
    origin: Origin
    text: str | None = None
    """`Sendtext s` writes Inputtext and fires in one message."""


class HolderGone(Input, frozen=True, kw_only=True):
    """An origin can no longer let go of what it holds (MIDI port lost, All Notes Off)."""

    origin: Origin


class SetMute(Input, frozen=True, kw_only=True):
    """/voiced/mute: this agent's gate closed and loudspeaker faded, its session kept."""

    on: bool


class SayText(Input, frozen=True, kw_only=True):
    """/<agent>/say."""

    text: str
    origin: Origin


class NoteText(Input, frozen=True, kw_only=True):
    """/<agent>/note."""

    text: str
    origin: Origin


class RegisterTool(Input, frozen=True, kw_only=True):
    """/<agent>/tool/register: its executor is whoever sent it."""

    tool: Tool
    origin: Origin


class UnregisterTool(Input, frozen=True, kw_only=True):
    """/<agent>/tool/unregister."""

    name: str
    origin: Origin


class SetTools(Input, frozen=True, kw_only=True):
    """The configuration was read again: its tools, and what it says about all tools."""

    settings: ToolSettings


class ToolAnswer(Input, frozen=True, kw_only=True):
    """/<agent>/tool/result, or error where not `ok`."""

    call_id: str
    ok: bool
    result: str
    origin: Origin


class ToolProgress(Input, frozen=True, kw_only=True):
    """/<agent>/tool/progress: the executor is still at work."""

    call_id: str
    text: str
    origin: Origin


class DecideTool(Input, frozen=True, kw_only=True):
    """/<agent>/tool/approve, or deny."""

    call_id: str
    approve: bool
    origin: Origin


class ExecutorGone(Input, frozen=True, kw_only=True):
    """Nobody takes calls there any more; `for_good`: its connection is closed."""

    origin: Origin
    for_good: bool


class SetAllowance(Input, frozen=True, kw_only=True):
    """What the budgets over all agents leave to this one, what is pending elsewhere taken off."""

    left_usd: float
    """Before what is pending here; inf = no such budget is set."""
    sentence: str
    """Which budget is the smallest, and until when it holds."""


class KeysFound(Input, frozen=True, kw_only=True):
    """For which key servers a key was found outside of the doors, and for which no longer."""

    there: frozenset[str]
    gone: frozenset[str] = frozenset()


class InstallTold(Input, frozen=True, kw_only=True):
    """What becomes of Installdependencies."""

    word: str
    """"installing" as it goes on; at its end "installed", "failed", or "denied"."""
    sentence: str
    origin: Origin | None = None
    """Of "denied": who asked."""


class FilesFound(Input, frozen=True, kw_only=True):
    """What is in the folder of profiles or of skills now."""

    what: str
    """"profiles" or "skills"."""
    folder: str
    """"" = none is named."""
    files: tuple[File, ...] = ()
    problem: str = ""
    """Why the folder cannot be read."""
    left_out: str = ""
    """What of it was not read."""
    asked: bool = False
    """By a pulse: what is damaged is told again."""


class Started(Input, frozen=True, kw_only=True):
    """The daemon is up: values are loaded. `connect` tells whether on_start asks for a session."""

    connect: bool
    muted: bool = False
    resume_within_s: float = 0.0
    """That session goes on with the last one, if it broke off so recently; 0 = it starts fresh."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A past conversation, as its trace tells it."""

    session_id: str
    provider: str
    model: str
    handle: str
    """The provider's own; "" = there is none."""
    rows: tuple[Row, ...]
    usd: float = 0.0
    """What it had cost where the daemon ended under it; 0 = somebody had ended it, and the money
    begins anew."""


class Recalled(Input, frozen=True, kw_only=True):
    """The answer to `Recall`."""

    session_id: str
    """Of the session that asked."""
    past: Past | None = None
    sentence: str = ""
    """Why the trace that was named cannot be used."""


class Stopping(Input, frozen=True, kw_only=True):
    """SIGTERM: end the session cleanly, close the gate; nothing may wait longer than a second."""


class NetworkReady(Input, frozen=True, kw_only=True):
    """A network process is up and has told what there is."""

    catalogue: Catalogue


class NetworkLost(Input, frozen=True, kw_only=True):
    """The network process ended; every leg with it."""

    sentence: str
    asked: bool = False
    """By Initialize, Shutdown or a reload: nothing went wrong."""


class InferenceLost(Input, frozen=True, kw_only=True):
    """The inference process ended. Told to the operator; a local leg tells its own end."""

    sentence: str


class InferenceReady(Input, frozen=True, kw_only=True):
    """The inference process is up again after it was lost."""


class AudioReady(Input, frozen=True, kw_only=True):
    """The sound card runs."""

    device: str
    samplerate: int
    echo_free: bool
    """The virtual card, or an echo canceller works: Bargein auto means on."""
    inputs: int = 0
    """Input channels of the device that are open."""


class AudioAbsent(Input, frozen=True, kw_only=True):
    """There is no such sound card now."""

    sentence: str


class AudioLost(Input, frozen=True, kw_only=True):
    """The audio process ended, or the card stopped serving; a new one is on its way."""

    sentence: str


class GateMoved(Input, frozen=True, kw_only=True):
    """The callback applied the gate at near frame `frame`: the real gate, by the edge log."""

    frame: int
    open: bool
    serial: int


class NearAt(Input, frozen=True, kw_only=True):
    """Where near stands, told before every other input: turns without edges are placed by it."""

    frame: int


class Tick(Input, frozen=True, kw_only=True):
    """`next_deadline` has come."""


AgentInput: TypeAlias = (
    Write | Press | HolderGone | SetMute | SayText | NoteText | Started | Stopping | NetworkReady
    | NetworkLost | InferenceLost | InferenceReady | AudioReady | AudioAbsent | AudioLost
    | GateMoved | NearAt | Tick | LegEvent | NetworkTrouble | ReplaySounds
    | RegisterTool | UnregisterTool | SetTools | ToolAnswer | ToolProgress | DecideTool
    | ExecutorGone | Recalled | SetAllowance | KeysFound | FilesFound | InstallTold
)  # fmt: skip
