"""The microphone half of a lane: device input to near ring, level, gate edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voiced.lane.words import MILLION, Edge, Lane, LaneSegment

Float32 = npt.NDArray[np.float32]

FULL_SCALE = 32768.0
"""int16 steps of a float sample of 1.0."""
LEVEL_HALF_LIFE_S = 0.05
"""A level meter falls to half in this time, so that a reader at 30 Hz misses no peak."""


class Microphone:
    """Writes one lane's near ring; lives on the input side of the callback.

    Args:
        lane: the lane, mapped for this side alone (a fence belongs to one thread).
        inputs: channels of the device to average, counted from 1, unless the lane names others.
        samplerate: of the device, Hz.
        max_block: longest block, frames.
    """

    __slots__ = (
        "_columns", "_configured", "_gate", "_half_life", "_inputs", "_lane", "_level", "_mono",
        "_ring", "_words",
    )  # fmt: skip

    def __init__(
        self, lane: LaneSegment, inputs: tuple[int, ...], samplerate: int, max_block: int
    ) -> None:
        self._lane = lane
        self._words = lane.words
        self._ring = np.frombuffer(lane.near.samples, np.int16)
        self._columns = self._configured = tuple(channel - 1 for channel in inputs)
        self._inputs = 0
        self._mono = np.zeros(max_block, np.float32)
        self._half_life = LEVEL_HALF_LIFE_S * samplerate
        self._level = 0.0
        self._gate = last_gate_word(lane)

    def gate_edge(self, frame: int) -> bool:
        """Apply the gate word at a block border; tell whether that made an edge at `frame`."""
        word = self._lane.get(Lane.GATE)
        if word == self._gate:
            return False
        self._gate = word
        self._lane.append_edge(Edge(frame, bool(word & 1), word >> 1))
        return True

    def block(self, samples: Float32 | None, frame: int, frames: int) -> None:
        """Write `frames` at near position `frame` and publish them.

        Args:
            samples: device input, shape (frames, channels), full scale 1.0; None is silence.
            frame: near position of the first of them.
            frames: how many.
        """
        mono = self._mono[:frames]
        peak = 0.0
        if samples is not None and self._words[Lane.INPUTS] != self._inputs:
            self._listen_to(self._words[Lane.INPUTS], samples.shape[1])
        if samples is None or not self._columns:
            mono.fill(0.0)
        else:
            peak = self._mix(samples, mono)
        capacity = len(self._ring)
        start = frame % capacity
        cut = capacity - start
        if frames <= cut:
            self._ring[start : start + frames] = mono
        else:
            self._ring[start:] = mono[:cut]
            self._ring[: frames - cut] = mono[cut:]
        falling = self._level * 0.5 ** (frames / self._half_life)
        self._level = peak if peak > falling else falling
        self._words[Lane.LEVEL_IN] = int(self._level / FULL_SCALE * MILLION)
        self._lane.put(Lane.NEAR_WRITE, frame + frames)

    def _listen_to(self, inputs: int, channels: int) -> None:
        """Take the channels that the lane names, as far as the device was opened with them."""
        self._inputs = inputs
        named = tuple(n for n in range(min(inputs.bit_length(), channels)) if inputs >> n & 1)
        self._columns = named or self._configured

    def _mix(self, samples: Float32, mono: Float32) -> float:
        """Average this lane's channels into int16 steps; return the peak."""
        columns = self._columns
        scale = self._words[Lane.MICGAIN] / MILLION * FULL_SCALE / len(columns)
        np.multiply(samples[:, columns[0]], scale, out=mono)
        if len(columns) > 1:
            # mono is already scaled, so the others are brought to it one after the other.
            for column in columns[1:]:
                mono += samples[:, column] * np.float32(scale)
        np.rint(mono, out=mono)
        high, low = float(np.maximum.reduce(mono)), float(np.minimum.reduce(mono))
        if not (high <= 32767.0 and low >= -32768.0):
            # Also where a sound server hands over something that is no number.
            np.nan_to_num(mono, copy=False, nan=0.0, posinf=32767.0, neginf=-32768.0)
            np.clip(mono, -32768.0, 32767.0, out=mono)
            high, low = float(np.maximum.reduce(mono)), float(np.minimum.reduce(mono))
        return max(high, -low)


def last_gate_word(lane: LaneSegment) -> int:
    """Return the gate word that the last record of the edge log stands for; 0 without one."""
    word = 0
    for _, edge in lane.edges_since(lane.get(Lane.EDGE_COUNT) - 1):
        word = (edge.serial << 1) | edge.open
    return word
