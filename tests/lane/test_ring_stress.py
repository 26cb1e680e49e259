"""The ring between two programs: a short run of `python -m tests.lane.ring_stress`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.lane import ring_stress
from voiced.lane.seam import create_segment

FRAMES = int(os.environ.get("VOICED_STRESS_FRAMES", "3000000"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("portable", [False, True], ids=["linux", "portable"])
def test_nothing_is_lost_torn_or_repeated_while_writers_are_killed(portable):
    told = ring_stress.stress(FRAMES, kills=5 if FRAMES < 10**8 else 20, portable=portable)
    assert told["killed"] >= 3
    assert told["skipped"] == 0


@pytest.mark.timeout(900)
def test_what_a_slow_reader_accepts_is_right_though_the_writer_never_waits():
    told = ring_stress.stress(FRAMES, kills=2, ruthless=True)
    assert told["skipped"] < FRAMES


def test_the_stress_sees_a_sample_of_the_lap_before():
    # The test of the test: a ring in which one sample was never overwritten.
    fd = create_segment("stress", 8 * ring_stress.WORDS + 2 * ring_stress.CAPACITY)
    try:
        ring, _ = ring_stress.attach(fd)
        at = 7 * ring_stress.CAPACITY
        ring.store(at, memoryview(ring_stress.payload(at, 1000)))
        ring.samples[500] = int(ring_stress.payload(at + 500 - ring_stress.CAPACITY, 1)[0])
        got = np.frombuffer(ring.load(at, 1000), np.int16)
        wrong = np.flatnonzero(got != ring_stress.payload(at, 1000))
        assert wrong.tolist() == [500]
    finally:
        os.close(fd)
