"""When a stream counts as dead: not where the sound server goes on by itself."""

from __future__ import annotations

import pytest

from voiced.audio import device
from voiced.lane.words import Device

UNDERRUNS_S = 4.08
"""Longest pause of a loudspeaker behind two underruns, as measured on PulseAudio 16.1."""


@pytest.mark.parametrize(
    ("word", "bridged", "dead"),
    [
        (Device.OUTPUT_FRAME, True, False),
        (Device.OUTPUT_FRAME, False, True),
        (Device.DEVICE_FRAME, True, True),
    ],
)
def test_a_loudspeaker_through_pulseaudio_goes_on_behind_an_underrun(
    monkeypatch: pytest.MonkeyPatch, word: Device, bridged: bool, dead: bool
) -> None:
    now = 100.0
    monkeypatch.setattr(device.time, "monotonic", lambda: now)
    words = memoryview(bytearray(8 * 64)).cast("q")
    direction = device._Direction(words, word, 480, 48000, bridged=bridged)
    words[word] = 480
    assert not direction.stalled(now, forgive=False)
    assert direction.stalled(now + UNDERRUNS_S, forgive=False) is dead
    assert direction.stalled(now + 5.0, forgive=False)
