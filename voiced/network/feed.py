"""What of the microphone a side channel is sent: a pump that leaves out instead of catching up.

The same edges, the same guard and the same resampler as the pump's; but a side channel is live or
it is nothing, so what it could not take within a second is left out.
"""

from __future__ import annotations

import numpy as np

from voiced.lane.words import Lane
from voiced.network.pump import Guard, Source
from voiced.network.resample import Resampler, Samples
from voiced.network.upload import Closed, Opened, Rules, SampleMap, Skipped, Stretch, Upload, Wait

RATE = 16000
CHUNK_MS = 100
KEEP_S = 1.0
"""Speech older than this is left out."""
TRAIL_S = 1.0
"""Silence behind a closing gate, for a service that ends an utterance by silence alone."""
NEVER_DUE = 1 << 62

_CHUNK = 2 * RATE * CHUNK_MS // 1000


class Feed:
    """One session's walk along near, in chunks of int16 little-endian mono at RATE.

    Args:
        source: where it comes from; not shared, its logs are read from their beginning.

    Attributes:
        samples: from the session's samples to near frames.
    """

    def __init__(self, source: Source) -> None:
        self.samples = SampleMap(RATE)
        self._source, self._guard = source, Guard(source)
        position = source.write()
        rules = Rules(False, 0, position, lambda start, stop: False)
        self._upload = Upload(position, source.new_edges(), rules)
        self._upload.learn((), source.new_epochs())
        self._resampler: Resampler | None = None
        self._pending = bytearray()
        self._produced = 0

    @property
    def due(self) -> int:
        """Near frame from which there is another chunk, while the gate is open."""
        rate = self._source.near_rate(self._upload.position)
        if not (self._upload.sending and rate):
            return NEVER_DUE
        frames = (_CHUNK - len(self._pending)) // 2 * rate // RATE
        return self._upload.position + max(1, frames)

    def is_worth(self, due: int) -> bool:
        """Tell whether an edge was appended, or near has come as far as `due`."""
        return self._source.has_news() or self._source.reach() >= due

    def take(self) -> bytes:
        """Return the next chunk; b"" = there is none yet."""
        while len(self._pending) < _CHUNK and self._step():
            pass
        if len(self._pending) < _CHUNK and self._upload.sending:
            return b""
        chunk = bytes(self._pending[:_CHUNK])
        del self._pending[:_CHUNK]
        return chunk

    def _step(self) -> bool:
        """Go a step along near; False = there is nothing more."""
        source, upload = self._source, self._upload
        # The reach first: then the logs are complete up to it.
        reach, write = source.reach(), source.write()
        upload.learn(source.new_edges(), source.new_epochs())
        rate = source.near_rate(upload.position)
        if not rate:
            return False
        if write - upload.position > KEEP_S * rate:
            upload.trim(write, int(KEEP_S * rate))
        match upload.next(reach, source.oldest(write), rate * CHUNK_MS // 1000):
            case Wait():
                return False
            case Stretch() as stretch:
                self._read(stretch, rate)
            case Closed(frame):
                self._finish()
                self.samples.anchor(self._produced, frame, 0)
                self._add(np.zeros(int(TRAIL_S * RATE), np.int16))
            case Opened() | Skipped():
                pass
        return True

    def _read(self, stretch: Stretch, rate: int) -> None:
        ring = self._source.lane.near
        near = np.frombuffer(ring.load(stretch.start, stretch.stop - stretch.start), np.int16)
        if ring.lapped(stretch.start):
            near = np.zeros_like(near)
        if self._source.lane.get(Lane.GUARD):
            near = self._guard.apply(stretch.start, near, rate)
        if stretch.fresh or self._resampler is None:
            self._finish()
            self._resampler = Resampler(rate, RATE)
            self.samples.anchor(self._produced, stretch.start, rate)
        self._add(self._resampler.process(near))

    def _finish(self) -> None:
        if self._resampler is not None:
            self._add(self._resampler.finish())
            self._resampler = None

    def _add(self, samples: Samples) -> None:
        self._pending += samples.astype("<i2", copy=False).tobytes()
        self._produced += len(samples)
