"""The ring against a model: a growing list of everything ever written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voiced.lane.ring import LAP_MARGIN, Fence, Ring, observe, publish


class RingModel(RuleBasedStateMachine):
    """A writer that respects `free` and a reader, any interleaving, a prime capacity."""

    CAPACITY = 101

    def __init__(self):
        super().__init__()
        words = memoryview(bytearray(16)).cast("q")
        samples = memoryview(bytearray(2 * self.CAPACITY)).cast("h")
        self.writer = Ring(samples, words, 0, 1)
        self.reader = Ring(samples, words, 0, 1)
        self.written: list[int] = []
        self.stored = 0
        self.taken = 0

    @rule(count=st.integers(0, 101))
    def store_and_publish(self, count):
        at = self.writer.write_position
        count = min(count, self.writer.free(at))
        new = [(at + i) % 30011 - 15000 for i in range(count)]
        self.writer.store(at, memoryview(np.array(new, np.int16)))
        self.writer.publish_write(at + count)
        self.written += new

    @rule(count=st.integers(0, 40))
    def store_without_publishing(self, count):
        at = self.writer.write_position
        count = min(count, self.writer.free(at))
        self.writer.store(at, memoryview(np.full(count, 32000, np.int16)))

    @rule(count=st.integers(0, 101))
    def take(self, count):
        count = min(count, self.reader.available)
        at = self.reader.read_position
        got = np.frombuffer(self.reader.load(at, count), np.int16).tolist()
        assert got == self.written[at : at + count]
        self.reader.publish_read(at + count)
        self.taken += count

    @precondition(lambda self: self.writer.available == self.CAPACITY)
    @rule()
    def a_full_ring_has_no_room(self):
        assert self.writer.free(self.writer.write_position) == 0

    @invariant()
    def positions_count(self):
        assert self.reader.write_position == len(self.written)
        assert self.reader.read_position == self.taken
        assert self.reader.available == len(self.written) - self.taken
        assert 0 <= self.reader.available <= self.CAPACITY


RingModel.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestRingModel = RingModel.TestCase


def ring(capacity):
    words = memoryview(bytearray(16)).cast("q")
    return Ring(memoryview(bytearray(2 * capacity)).cast("h"), words, 0, 1)


def test_a_reader_that_fell_behind_is_told_before_its_frames_are_overwritten():
    near = ring(3 * LAP_MARGIN)
    near.publish_write(2 * LAP_MARGIN)
    assert not near.lapped(0)
    near.publish_write(2 * LAP_MARGIN + 1)
    assert near.lapped(0)
    assert not near.lapped(1)


def test_spans_meet_at_the_end_of_the_ring():
    assert ring(100).spans(95, 10) == (slice(95, 100), slice(0, 5))
    assert ring(100).spans(95, 5) == (slice(95, 100), slice(0, 0))
    assert ring(100).spans(300, 100) == (slice(0, 100), slice(0, 0))


def test_positions_beyond_32_bits_are_kept():
    far = ring(97)
    far.publish_write(1 << 45)
    assert far.write_position == 1 << 45


def test_a_fence_is_not_shared():
    fence = Fence()
    fence()
    words = memoryview(bytearray(8)).cast("q")
    publish(words, 0, 7, fence)
    assert observe(words, 0, fence) == 7
    with pytest.raises(RuntimeError):
        fence._acquire(False) or fence._release() or fence._release()
