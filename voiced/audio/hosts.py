"""Which device is meant: names, channels and block sizes. Pure: rows in, a choice out."""

from __future__ import annotations

from collections.abc import Sequence

from voiced.errors import DeviceError
from voiced.messages.audio import DeviceRow, LaneChannels

ALSA = "ALSA"
JACK = "JACK Audio Connection Kit"
PULSE = "PulseAudio"
"""Host API of the rows that the sound server itself names; PortAudio reaches them through ALSA."""
NONE = "-"

INPUT_BLOCK_S = 0.010
OUTPUT_BLOCK_S = 0.005
"""Blocks where two streams serve the directions: PulseAudio hands out multiples of 5 ms."""


def channels_of(row: DeviceRow, direction: str) -> int:
    """Return how many channels a device has in a direction, 'input' or 'output'."""
    return row.inputs if direction == "input" else row.outputs


def is_default(row: DeviceRow, direction: str) -> bool:
    """Tell whether the host takes this device where none is named."""
    return row.default_input if direction == "input" else row.default_output


def _is_detour(row: DeviceRow, rows: Sequence[DeviceRow]) -> bool:
    """Tell whether this is ALSA's plugin to a JACK server that PortAudio reaches by itself."""
    return row.host_api == ALSA and row.name == "jack" and any(r.host_api == JACK for r in rows)


def choose(rows: Sequence[DeviceRow], wanted: str, direction: str, missing: str) -> DeviceRow:
    """Return the device that `wanted` means.

    Args:
        rows: what there is.
        wanted: "" = the default, else a name or a part of name and host API in any case; a whole
            name goes before a part, a default device before others.
        direction: 'input' or 'output'.
        missing: "default" = take the default device while the named one is absent.

    Raises:
        DeviceError: it is not there; the sentence names what is.
    """
    usable = [row for row in rows if channels_of(row, direction) and not _is_detour(row, rows)]
    usable.sort(key=lambda row: not is_default(row, direction))
    asked = wanted.strip().lower()
    if asked:
        for fits in (
            lambda row: row.name.lower() == asked,
            lambda row: asked in row.name.lower(),
            lambda row: all(
                word in f"{row.name} {row.host_api}".lower()
                for word in asked.replace(",", " ").split()
            ),
        ):
            for row in usable:
                if fits(row):
                    return row
        if missing != "default":
            raise DeviceError(_not_named(usable, wanted, direction))
    for row in usable:
        if is_default(row, direction):
            return row
    if usable:
        return usable[0]
    kind = "microphone" if direction == "input" else "loudspeaker"
    raise DeviceError(
        f"there is no {direction} device at all: connect a {kind} or start the sound server, "
        f'or set audio.{direction} = "-" to go without'
    )


def _not_named(usable: Sequence[DeviceRow], wanted: str, direction: str) -> str:
    there = ", ".join(f'"{row.name}" ({row.host_api})' for row in usable) or "none"
    return (
        f'there is no {direction} device "{wanted}"; {direction}s here: {there}. '
        f"Connect it, or set audio.{direction} to one of these"
    )


def check_channels(
    row: DeviceRow, lanes: Sequence[LaneChannels], direction: str, wanted: int = 0
) -> int:
    """Return how many channels of the device must be opened; up to `wanted` where it has them.

    Raises:
        DeviceError: a lane asks for a channel that the device does not have.
    """
    has = channels_of(row, direction)
    most = 1
    for lane in lanes:
        asked = lane.inputs if direction == "input" else lane.outputs
        for channel in asked:
            if not 1 <= channel <= has:
                raise DeviceError(
                    f'{lane.agent} asks for {direction} channel {channel}, but "{row.name}" has '
                    f"{has}: change {direction}_channels of this agent, or take another device"
                )
            most = max(most, channel)
    return max(most, min(wanted, has))


def blocksize(row: DeviceRow, direction: str, asked: int, samplerate: int) -> int:
    """Return the frames a block for one direction; 0 = the server's own."""
    if asked or row.host_api == JACK:
        return asked
    seconds = INPUT_BLOCK_S if direction == "input" else OUTPUT_BLOCK_S
    return round(seconds * samplerate)


def is_duplex(source: DeviceRow, sink: DeviceRow) -> bool:
    """Tell whether one stream serves both directions well: only JACK does.

    Through PulseAudio a duplex stream spins and comes 0.3 s late.
    """
    return source == sink and source.host_api == JACK
