"""The comparison that judges crosstalk: it sees a leak, and it bears a lost block."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside.crosstalk import LEAK_DBFS, compare

NOISE = np.random.default_rng(1)
SOUND = np.append(np.rint(NOISE.normal(0, 3000, 96_000)), np.zeros(20_000)) / 32768
OTHER = np.rint(NOISE.normal(0, 3000, 136_000)) / 32768
RECORDED = np.concatenate([np.zeros(12_345), SOUND, np.zeros(7_655)])


def test_the_same_sound_leaves_nothing() -> None:
    compared = compare(SOUND, RECORDED)
    assert compared.leak_dbfs == float("-inf")
    assert (compared.torn, compared.shifts) == (0, 0)


@pytest.mark.parametrize("leak_dbfs", [-60, -80])
def test_a_leak_of_another_sound_tears_the_blocks(leak_dbfs: int) -> None:
    leak = OTHER / np.abs(OTHER).max() * 10 ** (leak_dbfs / 20)
    compared = compare(SOUND, RECORDED + leak)
    assert compared.torn > 0.9 * compared.blocks


def test_a_leak_below_the_limit_is_measured() -> None:
    leak = OTHER / np.abs(OTHER).max() * 10 ** ((LEAK_DBFS - 6) / 20)
    compared = compare(SOUND, RECORDED + leak)
    assert compared.torn == 0
    assert compared.leak_dbfs == pytest.approx(LEAK_DBFS - 6, abs=0.1)


def test_a_lost_block_shifts_the_rest_and_tears_one_block() -> None:
    compared = compare(SOUND, np.delete(RECORDED, slice(50_000, 50_256)))
    assert compared.leak_dbfs == float("-inf")
    assert compared.torn <= 1
    assert 1 <= compared.shifts <= 2
