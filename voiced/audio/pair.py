"""Real sound devices through PortAudio: what there is, and the pair that is meant.

PortAudio is initialised at first use: that must be under the priority its threads shall have.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from voiced.audio import hosts, pulse
from voiced.errors import DeviceError
from voiced.messages.audio import DeviceRow, Devices, OpenDevice

JACK_CLIENT = b"voiced"
BRIDGES = ("pulse", "pipewire", "default")
"""ALSA devices that lead to a sound server."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what sound libraries print about servers that are not there to nowhere."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class PortAudio:
    """The library, loaded at first use and told to look again at each later one."""

    library: Any = None
    streaming = False

    def refreshed(self) -> Any:
        """Return sounddevice with the devices of this moment.

        Raises:
            DeviceError: PortAudio is not installed.
        """
        with quiet():
            if self.library is None:
                _name_in_jack()
                try:
                    import sounddevice
                except OSError as error:
                    raise DeviceError(
                        "PortAudio is not installed: apt install libportaudio2"
                    ) from error
                self.library = sounddevice
            elif not self.streaming:
                self.library._terminate()
                self.library._initialize()
        return self.library


def _name_in_jack() -> None:
    """Be called by our name in JACK's patchbay, which PortAudio takes before it is initialised."""
    # Not on macOS, where the library is sounddevice's own; nor where it was built without JACK.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libportaudio.so.2").PaJack_SetClientName(JACK_CLIENT)


portaudio = PortAudio()


def _rows(library: Any) -> list[DeviceRow]:
    """Return PortAudio's devices in their order."""
    apis = library.query_hostapis()
    default_input, default_output = library.default.device
    return [
        DeviceRow(
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            samplerate=device["default_samplerate"],
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, device in enumerate(library.query_devices())
    ]


def _pulse_rows() -> list[DeviceRow]:
    """Return the sound server's own sinks and sources."""
    if not pulse.is_installed():
        return []
    named = pulse.defaults()
    if named is None:
        return []
    common: dict[str, Any] = {"host_api": hosts.PULSE, "samplerate": 48000.0}
    return [
        DeviceRow(
            name=sink.name,
            inputs=0,
            outputs=sink.channels,
            default_input=False,
            default_output=sink.name == named[0],
            **common,
        )
        for sink in pulse.endpoints("sinks")
    ] + [
        DeviceRow(
            name=source.name,
            inputs=source.channels,
            outputs=0,
            default_input=source.name == named[1],
            default_output=False,
            **common,
        )
        for source in pulse.endpoints("sources")
    ]


def list_devices() -> Devices:
    """Return what there is now; nothing where PortAudio is not installed."""
    try:
        return Devices(devices=_rows(portaudio.refreshed()) + _pulse_rows())
    except DeviceError:
        return Devices(devices=[])


class Side(NamedTuple):
    """One direction of the pair."""

    number: int
    """PortAudio's, valid until it is told to look again."""
    row: DeviceRow
    channels: int
    """How many are opened: the highest that a lane uses."""
    endpoint: str = ""
    """The sound server's sink or source, where the operator named one of those."""

    @property
    def name(self) -> str:
        """What control is told."""
        return self.endpoint or self.row.name

    @property
    def bridged(self) -> bool:
        """Whether a sound server stands behind it, not a card."""
        return self.row.name in BRIDGES


class Pair(NamedTuple):
    """The devices that control means, with everything a stream needs."""

    source: Side | None
    sink: Side | None
    samplerate: int
    duplex: bool
    input_block: int
    output_block: int
    named: bool
    """Whether the operator named a device, or takes the default."""


def choose_pair(wanted: OpenDevice) -> Pair:
    """Find the devices, their channels and a rate that both take.

    Raises:
        DeviceError: something is not there; the sentence says what is.
    """
    library = portaudio.refreshed()
    rows = _rows(library)
    source = _side(rows, wanted, "input")
    sink = _side(rows, wanted, "output")
    if source is None and sink is None:
        raise DeviceError('audio.input and audio.output are both "-": there is nothing to open')
    if pulse.is_installed() and any(
        side is not None and not side.endpoint and side.bridged for side in (source, sink)
    ):
        pulse.require_real(sink=sink is not None, source=source is not None)
    samplerate = _common_rate(library, wanted.samplerate, source, sink)
    duplex = source is not None and sink is not None and hosts.is_duplex(source.row, sink.row)
    blocks = {
        "input": source and hosts.blocksize(source.row, "input", wanted.input_block, samplerate),
        "output": sink and hosts.blocksize(sink.row, "output", wanted.output_block, samplerate),
    }
    return Pair(
        source=source,
        sink=sink,
        samplerate=samplerate,
        duplex=duplex,
        input_block=blocks["input"] or 0,
        output_block=blocks["output"] or 0,
        named=bool(wanted.input.strip("- ") or wanted.output.strip("- ")),
    )


def _side(rows: list[DeviceRow], wanted: OpenDevice, direction: str) -> Side | None:
    asked = wanted.input if direction == "input" else wanted.output
    if asked == hosts.NONE:
        return None
    try:
        row = hosts.choose(rows, asked, direction, "wait")
    except DeviceError:
        side = _through_pulse(rows, wanted, direction)
        if side is not None:
            return side
        if wanted.missing != "default":
            # Once more, for a sentence that names the sound server's devices too.
            hosts.choose(rows + _pulse_rows(), asked, direction, "wait")
            raise
        row = hosts.choose(rows, asked, direction, "default")
    return Side(rows.index(row), row, _opened(row, wanted, direction))


def _through_pulse(rows: list[DeviceRow], wanted: OpenDevice, direction: str) -> Side | None:
    """Find a sink or source of the sound server by name: ALSA's plugin leads there."""
    asked = wanted.input if direction == "input" else wanted.output
    if not asked or not pulse.is_installed():
        return None
    endpoint = pulse.find("sources" if direction == "input" else "sinks", asked)
    number = next((n for n, row in enumerate(rows) if row.name in BRIDGES), None)
    if endpoint is None or number is None:
        return None
    row = msgspec.structs.replace(
        rows[number], name=endpoint.name, inputs=endpoint.channels, outputs=endpoint.channels
    )
    channels = _opened(row, wanted, direction)
    return Side(number, rows[number], channels, endpoint.name)


def _opened(row: DeviceRow, wanted: OpenDevice, direction: str) -> int:
    more = wanted.inputs_wanted if direction == "input" else 0
    return hosts.check_channels(row, wanted.lanes, direction, more)


def _common_rate(library: Any, asked: int, source: Side | None, sink: Side | None) -> int:
    """Return the asked rate if both devices take it, else a default rate that both take."""
    sides = [side for side in (source, sink) if side is not None]
    for rate in (asked, *(round(side.row.samplerate) for side in sides), 48000, 44100):
        if all(_takes(library, side, rate, side is source) for side in sides):
            return rate
    names = " and ".join(f'"{side.name}"' for side in sides)
    raise DeviceError(
        f"{names} take no samplerate in common (asked for {asked}): "
        "the device may be in use by another program"
    )


def _takes(library: Any, side: Side, rate: int, is_input: bool) -> bool:
    check = library.check_input_settings if is_input else library.check_output_settings
    try:
        with quiet():
            check(side.number, side.channels, "float32", None, rate)
    except (library.PortAudioError, ValueError):
        return False
    return True
