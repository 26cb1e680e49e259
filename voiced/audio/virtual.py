"""The clock-driven card: a sound card made of wav files and deadlines, without a sound library.

It runs in the process's main loop and serves the same callback core as a real card. Blocks have
absolute deadlines, so that a late one is made up for and no frame is ever lost; `speed` is the
clock's. What it cannot show: a server's jitter, converters, echo, two crystals.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from voiced.audio.callback import Callback, LaneIO
from voiced.audio.wav import WavFile, read_wav
from voiced.errors import DeviceError
from voiced.lane.seam import Clock
from voiced.lane.words import EDGES, DeviceSegment, Lane, LaneSegment
from voiced.messages.audio import (
    DeviceOpened,
    FileEnded,
    FileStarted,
    FromAudio,
    LaneChannels,
    OpenDevice,
    PlayFile,
    VirtualCard,
)

Float32 = npt.NDArray[np.float32]

BLOCK_S = 0.005
CATCH_UP_BLOCKS = 64
"""Blocks served at most before the control channel is looked at again."""
HEADER_EVERY_S = 1.0
OVER = 1 << 40
"""Frames after which any recording is over."""
INPUTS_MAX = 8
"""Input channels of the card, where the configuration does not name more."""


class Visitor:
    """What stands before one agent's microphones: files, one after the other.

    Args:
        channels: which channels of the card the agent hears.
        lane: the agent's lane, to see its gate and its edge log.
        samplerate: of the card.
    """

    def __init__(self, channels: LaneChannels, lane: LaneSegment, samplerate: int) -> None:
        self.agent = channels.agent
        self.columns = tuple(channel - 1 for channel in channels.inputs)
        self.lane = lane
        self._samplerate = samplerate
        self._queue: deque[tuple[str, Float32]] = deque()
        self._path = ""
        self._samples: Float32 | None = None
        self._at = 0
        self._first: tuple[str, Float32] | None = None

    def at_first_gate(self, path: str) -> None:
        """Play `path` from the first open gate on."""
        self._first = (path, read_wav(path, self._samplerate))

    def queue(self, path: str, skip: int = 0) -> None:
        """Play `path`, without its first `skip` frames, after what is playing."""
        self._queue.append((path, read_wav(path, self._samplerate)[skip:]))

    def start_if_open(self, missed: int = 0) -> None:
        """Let the first file begin if the gate stands open, or stood open `missed` frames ago."""
        if self._first and (missed or self.lane.gate[0]):
            path, samples = self._first
            self._first = None
            self._queue.appendleft((path, samples[missed:]))

    def add_to(self, block: Float32, frame: int) -> list[FromAudio]:
        """Add the next frames to the card's input block; return what began or ended in it."""
        news: list[FromAudio] = []
        at = 0
        while at < len(block):
            if self._samples is None:
                if not self._queue:
                    break
                self._path, self._samples = self._queue.popleft()
                self._at = 0
                news.append(FileStarted(agent=self.agent, path=self._path, frame=frame + at))
            count = min(len(block) - at, len(self._samples) - self._at)
            for column in self.columns:
                block[at : at + count, column] += self._samples[self._at : self._at + count]
            self._at += count
            at += count
            if self._at == len(self._samples):
                self._samples = None
                news.append(FileEnded(agent=self.agent, path=self._path, frame=frame + at))
        return news


class Recording:
    """What the card's loudspeakers played, and the conversation of its first lane.

    The played file has a channel for each output and frame n is output frame n; the conversation
    has the visitor left and the agent as played right, and frame n is near frame n.
    """

    def __init__(self, card: VirtualCard, callback: Callback, lane: LaneSegment, outputs: int):
        rate = callback.samplerate
        self._lane = lane
        self._near = np.frombuffer(lane.near.samples, np.int16)
        self._far = np.frombuffer(lane.far.samples, np.int16)
        self._played = (
            WavFile(card.output, rate, outputs, callback.output_frame) if card.output else None
        )
        self._conversation = (
            WavFile(card.conversation, rate, 2, callback.frame) if card.conversation else None
        )

    def write(self, playout: Float32, output_frame: int, frame: int) -> None:
        """Append one block, already served."""
        if self._played:
            np.multiply(playout, 32768.0, out=playout)
            np.rint(playout, out=playout)
            np.clip(playout, -32768.0, 32767.0, out=playout)
            self._played.write(playout.astype(np.int16), output_frame)
        if self._conversation:
            places = np.arange(frame, frame + len(playout)) % len(self._near)
            pair = np.stack((self._near[places], self._far[places]), axis=1)
            self._conversation.write(pair, frame)

    def update(self) -> None:
        """Make both files readable up to here."""
        for file in (self._played, self._conversation):
            if file:
                file.update()

    def close(self) -> None:
        """Finish both files."""
        for file in (self._played, self._conversation):
            if file:
                file.close()


class VirtualDevice:
    """The card itself.

    Args:
        wanted: what control asked for.
        callback: the core to serve.
        device: the device segment, mapped for this loop.
        lanes: agent and lane in the order of `wanted.lanes`.
        clock: the daemon's clock.

    Raises:
        DeviceError: a file cannot be read or written.
    """

    def __init__(
        self,
        wanted: OpenDevice,
        callback: Callback,
        device: DeviceSegment,
        lanes: list[LaneIO],
        clock: Clock,
    ) -> None:
        card = wanted.virtual or VirtualCard(inputs={}, output="")
        self._callback, self._clock = callback, clock
        self.samplerate = wanted.samplerate
        self.block = wanted.input_block or wanted.output_block or round(BLOCK_S * wanted.samplerate)
        inputs = max((c for lane in wanted.lanes for c in lane.inputs), default=1)
        inputs = max(inputs, min(wanted.inputs_wanted, INPUTS_MAX))
        outputs = max((c for lane in wanted.lanes for c in lane.outputs), default=1)
        self._input = np.zeros((self.block, inputs), np.float32)
        self._output = np.zeros((self.block, outputs), np.float32)
        self._visitors = {
            channels.agent: Visitor(channels, LaneSegment(lane.fd), self.samplerate)
            for channels, lane in zip(wanted.lanes, lanes, strict=True)
        }
        for agent, visitor in self._visitors.items():
            if path := card.inputs.get(agent):
                visitor.at_first_gate(path)
                if missed := self._missed(visitor, device):
                    visitor.start_if_open(missed)
        first = next(iter(self._visitors.values()))
        self._recording = Recording(card, callback, first.lane, outputs)
        self._start_ns = clock.mono_ns()
        self._header_due_ns = self._start_ns
        self._served = 0
        first_ns = self._start_ns + self.block * 1_000_000_000 // self.samplerate
        callback.start_input(self.block, first_ns)
        callback.start_output(self.block, first_ns)

    def _missed(self, visitor: Visitor, device: DeviceSegment) -> int:
        """Return the frames since this agent's first open gate, if a predecessor saw it.

        The visitor went on speaking while there was no card. Zero where no gate was open yet.
        """
        if visitor.lane.get(Lane.EDGE_COUNT) >= EDGES:
            return OVER
        for _, edge in visitor.lane.edges_since(0):
            epoch = device.epoch("input", edge.frame)
            if edge.open and epoch is not None:
                passed_ns = self._clock.mono_ns() - epoch.time_of(edge.frame)
                return max(1, passed_ns * self.samplerate // 1_000_000_000)
        return 0

    def opened(self, *, realtime: bool) -> DeviceOpened:
        """Return what to tell control."""
        return DeviceOpened(
            host_api="virtual",
            input="virtual card",
            output="virtual card",
            samplerate=self.samplerate,
            duplex=True,
            input_block=self.block,
            output_block=self.block,
            realtime=realtime,
            inputs=self._input.shape[1],
        )

    def play_file(self, message: PlayFile) -> None:
        """Let a visitor speak.

        Raises:
            DeviceError: there is no such agent or file.
        """
        visitor = self._visitors.get(message.agent)
        if visitor is None:
            raise DeviceError(f"there is no agent {message.agent} on the virtual card")
        visitor.queue(message.path, message.skip_frames)

    def timeout_s(self) -> float:
        """Seconds of real time until the next block is due."""
        due = self._start_ns + (self._served + 1) * self.block * 1_000_000_000 // self.samplerate
        return max(0.0, self._clock.real_s((due - self._clock.mono_ns()) / 1e9))

    def serve(self) -> list[FromAudio]:
        """Serve the blocks that are due; return what is to be told to control."""
        news: list[FromAudio] = []
        for _ in range(CATCH_UP_BLOCKS):
            if self.timeout_s() > 0.0:
                break
            news += self._serve_block()
        now = self._clock.mono_ns()
        if now >= self._header_due_ns:
            self._recording.update()
            self._header_due_ns = now + int(HEADER_EVERY_S * 1e9 * self._clock.speed)
        return news

    def _serve_block(self) -> list[FromAudio]:
        frame, output_frame = self._callback.frame, self._callback.output_frame
        self._input.fill(0.0)
        news: list[FromAudio] = []
        for visitor in self._visitors.values():
            visitor.start_if_open()
            news += visitor.add_to(self._input, frame)
        self._callback.duplex(self._input, self._output, self.block)
        self._recording.write(self._output, output_frame, frame)
        self._served += 1
        return news

    def close(self) -> None:
        """Finish the recordings."""
        self._recording.close()
