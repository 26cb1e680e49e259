from __future__ import annotations

from tests.osc.fuzz import fuzz


def test_mutated_packets_harm_nothing() -> None:
    found = fuzz(10_000, seed=7)
    seconds = found["seconds"]
    assert found["lines_per_s"] * seconds <= 10 * (seconds + 2)
    assert found["puts"] > 0
