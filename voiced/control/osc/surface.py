"""What the OSC door knows of the rest of the daemon, and nothing else.

The door turns packets into calls of a `Surface`, and effects into packets. Everything here runs
in control's loop; no call may block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from voiced.mind import effects
from voiced.mind.inputs import AgentInput
from voiced.mind.toolbox import ShownTool
from voiced.parameters import Refusal, Row, Value

PAR = "par"
"""The page of the common names; every other page is a provider's."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What /voiced/status tells, but for the number of targets."""

    version: str
    engine: str
    """The worst Enginestatus of all agents."""
    uptime_s: float


class MidiBinding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of /voiced/midi/bindings."""

    port: str
    message: str
    address: str
    number: int
    """Note, control or program."""


class Surface(Protocol):
    """The daemon as its doors see it."""

    def agents(self) -> Sequence[str]:
        """Return every agent's name, in the configuration's order."""

    def pages(self, agent: str) -> Sequence[str]:
        """Return "par" and then every provider that has a page of its own."""

    def names(self, agent: str, page: str) -> Sequence[str]:
        """Return the names of a page's rows; empty for a page that is not there."""

    def row(self, agent: str, page: str, name: str) -> Row | None:
        """Return the row as it is now: with max_costbudget as Costbudget's maximum, and so on."""

    def value(self, agent: str, page: str, name: str) -> Value:
        """Return what is stored; asked only for rows that are `stored` and not secret."""

    def has_secret(self, agent: str, page: str, name: str) -> bool:
        """Return whether a secret row holds something."""

    def options(self, agent: str, page: str, name: str) -> Sequence[str]:
        """Return what a menu offers now; `Row.options` where nothing else is known."""

    def rows(self, agent: str) -> Sequence[effects.Row]:
        """Return the conversation, oldest first."""

    def tools(self, agent: str) -> Sequence[ShownTool]:
        """Return the tools that were declared, with the mode in force."""

    def signals(self, agent: str) -> Mapping[str, float]:
        """Return every channel by its name; asked at Signalrate."""

    def passed(self, agent: str) -> tuple[int, int]:
        """Return the frames of microphone sent and of voice played since this was last asked."""

    def put(self, agent: str, item: AgentInput) -> None:
        """Give the agent an input and act on what it wants, before returning.

        The door never calls this from within `OscDoor.perform`; the next `value` tells the outcome.
        """

    def mute(self, on: bool) -> None:
        """Mute or unmute every agent; tells all by `OscDoor.said("/voiced/mute", 0 or 1)`."""

    def muted(self) -> bool:
        """Return whether /voiced/mute is on."""

    def status(self) -> Status:
        """Return how the daemon is."""

    def audio_device(self, direction: str, name: str | None) -> str | Refusal:
        """Return the "input" or "output" device's name, after setting it where `name` is given."""

    def forget(self, agent: str, page: str, name: str) -> None:
        """Let what the configuration says of a parameter count again, now and after a restart."""

    def play_file(self, agent: str, path: str) -> Refusal | None:
        """Let the virtual card's visitor speak a wav file; why not, where it cannot.

        Its beginning and end are told by `OscDoor.said("/voiced/audio/started", ...)`.
        """

    def midi_ports(self) -> Sequence[str]:
        """Return the names of the MIDI input ports that are there now."""

    def midi_bindings(self) -> Sequence[MidiBinding]:
        """Return the bindings in force."""

    def allowed_path(self, row: Row, path: str) -> str | Refusal:
        """Return the resolved path that a parameter may name: inside the roots, and of its kind."""

    def log(self, level: str, line: str) -> None:
        """Write a line to the service's log; `level` is debug, info, warning or error."""
