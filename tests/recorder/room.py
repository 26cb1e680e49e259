"""A lane and a card in this process: every frame says its own number, the gate moves as told.

Kinder than the real thing: nothing is written while it is being read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiced.lane.words import Device, DeviceSegment, Edge, Epoch, Lane, LaneSegment

RATE = 8000
RING_S = 4.0
WRAP = 30_000


def near_of(frames: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return what the microphone heard at these frames."""
    return (1 + frames % WRAP).astype(np.int16)


def far_of(frames: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return what was played at these frames."""
    return (-1 - frames % WRAP).astype(np.int16)


class Room:
    """Both segments, written as audio writes them."""

    def __init__(self, rate: int = RATE, latency: int = 0) -> None:
        self.device_fd, self.device = DeviceSegment.create()
        self.lane_fd, self.lane = LaneSegment.create(rate, near_s=RING_S)
        self.rate, self.latency = rate, latency
        self.frame = 0
        self.mono_ns = 10**12
        self.open = False
        self.serial = 0
        self.edges: list[tuple[int, bool]] = [(0, False)]
        self._generation = 0
        self.stream()

    def stream(self, rate: int = 0, lost_s: float = 0.0) -> None:
        """Begin a stream, after so long without one."""
        self.rate = rate or self.rate
        self.mono_ns += int(lost_s * 1e9)
        self._generation += 1
        epoch = Epoch(
            generation=self._generation, frame=self.frame, mono_ns=self.mono_ns,
            samplerate=self.rate, blocksize=0, input_latency=self.latency,
            output_latency=self.latency,
        )  # fmt: skip
        self.device.append_epoch("input", epoch)
        self.device.append_epoch("output", epoch)

    def gate(self, is_open: bool) -> None:
        """Move the gate at the next frame."""
        if is_open != self.open:
            self.open = is_open
            self.serial += 1
            self.edges.append((self.frame, is_open))
            self.lane.append_edge(Edge(self.frame, is_open, self.serial))

    def pass_by(self, frames: int) -> None:
        """Let so many frames pass."""
        while frames > 0:
            count = min(frames, 4000)
            numbers = np.arange(self.frame, self.frame + count)
            for ring, samples in (
                (self.lane.near, near_of(numbers)), (self.lane.far, far_of(numbers)),
            ):  # fmt: skip
                ring.store(self.frame, memoryview(samples))
                ring.publish_write(self.frame + count)
            self.frame += count
            self.mono_ns += count * 1_000_000_000 // self.rate
            self.device.words[Device.DEVICE_FRAME] = self.frame
            frames -= count

    def was_open(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return at which of these frames the gate was open."""
        starts = np.array([frame for frame, _ in self.edges])
        states = np.array([is_open for _, is_open in self.edges])
        return states[np.searchsorted(starts, frames, side="right") - 1]

    def words(self) -> list[int]:
        """Return every word of the lane: what nobody but its owner may move."""
        return [self.lane.words[word] for word in Lane]
