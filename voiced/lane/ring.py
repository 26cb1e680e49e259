"""A ring of int16 samples in shared memory between one writer and one reader.

Positions are absolute frame numbers that only grow; position modulo capacity is the place. The
writer stores samples, then publishes the write position; the reader observes it, then loads
samples. The ring knows no clock and no overflow policy: near and far rings are written whatever
the reader does (a reader that fell behind by more than the ring sees `lapped`), the speaker ring's
writer looks at `free` first.

Memory order. x86 keeps stores in order by itself. arm64 does not, so `Fence` puts a release and an
acquire between payload and counter: releasing and re-acquiring an uncontended lock is a
store-release followed by a load-acquire of the same word, which ARMv8 keeps in order with each
other (RCsc: `[L]; po; [A]`), with everything before the first and everything after the second.
CPython's lock is a POSIX semaphore (3.11, 3.12) or a sequentially consistent atomic byte (3.13 on);
both carry these. Run on x86-64; on arm64 this rests on the argument, not on a measurement.
"""

from __future__ import annotations

import _thread


class Fence:
    """A two-way memory barrier made of a private lock.

    Each thread needs a fence of its own: one shared by two threads could be released twice.
    """

    __slots__ = ("_acquire", "_release")

    def __init__(self) -> None:
        lock = _thread.allocate_lock()
        lock.acquire()
        self._acquire, self._release = lock.acquire, lock.release

    def __call__(self) -> None:
        """Order every load and store before this call before every one after it."""
        self._release()
        self._acquire()


def publish(words: memoryview, index: int, value: int, fence: Fence) -> None:
    """Store `value` so that whoever observes it also sees everything stored before."""
    fence()
    words[index] = value


def observe(words: memoryview, index: int, fence: Fence) -> int:
    """Load a word so that everything its writer stored before publishing it is seen after."""
    value: int = words[index]
    fence()
    return value


LAP_MARGIN = 8192
"""Frames a writer may be storing ahead of what it has published: no block is longer."""


class Ring:
    """One ring: its samples and the two words that count its frames.

    Attributes:
        samples: all `capacity` int16 samples, as a memoryview of format 'h'.
        capacity: frames it holds.
    """

    __slots__ = ("_fence", "_read", "_words", "_write", "capacity", "samples")

    def __init__(self, samples: memoryview, words: memoryview, write: int, read: int) -> None:
        self.samples = samples
        self.capacity = len(samples)
        self._words, self._write, self._read = words, write, read
        self._fence = Fence()

    @property
    def write_position(self) -> int:
        """First frame not yet written."""
        return observe(self._words, self._write, self._fence)

    @property
    def read_position(self) -> int:
        """First frame not yet taken by the reader."""
        return observe(self._words, self._read, self._fence)

    def publish_write(self, position: int) -> None:
        """Let the reader have everything before `position`; the writer alone calls this."""
        publish(self._words, self._write, position, self._fence)

    def publish_read(self, position: int) -> None:
        """Give back everything before `position`; the reader alone calls this."""
        publish(self._words, self._read, position, self._fence)

    @property
    def available(self) -> int:
        """Frames written and not yet read."""
        return self.write_position - self.read_position

    def free(self, position: int) -> int:
        """Frames that can be stored from `position` on without touching what is unread."""
        return self.capacity - (position - self.read_position)

    def lapped(self, position: int) -> bool:
        """Tell whether the writer may already have overwritten `position`.

        A reader asks after copying: what it copied is whole only when this is False then.
        """
        return self.write_position - position > self.capacity - LAP_MARGIN

    def spans(self, position: int, frames: int) -> tuple[slice, slice]:
        """Return the one or two slices of `samples` that hold `frames` from `position` on."""
        start = position % self.capacity
        first = min(frames, self.capacity - start)
        return slice(start, start + first), slice(0, frames - first)

    def store(self, position: int, samples: memoryview) -> None:
        """Store int16 samples from `position` on; the caller publishes afterwards."""
        head, tail = self.spans(position, len(samples))
        cut = head.stop - head.start
        self.samples[head] = samples[:cut]
        if tail.stop:
            self.samples[tail] = samples[cut:]

    def load(self, position: int, frames: int) -> bytes:
        """Return a copy of `frames` from `position` on, as native int16 bytes."""
        head, tail = self.spans(position, frames)
        return bytes(self.samples[head]) + bytes(self.samples[tail])
