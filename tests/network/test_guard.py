"""The guard, against the rule spelled out frame by frame."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.network.guard import NEVER, guarded, sounds


def rule(far: list[int], hold: int) -> list[bool]:
    """Frame n is silenced if any frame from n - hold to n sounds."""
    return [any(abs(far[k]) > 33 for k in range(max(0, n - hold), n + 1)) for n in range(len(far))]


@settings(max_examples=100, deadline=None)
@given(
    far=st.lists(st.sampled_from([0, 33, -33, 34, -34, 32767, -32768]), max_size=60),
    hold=st.integers(0, 20),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    start=st.integers(0, 10_000),
)
def test_it_is_the_rule_however_it_is_cut(far, hold, cuts, start):
    borders = sorted({0, len(far), *(cut for cut in cuts if cut < len(far))})
    last, got = NEVER, []
    for a, b in zip(borders, borders[1:], strict=False):
        mask, last = guarded(np.array(far[a:b], np.int16), last, start + a, hold)
        got += mask.tolist()
    assert got == rule(far, hold)


def test_the_loudest_negative_sample_sounds():
    assert sounds(np.array([0, -32768], np.int16))
    assert not sounds(np.array([33, -33], np.int16))
