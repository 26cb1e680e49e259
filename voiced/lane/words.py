"""The layout of the shared memory: every word, its one writer, the logs and the rings.

A word is a native int64 at an aligned place. One process writes it; everybody may read it. There is
one device segment for the machine's sound card and one lane segment for each agent:

    device:  words | input epochs | output epochs
    lane:    words | edges | near samples | far samples | speaker samples

Positions are absolute frames that only grow, across restarts of every process: a successor goes on
from the counters it finds. Near and far positions count device input frames since the segment was
made, speaker positions count frames of replies. Control makes the segments, fills in `MAGIC`,
`VERSION` and the capacities, and keeps them for life.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import NamedTuple

from voiced.lane.ring import Fence, Ring, observe, publish
from voiced.lane.seam import create_segment, map_segment, stamp_ns

MAGIC = 0x766F69636564  # "voiced"
VERSION = 1
MILLION = 1_000_000
"""Fractions (volume, gain, levels) are kept as millionths."""

SAMPLERATE_MAX = 192_000
NEAR_S = 60
"""Seconds that the near and the far ring hold: the only queue towards a provider."""
SPEAKER_S = 10
"""Seconds that the speaker ring holds; audio further ahead waits in the network process."""
EDGES = 256
EPOCHS = 64


class Owner(Enum):
    """The processes that write words."""

    CONTROL = "control"
    AUDIO = "audio"
    NETWORK = "network"
    INFERENCE = "inference"
    SCRIPTS = "scripts"
    TOOLS = "tools"
    RECORDER = "recorder"
    CAMERA = "camera"


class Device(IntEnum):
    """Words of the device segment."""

    MAGIC = 0
    VERSION = 1
    # Liveness: real monotonic ns, written at least every 0.25 s. `stamp_word` names them by owner.
    CONTROL_STAMP = 8
    AUDIO_STAMP = 9
    NETWORK_STAMP = 10
    INFERENCE_STAMP = 11
    SCRIPTS_STAMP = 12
    TOOLS_STAMP = 13
    RECORDER_STAMP = 14
    CAMERA_STAMP = 15
    # Written by audio:
    CALLBACKS = 24
    """Blocks served since the segment was made: a heartbeat of the card itself."""
    DEVICE_FRAME = 25
    """Input frames served: the ONE device frame counter; every lane's near write follows it."""
    OUTPUT_FRAME = 26
    """Output frames served. Equal to DEVICE_FRAME on a duplex stream."""
    INPUT_XRUNS = 27
    OUTPUT_XRUNS = 28
    GENERATION = 29
    """Stream starts so far."""
    FAR_RESYNCS = 30
    """Times that the far rings were put back in step with near (two-stream devices)."""
    INPUT_EPOCHS = 31
    """Records ever appended to the input epoch log; the last EPOCHS are kept."""
    OUTPUT_EPOCHS = 32


class Lane(IntEnum):
    """Words of a lane segment."""

    MAGIC = 0
    VERSION = 1
    NEAR_CAPACITY = 2
    SPEAKER_CAPACITY = 3
    # Written by control:
    GATE = 8
    """(serial << 1) + open: may the microphone leave the machine."""
    VOLUME = 9
    """Target, millionths; the callback ramps to it (20 ms full scale)."""
    MICGAIN = 10
    """Millionths, applied to near."""
    PLAYBACK = 11
    """A `Playback`."""
    STOP_TO = 12
    """Speaker position up to which control wants everything dropped (Stop, Disconnect)."""
    GUARD = 13
    """1 = half-duplex: network sends silence for near while this lane's loudspeaker sounds."""
    INPUTS = 14
    """Bit n-1 = channel n of the device is heard; 0 = those of the configuration."""
    # Written by network:
    SPEAKER_WRITE = 24
    FLUSH_TO = 25
    """Speaker position up to which a barge-in wants everything dropped."""
    NEAR_READ = 26
    FAR_READ = 27
    SPEAKER_COMPLETE = 28
    """Speaker position where the reply ends, once known: running dry before it is a gap."""
    GAPS = 29
    """Replies that ran dry before their last frame, as counted by network."""
    BUFFERED = 30
    """Frames of reply waiting in network beyond the speaker ring."""
    # Written by audio:
    NEAR_WRITE = 40
    FAR_WRITE = 41
    SPEAKER_READ = 42
    SILENT_AT = 43
    """Speaker position at which the last flush was fully faded: what was heard of it ends here."""
    FLUSH_DONE = 44
    """The target of the last flush carried out."""
    EDGE_COUNT = 45
    """Edges ever appended; the last EDGES are kept."""
    LEVEL_IN = 46
    """Peak of near before the gate, millionths; falls to half in 50 ms, so that a reader at 30 Hz
    misses none."""
    LEVEL_OUT = 47
    """Peak of this lane's playout after volume, millionths; falls as LEVEL_IN does."""
    SOUNDED_AT = 48
    """Far position just behind the last frame louder than -60 dBFS that this lane played."""
    UNDERRUNS = 49
    """Times that a published, unfinished reply ran dry."""


class Playback(IntEnum):
    """What the callback does with the speaker ring."""

    PLAY = 0
    PAUSE = 1
    """Hold at the sample."""
    SILENT = 2
    """Consume at the real pace without sounding (Playbackactive 0): counts as heard."""


WRITERS: dict[Owner, tuple[frozenset[Device], frozenset[Lane]]] = {
    Owner.CONTROL: (
        frozenset({Device.MAGIC, Device.VERSION, Device.CONTROL_STAMP}),
        frozenset(w for w in Lane if w < Lane.SPEAKER_WRITE),
    ),
    Owner.NETWORK: (
        frozenset({Device.NETWORK_STAMP}),
        frozenset(w for w in Lane if Lane.SPEAKER_WRITE <= w < Lane.NEAR_WRITE),
    ),
    Owner.AUDIO: (
        frozenset({Device.AUDIO_STAMP, *(w for w in Device if w >= Device.CALLBACKS)}),
        frozenset(w for w in Lane if w >= Lane.NEAR_WRITE),
    ),
    Owner.INFERENCE: (frozenset({Device.INFERENCE_STAMP}), frozenset()),
    Owner.SCRIPTS: (frozenset({Device.SCRIPTS_STAMP}), frozenset()),
    Owner.TOOLS: (frozenset({Device.TOOLS_STAMP}), frozenset()),
    Owner.RECORDER: (frozenset({Device.RECORDER_STAMP}), frozenset()),
    Owner.CAMERA: (frozenset({Device.CAMERA_STAMP}), frozenset()),
}
"""Who writes what: the ownership table itself, checked by the tests."""


def stamp_word(owner: Owner) -> Device:
    """Return the liveness word of a process."""
    return Device[f"{owner.name}_STAMP"]


class Epoch(NamedTuple):
    """One start of a stream in one direction: the only bridge between frames and time.

    Frame f of this epoch passed the callback at about `mono_ns + (f - frame) / samplerate`. A later
    record of the same generation is no new start: it corrects the time, because the first blocks of
    a stream come late or in a heap, or because the card's crystal is not the machine's clock.
    Resamplers start anew when the generation changes, not when a record is added.
    """

    generation: int
    frame: int
    """Device frame (input or output counter) at which this epoch starts."""
    mono_ns: int
    """`Clock.mono_ns` at which that frame's block began."""
    samplerate: int
    blocksize: int
    input_latency: int
    """Frames between the microphone and the callback."""
    output_latency: int
    """Frames between the callback and the loudspeaker."""

    def frame_at(self, mono_ns: int) -> int:
        """Return the frame that passes the callback at `mono_ns`."""
        return self.frame + (mono_ns - self.mono_ns) * self.samplerate // 1_000_000_000

    def time_of(self, frame: int) -> int:
        """Return the time in ns at which `frame` passes the callback."""
        return self.mono_ns + (frame - self.frame) * 1_000_000_000 // self.samplerate


class Edge(NamedTuple):
    """The gate opened or closed exactly at near frame `frame`."""

    frame: int
    open: bool
    serial: int


_DEVICE_WORDS = 64
_LANE_WORDS = 64
_EPOCH_FIELDS = len(Epoch._fields)
_EDGE_FIELDS = len(Edge._fields)


def _view(segment: mmap.mmap) -> memoryview:
    return memoryview(segment)


class DeviceSegment:
    """The words and epoch logs of the sound card."""

    def __init__(self, fd: int) -> None:
        self._fence = Fence()
        whole = _view(map_segment(fd)).cast("q")
        self.words = whole[:_DEVICE_WORDS]
        log = EPOCHS * _EPOCH_FIELDS
        self._input = whole[_DEVICE_WORDS : _DEVICE_WORDS + log]
        self._output = whole[_DEVICE_WORDS + log : _DEVICE_WORDS + 2 * log]
        if self.words[Device.MAGIC] != MAGIC or self.words[Device.VERSION] != VERSION:
            raise ValueError("this is no device segment of this version of voiced")

    @classmethod
    def create(cls) -> tuple[int, DeviceSegment]:
        """Make a new device segment; return its descriptor and the mapping."""
        fd = create_segment("device", 8 * (_DEVICE_WORDS + 2 * EPOCHS * _EPOCH_FIELDS))
        words = _view(map_segment(fd)).cast("q")
        words[Device.MAGIC], words[Device.VERSION] = MAGIC, VERSION
        return fd, cls(fd)

    def stamp(self, owner: Owner, *, ahead_s: float = 0.0) -> None:
        """Say that `owner` is alive, and will not say so again for `ahead_s` seconds."""
        self.words[stamp_word(owner)] = stamp_ns() + int(ahead_s * 1e9)

    def age_s(self, owner: Owner) -> float:
        """Return the seconds since `owner` last stamped; infinite if it never did."""
        stamp: int = self.words[stamp_word(owner)]
        return (stamp_ns() - stamp) / 1e9 if stamp else float("inf")

    def append_epoch(self, direction: str, epoch: Epoch) -> None:
        """Append to the 'input' or 'output' epoch log; audio alone does."""
        log, count = self._log(direction)
        n: int = self.words[count]
        at = n % EPOCHS * _EPOCH_FIELDS
        for i, value in enumerate(epoch):
            log[at + i] = value
        publish(self.words, count, n + 1, self._fence)

    def epochs(self, direction: str) -> list[Epoch]:
        """Return the kept epochs of a direction, oldest first."""
        log, count = self._log(direction)
        n = observe(self.words, count, self._fence)
        return [
            Epoch(*log[i % EPOCHS * _EPOCH_FIELDS : (i % EPOCHS + 1) * _EPOCH_FIELDS])
            for i in range(max(0, n - EPOCHS), n)
        ]

    def epoch(self, direction: str, frame: int | None = None) -> Epoch | None:
        """Return the epoch that `frame` belongs to (None: the newest), if it is still known."""
        found = None
        for epoch in self.epochs(direction):
            if frame is None or epoch.frame <= frame:
                found = epoch
        return found

    def _log(self, direction: str) -> tuple[memoryview, Device]:
        if direction == "input":
            return self._input, Device.INPUT_EPOCHS
        return self._output, Device.OUTPUT_EPOCHS


class LaneSegment:
    """The words, the edge log and the three rings of one agent.

    Args:
        fd: the segment.
        read_only: whoever owns no word maps it so: a write raises TypeError.

    Attributes:
        near: microphone ring, mono, at the device's samplerate.
        far: this lane's own playout, same positions as near.
        speaker: replies at the device's samplerate, waiting to be played.
    """

    def __init__(self, fd: int, *, read_only: bool = False) -> None:
        self._fence = Fence()
        segment = _view(map_segment(fd, read_only=read_only))
        self.words = segment[: 8 * _LANE_WORDS].cast("q")
        if self.words[Lane.MAGIC] != MAGIC or self.words[Lane.VERSION] != VERSION:
            raise ValueError("this is no lane segment of this version of voiced")
        near, speaker = self.words[Lane.NEAR_CAPACITY], self.words[Lane.SPEAKER_CAPACITY]
        at = 8 * _LANE_WORDS
        self._edges = segment[at : at + 8 * EDGES * _EDGE_FIELDS].cast("q")
        at += 8 * EDGES * _EDGE_FIELDS
        rings = segment[at:].cast("h")
        self.near = Ring(rings[:near], self.words, Lane.NEAR_WRITE, Lane.NEAR_READ)
        self.far = Ring(rings[near : 2 * near], self.words, Lane.FAR_WRITE, Lane.FAR_READ)
        self.speaker = Ring(
            rings[2 * near : 2 * near + speaker], self.words, Lane.SPEAKER_WRITE, Lane.SPEAKER_READ
        )

    @classmethod
    def create(
        cls, samplerate: int, *, near_s: float = NEAR_S, speaker_s: float = SPEAKER_S
    ) -> tuple[int, LaneSegment]:
        """Make a new lane segment for a card of about `samplerate`; volume and gain are 1."""
        near, speaker = int(near_s * samplerate), int(speaker_s * samplerate)
        size = 8 * (_LANE_WORDS + EDGES * _EDGE_FIELDS) + 2 * (2 * near + speaker)
        fd = create_segment("lane", size)
        words = _view(map_segment(fd))[: 8 * _LANE_WORDS].cast("q")
        words[Lane.MAGIC], words[Lane.VERSION] = MAGIC, VERSION
        words[Lane.NEAR_CAPACITY], words[Lane.SPEAKER_CAPACITY] = near, speaker
        words[Lane.VOLUME] = words[Lane.MICGAIN] = MILLION
        return fd, cls(fd)

    def get(self, word: Lane) -> int:
        """Observe a word."""
        return observe(self.words, word, self._fence)

    def put(self, word: Lane, value: int) -> None:
        """Publish a word; only its writer may."""
        publish(self.words, word, value, self._fence)

    @property
    def gate(self) -> tuple[bool, int]:
        """Whether control wants the gate open, and the serial of that wish."""
        word = self.get(Lane.GATE)
        return bool(word & 1), word >> 1

    def set_gate(self, is_open: bool) -> int:
        """Ask for the gate to open or close at the next block; control alone. Return the serial."""
        serial = (self.get(Lane.GATE) >> 1) + 1
        self.put(Lane.GATE, (serial << 1) | is_open)
        return serial

    def append_edge(self, edge: Edge) -> None:
        """Append to the edge log; audio alone does."""
        n: int = self.words[Lane.EDGE_COUNT]
        at = n % EDGES * _EDGE_FIELDS
        self._edges[at] = edge.frame
        self._edges[at + 1] = int(edge.open)
        self._edges[at + 2] = edge.serial
        self.put(Lane.EDGE_COUNT, n + 1)

    def edges_since(self, count: int) -> Iterator[tuple[int, Edge]]:
        """Yield (number, edge) of the kept edges from number `count` on.

        A reader that fell more than EDGES behind misses the oldest; the last one always tells how
        the gate stands.
        """
        n = self.get(Lane.EDGE_COUNT)
        for i in range(max(count, n - EDGES + 1, 0), n):
            at = i % EDGES * _EDGE_FIELDS
            frame, is_open, serial = self._edges[at : at + _EDGE_FIELDS]
            yield i, Edge(frame, bool(is_open), serial)
