"""How often a model may call, over any times at which it does."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from voiced.mind.rate import MINUTE, Rate

STEPS = st.lists(st.integers(0, MINUTE), max_size=200)


def most_in_a_minute(times: list[int]) -> int:
    return max((bisect_right(times, t + MINUTE - 1) - at for at, t in enumerate(times)), default=0)


@given(STEPS, st.integers(1, 8))
def test_no_minute_has_more_calls_than_may_be_and_none_is_refused_too_early(
    steps: list[int], most: int
) -> None:
    rate, now, taken = Rate(), 0, []
    for step in steps:
        now += step
        before = sum(1 for t in taken if t > now - MINUTE)
        assert rate.take(now, most) == (before < most)
        if before < most:
            taken.append(now)
    assert most_in_a_minute(taken) <= most


@given(STEPS)
def test_one_refusal_a_minute_is_told_at_once_and_the_others_wait_for_its_end(
    steps: list[int],
) -> None:
    rate, now, told = Rate(), 0, []
    for step in steps:
        now += step
        until = rate.held_until(now)
        assert (until is None) == (not told or now >= told[-1] + MINUTE)
        if until is None:
            assert rate.refuse(now)
            assert not rate.refuse(now), "another one in the same moment is none of its own"
            told.append(now)
        else:
            assert until == told[-1] + MINUTE
    assert most_in_a_minute(told) <= 1


def test_a_new_session_begins_with_a_whole_minute() -> None:
    rate = Rate()
    assert rate.take(0, 1)
    assert not rate.take(1, 1)
    assert rate.refuse(1)
    rate.begin()
    assert rate.held_until(2) is None
    assert rate.take(2, 1)
