"""The pump of one leg: near ring -> guard -> resampler -> provider.

It wakes when audio has appended, asks `Upload` what is to be done, and does it a chunk at a time.
While the provider does not take, it does not read: the ring is the only queue, and at most one
chunk and the resampler's millisecond are outside it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy as np

from voiced.lane.ring import LAP_MARGIN
from voiced.lane.seam import Clock
from voiced.lane.words import Device, DeviceSegment, Edge, Epoch, Lane, LaneSegment
from voiced.network.guard import HOLD_S, NEVER, guarded, sounds
from voiced.network.resample import Resampler, Samples, count_out
from voiced.network.speech import speaks
from voiced.network.upload import (
    Closed,
    Opened,
    Pace,
    Rules,
    SampleMap,
    Skipped,
    Slipped,
    Step,
    Stretch,
    Upload,
    Wait,
)

APPEND_MS = 10
"""Shortest chunk within a turn where the provider wishes none: what a wake-up is worth."""
CHUNK_MS = 100
"""Longest chunk: with one of them on its way, less than 200 ms are outside the ring."""
_NEVER = 1 << 62
FAR_LAG_S = 0.05
"""Far may be this much behind near before what is missing of it counts as silent."""


class Sink(Protocol):
    """What the pump speaks to: its leg."""

    async def take_chunk(self, chunk: bytes) -> None:
        """Give a chunk to the provider; returns when it was taken."""

    async def take_edge(self, frame: int, is_open: bool) -> None:
        """The gate opened or closed at `frame`, between two chunks."""

    def heard(self, start: int, near: Samples, rate: int) -> None:
        """These frames of near are on their way to the provider."""

    def skipped(self, seconds: float, to_frame: int, lapped: bool) -> None:
        """Speech up to `to_frame` was not sent."""

    def slipped(self, seconds: float) -> None:
        """Talk was held for so long, and nobody spoke: nothing was sent."""


class Source:
    """What the pump reads: one lane and the device, with what it has learned of their logs."""

    def __init__(self, lane: LaneSegment, device: DeviceSegment) -> None:
        self.lane, self.device = lane, device
        self._edges = 0
        self._epoch_count = self._generation = 0
        self._epochs: dict[str, tuple[int, list[Epoch]]] = {}

    def write(self) -> int:
        """First near frame not yet written. Read it before the logs: then they are complete."""
        return self.lane.near.write_position

    def reach(self) -> int:
        """First near frame that cannot be sent yet: with the guard on, far has to be there too.

        What silences a frame of near is the far of that frame. Where far does not come (no output)
        nothing sounds, and near goes on after FAR_LAG_S.
        """
        write = self.write()
        if not self.lane.words[Lane.GUARD]:
            return write
        far = self.lane.far.write_position
        return min(write, max(far, write - int(FAR_LAG_S * self.near_rate(write))))

    def new_edges(self) -> list[Edge]:
        """Return the edges appended since the last call."""
        found = list(self.lane.edges_since(self._edges))
        if found:
            self._edges = found[-1][0] + 1
        return [edge for _, edge in found]

    def new_epochs(self) -> list[int]:
        """Return the first frames of the input epochs begun since the last call."""
        # An epoch appended just now may be seen already; then it is news once more, and old.
        self._epoch_count = self.device.words[Device.INPUT_EPOCHS]
        epochs = [e for e in self._known("input") if e.generation > self._generation]
        if epochs:
            self._generation = epochs[-1].generation
        return [epoch.frame for epoch in epochs]

    def has_news(self) -> bool:
        """Whether edges or epochs were appended since they were last asked for."""
        words = self.device.words
        return (
            self.lane.words[Lane.EDGE_COUNT] != self._edges
            or words[Device.INPUT_EPOCHS] != self._epoch_count
        )

    def near_rate(self, frame: int) -> int:
        """Samplerate of near at `frame`; 0 before the first stream."""
        epoch = self.epoch("input", frame)
        return epoch.samplerate if epoch else 0

    def oldest(self, write: int) -> int:
        """Oldest near frame that is safe to read."""
        return max(0, write - self.lane.near.capacity + LAP_MARGIN)

    def echo_delay(self, frame: int) -> int:
        """Frames from a far frame passing the callback to its sound passing it again, in near."""
        played = self.epoch("output")
        heard = self.epoch("input", frame)
        if played is None or heard is None:
            return 0
        output = played.output_latency * heard.samplerate // played.samplerate
        return output + heard.input_latency

    def epoch(self, direction: str, frame: int | None = None) -> Epoch | None:
        """Return the epoch of a frame (None: the newest); a frame too old has the oldest kept."""
        epochs = self._known(direction)
        found = epochs[0] if epochs else None
        for epoch in epochs:
            if frame is None or epoch.frame <= frame:
                found = epoch
        return found

    def _known(self, direction: str) -> list[Epoch]:
        """The epoch log, read again only when it has grown."""
        word = Device.INPUT_EPOCHS if direction == "input" else Device.OUTPUT_EPOCHS
        count: int = self.device.words[word]
        known = self._epochs.get(direction)
        if known is None or known[0] != count:
            known = self._epochs[direction] = count, self.device.epochs(direction)
        return known[1]

    def far(self, start: int, stop: int) -> Samples:
        """This lane's playout between two frames; what is not there (yet, any more) is silence.

        Far positions are near positions on every device: on a duplex stream by construction, on
        two streams because audio keeps them in step by counter.
        """
        ring = self.lane.far
        write = ring.write_position
        first = max(start, write - ring.capacity + LAP_MARGIN, 0)
        last = max(first, min(stop, write))
        kept = np.frombuffer(ring.load(first, last - first), np.int16)
        return np.pad(kept, (first - start, stop - last))

    def speaks(self, start: int, stop: int) -> bool:
        """Whether somebody speaks in these frames of near; what is not there any more does."""
        ring, rate = self.lane.near, self.near_rate(start)
        begin = max(start - rate, self.oldest(self.write()), 0)
        if not rate or begin > start:
            return True
        near = np.frombuffer(ring.load(begin, stop - begin), np.int16)
        return ring.lapped(begin) or speaks(near, start - begin, rate)

    def sounds(self, start: int, stop: int) -> bool:
        """Whether this lane's loudspeaker sounded, or its echo could be heard, in these frames."""
        hold = int(HOLD_S * self.near_rate(stop))
        begin = max(0, start - self.echo_delay(stop) - hold)
        return sounds(self.far(begin, max(begin, stop)))


class Guard:
    """Silences near where the loudspeaker sounds; looks at every far frame once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next = -1
        self._last_sounding = NEVER

    def apply(self, start: int, near: Samples, rate: int) -> Samples:
        """Return `near`, which begins at frame `start`, with guarded frames silenced.

        A sounding far frame silences near from itself to its echo (the streams' own latencies) and
        HOLD_S on.
        """
        hold = int(HOLD_S * rate) + self._source.echo_delay(start)
        if self._next != start:
            self._last_sounding = NEVER
            begin = max(0, start - hold)
            _, self._last_sounding = guarded(self._source.far(begin, start), NEVER, begin, hold)
        stop = start + len(near)
        mask, self._last_sounding = guarded(
            self._source.far(start, stop), self._last_sounding, start, hold
        )
        self._next = stop
        return np.where(mask, np.int16(0), near)


class Pump:
    """Sends what one leg may send; `run` ends only by cancellation or the provider's error.

    Attributes:
        samples: from provider samples to near frames.
        seconds_sent: what the provider has taken.
        paused: nothing leaves while control does not stamp.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        clock: Clock,
        *,
        rate: int,
        frame_ms: int | None,
        catchup_pace: float,
        trailing_silence_ms: int,
    ) -> None:
        self.samples = SampleMap(rate)
        self.samples_sent = 0
        self.paused = False
        self._source, self._sink, self._clock, self._rate = source, sink, clock, rate
        self._chunk = rate * frame_ms // 1000 if frame_ms else 0
        self._pace = Pace(catchup_pace)
        self._silence = trailing_silence_ms
        self._guard = Guard(source)
        self._upload: Upload | None = None
        self._wake = asyncio.Event()
        self._due = 0
        """Near frame from which there is something to send; edges and epochs are due at once."""
        self._resampler: Resampler | None = None
        self._pending = bytearray()
        self._produced = 0
        self._short = 0
        """By how much the next chunk is shorter than the others, samples."""

    @property
    def seconds_sent(self) -> float:
        """Seconds of audio the provider has taken."""
        return self.samples_sent / self._rate

    def start(self, position: int, rules: Rules) -> None:
        """Begin at `position`; nothing is read before `run`."""
        self._source.write()
        self._upload = Upload(position, self._source.new_edges(), rules)
        self._upload.learn((), self._source.new_epochs())

    def appended(self) -> None:
        """Audio has appended: wake up if that is worth it. Most wake-ups end here."""
        if self._wake.is_set():
            return
        source = self._source
        reach = source.reach()
        if source.has_news() or reach >= self._due:
            self._wake.set()
        elif self._upload is not None and not (self._upload.sending or self._upload.listening):
            source.lane.put(Lane.NEAR_READ, reach)

    def pause(self, paused: bool) -> None:
        """Hold the upload, or let it go on."""
        if self.paused != paused:
            self.paused = paused
            self._wake.set()

    def begin_turn(self, frame: int) -> None:
        """The user's turn began at `frame`, before the gate could open."""
        assert self._upload is not None
        self._upload.begin_turn(frame)

    def end_turn(self, frame: int) -> None:
        """The user's turn ended at `frame`, and no edge says so."""
        if self._upload is not None:
            self._upload.end_turn(frame)
            self._wake.set()

    async def run(self, keep_s: float) -> None:
        """Send until cancelled; first drop what is older than `keep_s`."""
        assert self._upload is not None
        upload, source = self._upload, self._source
        write = self._observe(upload)
        self._tell(upload.trim(write, int(keep_s * source.near_rate(write))))
        while True:
            self._observe(upload)
            rate = source.near_rate(upload.position)
            match await self._next(upload, rate):
                case Wait():
                    # Everything before the position was taken by the provider, or is not for it.
                    source.lane.put(Lane.NEAR_READ, upload.position)
                    await self._sleep(upload, rate)
                case Stretch() as stretch:
                    await self._send(stretch, rate)
                    source.lane.put(Lane.NEAR_READ, stretch.stop)
                case Opened(frame):
                    await self._sink.take_edge(frame, True)
                case Closed(frame):
                    await self._finish_run(whole=True)
                    await self._trail(frame)
                    await self._sink.take_edge(frame, False)
                case Slipped(start, stop):
                    self._sink.slipped((stop - start) / rate)
                case Skipped() as skipped:
                    self._tell(skipped)

    async def _sleep(self, upload: Upload, rate: int) -> None:
        """Wait for an edge, or for as many frames as are worth a chunk."""
        self._wake.clear()
        self._due = _NEVER
        if upload.sending and not self.paused:
            wanted = self._chunk - self._short - len(self._pending) // 2 if self._chunk else 0
            frames = -(-wanted * rate // self._rate) or rate * APPEND_MS // 1000
            self._due = upload.position + max(1, frames)
        elif upload.listening and not self.paused:
            self._due = self._source.reach() + rate * APPEND_MS // 1000
        # What came while the last chunk was sent has set no wake-up.
        self.appended()
        await self._wake.wait()

    async def _next(self, upload: Upload, rate: int) -> Step:
        if self.paused or not rate:
            return Wait()
        await self._keep_pace(upload, self._source.reach(), rate)
        # Read again, and the edges after it: time has passed, and the logs must be complete.
        reach, write = self._source.reach(), self._observe(upload)
        return upload.next(reach, self._source.oldest(write), rate * CHUNK_MS // 1000)

    def _observe(self, upload: Upload) -> int:
        write = self._source.write()
        upload.learn(self._source.new_edges(), self._source.new_epochs())
        return write

    async def _keep_pace(self, upload: Upload, write: int, rate: int) -> None:
        if not upload.sending:
            return
        now = self._clock.mono_ns() / 1e9
        wait = self._pace.due_s(now, (write - upload.position) / rate) - now
        if wait > 0:
            await asyncio.sleep(self._clock.real_s(wait))

    async def _send(self, step: Stretch, rate: int) -> None:
        ring = self._source.lane.near
        near = np.frombuffer(ring.load(step.start, step.stop - step.start), np.int16)
        if ring.lapped(step.start):
            # Overwritten while it was copied: the next step finds the position lapped and tells.
            near = np.zeros_like(near)
        if self._source.lane.get(Lane.GUARD):
            near = self._guard.apply(step.start, near, rate)
        self._sink.heard(step.start, near, rate)
        if step.fresh or self._resampler is None:
            await self._finish_run(whole=False)
            self._resampler = Resampler(rate, self._rate)
            self.samples.anchor(self._produced, step.start, rate)
            self._add(self._resampler.process(near))
            self._short = self._held_back(self._resampler)
        else:
            self._add(self._resampler.process(near))
        self._pace.sent((step.stop - step.start) / rate)
        await self._drain(whole=False)

    def _held_back(self, resampler: Resampler) -> int:
        """Return by how much a run's first chunk is shorter, so that none waits for a block.

        What the resampler keeps to itself of a block would have every chunk of whole blocks leave
        a block late. A millisecond more, because what it keeps varies by a sample.
        """
        if not self._chunk or resampler.rate_in == resampler.rate_out:
            return 0
        held = count_out(resampler.taken, resampler.rate_in, resampler.rate_out) - resampler.given
        return min(held + self._rate // 1000, self._chunk // 2)

    async def _finish_run(self, *, whole: bool) -> None:
        """Push out what the resampler holds; `whole`: the rest of a chunk too."""
        if self._resampler is not None:
            self._add(self._resampler.finish())
            self._resampler = None
        await self._drain(whole=whole)

    async def _trail(self, frame: int) -> None:
        """Send the silence that a service without turn signals needs, no faster than it takes."""
        left = self._silence * self._rate // 1000
        if left:
            self.samples.anchor(self._produced, frame, 0)
            self._add(np.zeros(left, np.int16))
            await self._drain(whole=True)

    def _add(self, samples: Samples) -> None:
        self._pending += samples.astype("<i2", copy=False).tobytes()
        self._produced += len(samples)

    async def _drain(self, *, whole: bool) -> None:
        longest = self._chunk or self._rate * CHUNK_MS // 1000
        while self._pending:
            size = 2 * (longest - self._short)
            if self._chunk and not whole and len(self._pending) < size:
                break
            chunk = bytes(self._pending[:size])
            del self._pending[:size]
            self._short = 0
            await self._sink.take_chunk(chunk)
            self.samples_sent += len(chunk) // 2
            # A socket with room takes at once and lets nobody else run; a long backlog must.
            await asyncio.sleep(0)

    def _tell(self, skipped: Skipped | None) -> None:
        if skipped is not None:
            rate = self._source.near_rate(skipped.to_frame) or 1
            self._sink.skipped(skipped.frames / rate, skipped.to_frame, skipped.lapped)
