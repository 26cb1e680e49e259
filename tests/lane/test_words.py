"""The layout of shared memory: one writer a word, logs, and the mapping from two sides."""

from __future__ import annotations

import os
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.lane import words
from voiced.lane.ring import LAP_MARGIN
from voiced.lane.words import (
    EDGES,
    EPOCHS,
    WRITERS,
    Device,
    DeviceSegment,
    Edge,
    Epoch,
    Lane,
    LaneSegment,
    Owner,
    stamp_word,
)


@pytest.fixture
def device():
    fd, segment = DeviceSegment.create()
    yield fd, segment
    os.close(fd)


@pytest.fixture
def lane():
    fd, segment = LaneSegment.create(48000, near_s=1, speaker_s=1)
    yield fd, segment
    os.close(fd)


def test_no_word_has_two_writers():
    for one, other in combinations(Owner, 2):
        for mine, theirs in zip(WRITERS[one], WRITERS[other], strict=True):
            assert not mine & theirs, (one, other)


def test_every_word_has_a_writer():
    assert frozenset().union(*(device for device, _ in WRITERS.values())) == set(Device)
    assert frozenset().union(*(lane for _, lane in WRITERS.values())) == set(Lane)


def test_every_word_has_a_place_of_its_own_inside_the_segment():
    for kind, size in ((Device, words._DEVICE_WORDS), (Lane, words._LANE_WORDS)):
        # An IntEnum makes a second name of the same number an alias, which iteration leaves out.
        assert len(kind) == len(kind.__members__)
        assert all(0 <= word < size for word in kind)


def test_every_process_stamps_its_own_word():
    assert len({stamp_word(owner) for owner in Owner}) == len(Owner)
    for owner in Owner:
        assert stamp_word(owner) in WRITERS[owner][0]


def test_what_one_mapping_writes_the_other_reads(lane):
    fd, ours = lane
    theirs = LaneSegment(fd)
    for number, word in enumerate(w for w in Lane if w > Lane.SPEAKER_CAPACITY):
        ours.put(word, -(1 << 60) + number)
        assert theirs.get(word) == -(1 << 60) + number


def test_the_three_rings_share_no_sample(lane):
    _, segment = lane
    rings = (segment.near, segment.far, segment.speaker)
    for number, ring in enumerate(rings, 1):
        ring.samples[0] = ring.samples[ring.capacity - 1] = number
    for number, ring in enumerate(rings, 1):
        assert (ring.samples[0], ring.samples[ring.capacity - 1]) == (number, number)
        assert ring.capacity == 48000


def test_a_new_lane_plays_at_full_volume_behind_a_closed_gate(lane):
    _, segment = lane
    assert segment.gate == (False, 0)
    assert segment.get(Lane.VOLUME) == segment.get(Lane.MICGAIN) == words.MILLION


def test_each_wish_for_the_gate_has_a_serial_of_its_own(lane):
    _, segment = lane
    assert [segment.set_gate(wish) for wish in (True, False, False, True)] == [1, 2, 3, 4]
    assert segment.gate == (True, 4)


def test_foreign_memory_is_refused():
    from voiced.lane.seam import create_segment

    fd = create_segment("foreign", 1 << 20)
    try:
        with pytest.raises(ValueError, match="device segment"):
            DeviceSegment(fd)
        with pytest.raises(ValueError, match="lane segment"):
            LaneSegment(fd)
    finally:
        os.close(fd)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=2 * EDGES), st.integers(0, 2 * EDGES))
def test_the_edge_log_tells_the_kept_edges_since_any_number(opens, since):
    fd, segment = LaneSegment.create(8000, near_s=0.01, speaker_s=0.01)
    try:
        edges = [Edge(10 * n, is_open, n + 1) for n, is_open in enumerate(opens)]
        for edge in edges:
            segment.append_edge(edge)
        told = list(LaneSegment(fd).edges_since(since))
        first = max(since, len(edges) - EDGES + 1, 0)
        assert told == [(n, edges[n]) for n in range(first, len(edges))]
    finally:
        os.close(fd)


def epoch(generation, frame, mono_ns=0):
    return Epoch(generation, frame, mono_ns, 48000, 128, 0, 0)


def test_the_epoch_log_keeps_the_last_and_finds_the_one_of_a_frame(device):
    fd, segment = device
    other = DeviceSegment(fd)
    assert other.epoch("input") is None
    for n in range(EPOCHS + 5):
        segment.append_epoch("input", epoch(n, 1000 * n))
    assert len(other.epochs("input")) == EPOCHS
    assert other.epoch("input").generation == EPOCHS + 4
    assert other.epoch("input", 10_500).generation == 10
    assert other.epoch("input", 0) is None
    assert other.epochs("output") == []


@settings(deadline=None)
@given(st.integers(0, 1 << 50), st.integers(0, 1 << 55), st.integers(-(10**9), 10**9))
def test_frames_and_time_convert_there_and_back(frame, mono_ns, frames):
    start = epoch(1, frame, mono_ns)
    assert abs(start.frame_at(start.time_of(frame + frames)) - (frame + frames)) <= 1


def test_ages_are_counted_from_the_stamp(device):
    _, segment = device
    assert segment.age_s(Owner.AUDIO) == float("inf")
    segment.stamp(Owner.AUDIO)
    assert 0 <= segment.age_s(Owner.AUDIO) < 5
    assert segment.age_s(Owner.NETWORK) == float("inf")


def test_a_block_is_never_longer_than_the_margin_for_laps():
    from voiced.audio.callback import MAX_BLOCK

    assert MAX_BLOCK <= LAP_MARGIN
