"""Counts are exact and nothing is delayed, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.network.resample import Resampler, count_out

RATES = [8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000]


@settings(max_examples=40, deadline=None)
@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    chunks=st.lists(st.integers(0, 2000), max_size=20),
)
def test_counts_are_exact(rates, chunks):
    rate_in, rate_out = rates
    resampler = Resampler(rate_in, rate_out)
    rng = np.random.default_rng(1)
    got = 0
    for chunk in chunks:
        got += len(resampler.process(rng.integers(-9000, 9000, chunk).astype(np.int16)))
        assert got <= count_out(sum(chunks), rate_in, rate_out)
    got += len(resampler.finish())
    exact = sum(chunks) * rate_out / rate_in
    assert abs(got - exact) <= 0.5


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=10))
def test_equal_rates_pass_untouched(chunks):
    resampler = Resampler(48000, 48000)
    sent = np.arange(sum(chunks), dtype=np.int16)
    at, got = 0, []
    for chunk in chunks:
        got.append(resampler.process(sent[at : at + chunk]))
        at += chunk
    assert np.array_equal(np.concatenate([*got, resampler.finish()]), sent)


@pytest.mark.parametrize(("rate_in", "rate_out"), [(48000, 16000), (44100, 24000), (24000, 48000)])
@pytest.mark.parametrize("chunk", [80, 441, 4800])
def test_a_tone_comes_out_in_step_and_level_to_its_last_sample(rate_in, rate_out, chunk):
    seconds, hz = 0.5, 500.0
    tone = (10000 * np.sin(2 * np.pi * hz * np.arange(int(rate_in * seconds)) / rate_in)).astype(
        np.int16
    )
    resampler = Resampler(rate_in, rate_out)
    out = [resampler.process(tone[at : at + chunk]) for at in range(0, len(tone), chunk)]
    out.append(resampler.finish())
    got = np.concatenate(out).astype(float)
    wanted = 10000 * np.sin(2 * np.pi * hz * np.arange(len(got)) / rate_out)
    assert len(got) == int(rate_out * seconds)
    edge = rate_out // 200  # 5 ms: the filter sees silence before and behind
    assert np.abs(got - wanted)[edge:-edge].max() < 30


def test_it_holds_back_no_more_than_two_milliseconds():
    resampler = Resampler(48000, 16000)
    got = 0
    for n in range(1, 101):
        got += len(resampler.process(np.full(480, 1000, np.int16)))
        assert n * 160 - got <= 32
    assert len(resampler.finish()) == 100 * 160 - got


def test_full_scale_does_not_wrap():
    square = np.where(np.arange(4800) // 24 % 2, 32767, -32768).astype(np.int16)
    out = Resampler(48000, 44100).process(square).astype(int)
    # Wrapped samples would jump over the whole range between neighbours of one half-wave.
    middle = out[100:-100]
    assert middle.max() == 32767
    assert middle.min() == -32768
