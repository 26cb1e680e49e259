"""Between control and the midi process, which holds the ports and nothing else."""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Hello, Message, Shutdown


class ListenTo(Message, frozen=True, kw_only=True):
    """Sent by control: have exactly these inputs open."""

    inputs: tuple[str, ...]
    """Full names, as PortNames told them."""


class SendMidi(Message, frozen=True, kw_only=True):
    """Sent by control: one message to an output; a port that is gone takes nothing."""

    output: str
    message: bytes


class PortNames(Message, frozen=True, kw_only=True):
    """Sent by midi once a second: the ports there are. Its silence means that it hangs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    listening: tuple[str, ...]
    """Inputs that are open."""
    sentence: str = ""
    """Why there are none, or why one cannot be opened."""


class MidiReceived(Message, frozen=True, kw_only=True):
    """Sent by midi: one message from an input that is open."""

    input: str
    message: bytes


ToMidi: TypeAlias = Hello | ListenTo | SendMidi | Shutdown
FromMidi: TypeAlias = Hello | PortNames | MidiReceived
