"""MIDI ports through rtmidi. Every call may block."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from voiced.errors import VoicedError

_SEQUENCER: Final = "/dev/snd/seq"
_OWN: Final = re.compile(r"voiced \d+(-\d+)?:")


class MidiUnavailable(VoicedError):
    """There is no MIDI on this machine now; the text says what to do about it."""


class ServerGone(VoicedError):
    """What was opened belongs to a server that is gone: nothing but a new process helps."""


class Names(msgspec.Struct, frozen=True):
    """The ports there are, by their full names."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


class Ports:
    """The ports of the machine's MIDI system.

    Args:
        backend: one of mido's names for rtmidi's ("LINUX_ALSA", "UNIX_JACK", ...); "" = the first
            that this machine has.
    """

    def __init__(self, backend: str = "") -> None:
        self._asked = backend
        self._client = f"voiced {os.getpid()}"
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}

    @property
    def listening(self) -> tuple[str, ...]:
        """The inputs that are open."""
        return tuple(self._inputs)

    def scan(self) -> Names:
        """Return the ports there are now.

        Raises:
            MidiUnavailable: there is no MIDI system now.
            ServerGone: there were open ports, and their server is gone, even if one is back.
        """
        rtmidi = _rtmidi()
        name, api = self._choose(rtmidi)
        try:
            # A client of its own each time: one whose JACK server died goes on telling its ports.
            listener, teller = rtmidi.MidiIn(api, name=self._client), rtmidi.MidiOut(api)
        except rtmidi.RtMidiError as error:
            if self._inputs or self._outputs:
                raise ServerGone(_why(name)) from error
            raise MidiUnavailable(_why(name)) from error
        inputs, outputs = listener.get_ports(), teller.get_ports()
        listener.delete()
        teller.delete()
        own = {port.partition(":")[2] for port in outputs if _OWN.match(port)}
        if name == "UNIX_JACK" and any(_label(port) not in own for port in self._inputs):
            raise ServerGone("the JACK server was started anew")
        return Names(
            tuple(port for port in inputs if not _OWN.match(port)),
            tuple(port for port in outputs if not _OWN.match(port)),
        )

    def listen(self, port: str, received: Callable[[list[int]], None]) -> None:
        """Open an input; `received` gets each message's bytes, on rtmidi's thread.

        Raises:
            MidiUnavailable: the port went away or cannot be opened.
        """
        rtmidi = _rtmidi()
        try:
            source = rtmidi.MidiIn(self._choose(rtmidi)[1], name=self._client)
            source.set_callback(lambda event, _: received(event[0]))
            source.open_port(source.get_ports().index(port), name=_label(port))
        except (rtmidi.RtMidiError, ValueError) as error:
            raise MidiUnavailable(f"the MIDI port {port!r} cannot be opened: {error}") from error
        self._inputs[port] = source

    def send(self, port: str, message: bytes) -> None:
        """Send to an output, which is opened at first use; a port that is gone takes nothing."""
        rtmidi = _rtmidi()
        with contextlib.suppress(rtmidi.RtMidiError, ValueError):
            if port not in self._outputs:
                sink = rtmidi.MidiOut(self._choose(rtmidi)[1], name=self._client)
                sink.open_port(sink.get_ports().index(port), name=_label(port))
                self._outputs[port] = sink
            self._outputs[port].send_message(list(message))

    def keep(self, inputs: Collection[str], outputs: Collection[str]) -> None:
        """Close every port that is open and not among these."""
        for opened, kept in ((self._inputs, inputs), (self._outputs, outputs)):
            for port in set(opened) - set(kept):
                gone = opened.pop(port)
                gone.close_port()
                gone.delete()

    def _choose(self, rtmidi: Any) -> tuple[str, int]:
        compiled = {rtmidi.get_api_name(api): api for api in rtmidi.get_compiled_api()}
        for name, word in (
            ("LINUX_ALSA", "alsa"),
            ("MACOSX_CORE", "core"),
            ("WINDOWS_MM", "winmm"),
            ("UNIX_JACK", "jack"),
        ):
            if word not in compiled or self._asked not in ("", name):
                continue
            if name == "LINUX_ALSA" and not self._asked and not os.path.exists(_SEQUENCER):
                continue
            if name == "UNIX_JACK":
                _quiet_jack()
            return name, compiled[word]
        raise MidiUnavailable(_why("LINUX_ALSA" if sys.platform == "linux" else ""))


def _label(port: str) -> str:
    """Return what our end of a connection is called in patch bays."""
    return f"with {port}".replace(":", " ")


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise MidiUnavailable(
            "no MIDI: the package python-rtmidi is missing; pip install 'voiced[midi]'"
        ) from error
    return rtmidi


def _why(backend: str) -> str:
    match backend:
        case "UNIX_JACK":
            return "no MIDI: there is no ALSA sequencer (modprobe snd-seq), and no JACK server runs"
        case "LINUX_ALSA":
            return f"no MIDI: {_SEQUENCER} cannot be opened (modprobe snd-seq; group audio)"
        case _:
            return "no MIDI: the system's MIDI service does not answer"


def _quiet_jack() -> None:
    """Keep libjack from writing to stderr, once a second, that no server runs.

    It wants a C function that takes a line of text; strlen takes one and does nothing with it.
    """
    with contextlib.suppress(OSError, AttributeError):
        jack = ctypes.CDLL(sys.modules["rtmidi._rtmidi"].__file__ or "")
        nothing = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)
        jack.jack_set_error_function(nothing)
