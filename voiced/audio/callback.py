"""The callback core: arrays in, arrays out, shared memory in between. Knows no sound library.

Every block is served on the sound server's own thread: nothing here locks, prints, imports or
grows. A duplex device calls `duplex`; two streams call `input_block` and `output_block` from two
threads, which therefore share nothing but plain numbers: each side maps the segments for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from voiced.audio.loudspeaker import FULL_SCALE, Loudspeaker
from voiced.audio.microphone import Microphone
from voiced.lane.seam import Clock, Wake
from voiced.lane.words import Device, DeviceSegment, Epoch, Lane, LaneSegment

Float32 = npt.NDArray[np.float32]

MAX_BLOCK = 8192
"""Longest block served at once, frames; `ring.LAP_MARGIN` is the same."""
STEP_TOLERANCE_S = 0.06
"""How far far may be from near on two streams before it is put back in step."""
ANCHOR_EVERY_S = 1.0
ANCHOR_SETTLED_S = 10.0
"""A stream is looked at every second at first, every ten seconds when it is this old."""
ANCHOR_TOLERANCE_S = 0.004
"""An epoch whose time or latency is off by more than this is corrected by another record."""


_NEVER = 1 << 62


class LaneIO(NamedTuple):
    """One agent's lane and its channels of the device, counted from 1."""

    fd: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Anchor:
    """Keeps one direction's epochs true: which frame passed at which time.

    The first blocks of a stream may come late or in a heap, and a card's crystal is not the
    machine's clock. The least delayed block of a period tells the truth; where the last epoch is
    off by more than a few milliseconds, another record of the same generation says so.
    """

    __slots__ = (
        "_clock",
        "_device",
        "_direction",
        "_due_ns",
        "_epoch",
        "_input_s",
        "_late_ns",
        "_output_s",
        "_settled_ns",
    )

    def __init__(self, device: DeviceSegment, direction: str, clock: Clock) -> None:
        self._device = device
        self._direction = direction
        self._clock = clock
        self._epoch: Epoch | None = None
        self._late_ns = _NEVER
        self._input_s = self._output_s = 0.0
        self._due_ns = self._settled_ns = 0

    def start(self, epoch: Epoch, *, exact: bool = False) -> None:
        """Append the first epoch of a stream; an exact one is never corrected."""
        self._epoch = None if exact else epoch
        self._device.append_epoch(self._direction, epoch)
        self._late_ns = _NEVER
        self._due_ns = epoch.mono_ns + int(ANCHOR_EVERY_S * 1e9)
        self._settled_ns = epoch.mono_ns + int(ANCHOR_SETTLED_S * 1e9)

    def observe(self, frame: int, input_s: float, output_s: float) -> bool:
        """Note that the block that begins with `frame` is served now; True = record corrected.

        Args:
            frame: in this direction's counter.
            input_s: latency from the microphone, as the host measures it at this block.
            output_s: latency to the loudspeaker.
        """
        epoch = self._epoch
        if epoch is None:
            return False
        now = self._clock.mono_ns()
        late = now - epoch.time_of(frame)
        if late < self._late_ns:
            self._late_ns, self._input_s, self._output_s = late, input_s, output_s
        if now < self._due_ns:
            return False
        wait_s = ANCHOR_EVERY_S if now < self._settled_ns else ANCHOR_SETTLED_S
        self._due_ns = now + int(wait_s * 1e9)
        late, self._late_ns = self._late_ns, _NEVER
        heard, spoken = (round(s * epoch.samplerate) for s in (self._input_s, self._output_s))
        off = max(abs(heard - epoch.input_latency), abs(spoken - epoch.output_latency))
        if abs(late) < ANCHOR_TOLERANCE_S * 1e9 and off < ANCHOR_TOLERANCE_S * epoch.samplerate:
            return False
        self._epoch = epoch._replace(
            frame=frame,
            mono_ns=epoch.time_of(frame) + late,
            input_latency=heard,
            output_latency=spoken,
        )
        self._device.append_epoch(self._direction, self._epoch)
        return True


class Callback:
    """Serves all lanes of one sound card.

    Args:
        device_fd: the device segment.
        lanes: the lanes in the order of their agents.
        samplerate: of both directions, Hz.
        clock: the daemon's clock.
        duplex: True where one stream serves both directions; else far is kept in step by counter.
        append_frames: near frames per wake-up of the network process.
        near_wake: set once per `append_frames`.
        edge_wake: set at a gate edge, a finished flush and an epoch.
        max_block: longest block that will come; longer ones are served in parts.

    Attributes:
        frame: first near frame not yet served.
        output_frame: first output frame not yet served.
        input_latency_s: from the microphone to this block, as the host last measured it.
        output_latency_s: from this block to the loudspeaker.
    """

    def __init__(
        self,
        device_fd: int,
        lanes: Sequence[LaneIO],
        *,
        samplerate: int,
        clock: Clock | None = None,
        duplex: bool = True,
        append_frames: int = 480,
        near_wake: Wake | None = None,
        edge_wake: Wake | None = None,
        max_block: int = MAX_BLOCK,
    ) -> None:
        self.samplerate = samplerate
        self.input_latency_s = self.output_latency_s = 0.0
        self._clock = clock or Clock()
        self._max_block = max_block
        self._append_frames = append_frames
        self._near_wake, self._edge_wake = near_wake, edge_wake
        self._duplex = duplex
        # One mapping a side: a fence belongs to one thread.
        self._in_device, self._out_device = DeviceSegment(device_fd), DeviceSegment(device_fd)
        self._words = self._in_device.words
        near_lanes = [LaneSegment(lane.fd) for lane in lanes]
        far_lanes = [LaneSegment(lane.fd) for lane in lanes]
        self.frame = self._level_positions(near_lanes)
        self.output_frame: int = self._words[Device.OUTPUT_FRAME]
        self._far_at = self.frame
        self._in_step = duplex
        self._out_of_step = False
        self._tolerance = max(int(STEP_TOLERANCE_S * samplerate), 2 * append_frames)
        self._blocks_before: int = self._words[Device.CALLBACKS]
        self._input_blocks = self._output_blocks = 0
        self._microphones = [
            Microphone(lane, io.inputs, samplerate, max_block)
            for lane, io in zip(near_lanes, lanes, strict=True)
        ]
        self._loudspeakers = [
            Loudspeaker(lane, io.outputs, samplerate, max_block)
            for lane, io in zip(far_lanes, lanes, strict=True)
        ]
        self._far_lanes = far_lanes
        self._scaled = np.zeros(max_block, np.float32)
        self._input_anchor = Anchor(self._in_device, "input", self._clock)
        self._output_anchor = Anchor(self._out_device, "output", self._clock)
        self._generation: int = self._words[Device.GENERATION] + 1

    def _level_positions(self, lanes: list[LaneSegment]) -> int:
        """Bring all near and far positions to one common frame, which is returned.

        A predecessor killed within a block leaves them one block apart; what it never wrote is
        silence, not what the ring held a minute ago.
        """
        frame: int = self._words[Device.DEVICE_FRAME]
        for lane in lanes:
            frame = max(frame, lane.near.write_position, lane.far.write_position)
        for lane in lanes:
            for ring in (lane.near, lane.far):
                missing = min(frame - ring.write_position, ring.capacity)
                head, tail = ring.spans(frame - missing, missing)
                samples = np.frombuffer(ring.samples, np.int16)
                samples[head] = 0
                samples[tail] = 0
                ring.publish_write(frame)
        self._words[Device.DEVICE_FRAME] = frame
        return frame

    def start_input(self, blocksize: int, exact_ns: int | None = None) -> None:
        """Append the input epoch, with the latencies set; called before its first block.

        Args:
            blocksize: frames; 0 = varies.
            exact_ns: time of the first block for a card that runs by the clock itself; None = now,
                to be corrected when the flow of blocks shows it wrong.
        """
        epoch = self._epoch(self.frame, blocksize, exact_ns)
        self._input_anchor.start(epoch, exact=exact_ns is not None)
        self._wake_control()

    def start_output(self, blocksize: int, exact_ns: int | None = None) -> None:
        """Append the output epoch, with the latencies set; called before its first block."""
        epoch = self._epoch(self.output_frame, blocksize, exact_ns)
        self._output_anchor.start(epoch, exact=exact_ns is not None)
        self._wake_control()

    def _epoch(self, frame: int, blocksize: int, exact_ns: int | None) -> Epoch:
        self._words[Device.GENERATION] = self._generation
        return Epoch(
            generation=self._generation,
            frame=frame,
            mono_ns=self._clock.mono_ns() if exact_ns is None else exact_ns,
            samplerate=self.samplerate,
            blocksize=blocksize,
            input_latency=round(self.input_latency_s * self.samplerate),
            output_latency=round(self.output_latency_s * self.samplerate),
        )

    def duplex(self, samples: Float32 | None, playout: Float32 | None, frames: int) -> None:
        """Serve both directions of a block: near and far get the same position.

        Args:
            samples: input, shape (frames, channels), full scale 1.0; None = no microphone.
            playout: output to fill, shape (frames, channels); None = no loudspeaker, and replies
                are taken at the real pace all the same.
            frames: length of the block.
        """
        position = self.frame
        self.input_block(samples, frames)
        self._far_at = position
        self.output_block(playout, frames)

    def input_block(self, samples: Float32 | None, frames: int) -> None:
        """Serve the microphones of all lanes."""
        done = 0
        while done < frames:
            count = min(frames - done, self._max_block)
            self._input(None if samples is None else samples[done : done + count], count)
            done += count

    def output_block(self, playout: Float32 | None, frames: int) -> None:
        """Serve the loudspeakers of all lanes."""
        done = 0
        while done < frames:
            count = min(frames - done, self._max_block)
            self._output(None if playout is None else playout[done : done + count], count)
            done += count

    def _input(self, samples: Float32 | None, frames: int) -> None:
        frame = self.frame
        edge = self._input_anchor.observe(frame, self.input_latency_s, self.output_latency_s)
        for microphone in self._microphones:
            if microphone.gate_edge(frame):
                edge = True
            microphone.block(samples, frame, frames)
        self.frame = frame + frames
        self._words[Device.DEVICE_FRAME] = self.frame
        self._input_blocks += 1
        self._count_blocks()
        if self._near_wake and self.frame // self._append_frames != frame // self._append_frames:
            self._near_wake.set()
        if edge:
            self._wake_control()

    def _output(self, playout: Float32 | None, frames: int) -> None:
        far_at = self._far_at if self._duplex else self._keep_step(frames)
        news = self._output_anchor.observe(
            self.output_frame, self.input_latency_s, self.output_latency_s
        )
        if playout is not None:
            playout.fill(0.0)
        sounding = 0
        for loudspeaker in self._loudspeakers:
            if loudspeaker.play(frames, far_at) and playout is not None:
                scaled = self._scaled[:frames]
                np.multiply(loudspeaker.mono[:frames], 1.0 / FULL_SCALE, out=scaled)
                for column in loudspeaker.columns:
                    playout[:, column] += scaled
                sounding += 1
            if loudspeaker.flushed:
                news = True
        if sounding > 1 and playout is not None:
            np.clip(playout, -1.0, 1.0, out=playout)
        if far_at >= 0:
            self._far_at = far_at + frames
        self.output_frame += frames
        self._words[Device.OUTPUT_FRAME] = self.output_frame
        self._output_blocks += 1
        self._count_blocks()
        if news:
            self._wake_control()

    def _keep_step(self, frames: int) -> int:
        """Return the far position of the next block on two streams; -1 = leave it out.

        Far runs by its own counter from near's position at the first block of both. Where the two
        drift or stall apart it jumps forward over zeros, or waits for near, and that is counted.
        """
        near = self.frame
        if not self._in_step:
            if not self._input_blocks:
                return -1
            self._in_step = True
            self._skip_far(near)
            return near
        ahead = self._far_at + frames - near
        if abs(ahead) <= self._tolerance:
            self._out_of_step = False
            return self._far_at
        if not self._out_of_step:
            self._words[Device.FAR_RESYNCS] += 1
        if ahead > 0:
            self._out_of_step = True
            return -1
        self._skip_far(near)
        return near

    def _skip_far(self, position: int) -> None:
        """Fill every lane's far ring with silence up to `position`."""
        for loudspeaker, lane in zip(self._loudspeakers, self._far_lanes, strict=True):
            missing = min(position - self._far_at, len(loudspeaker.far))
            if missing > 0:
                start = (position - missing) % len(loudspeaker.far)
                cut = min(missing, len(loudspeaker.far) - start)
                loudspeaker.far[start : start + cut] = 0
                loudspeaker.far[: missing - cut] = 0
                lane.put(Lane.FAR_WRITE, position)

    def _count_blocks(self) -> None:
        # Two numbers of one writer each, so that two threads lose no count.
        self._words[Device.CALLBACKS] = (
            self._blocks_before + self._input_blocks + self._output_blocks
        )

    def count_xruns(self, *, overflow: bool, underflow: bool) -> None:
        """Count what the sound server flagged."""
        if overflow:
            self._words[Device.INPUT_XRUNS] += 1
        if underflow:
            self._words[Device.OUTPUT_XRUNS] += 1

    def _wake_control(self) -> None:
        if self._edge_wake:
            self._edge_wake.set()
