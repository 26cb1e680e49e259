"""What the ear makes of noise, and of people who talk for long."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.inference.listening import (
    BLOCK,
    Pcm,
    applause,
    dropped,
    hear,
    hum,
    pink,
    rows,
    still,
)
from tests.inference.local_voice import recording, silence, transcripts, word_errors
from voiced.inference import recogniser, speech
from voiced.messages.inference import Settings

SECONDS = float(os.environ.get("VOICED_NOISE_S", "8"))
"""Length of each noise; 600 for the full proof, which takes about five minutes."""


@pytest.mark.timeout(60 + SECONDS * 2)
@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(still, id="silence"),
        pytest.param(lambda s: hum(50, s), id="hum 50 Hz"),
        pytest.param(lambda s: hum(60, s), id="hum 60 Hz"),
        pytest.param(lambda s: hum(120, s), id="hum 120 Hz"),
        pytest.param(pink, id="pink noise"),
        pytest.param(applause, id="applause"),
    ],
)
def test_noise_makes_no_user_row(noise: Callable[[float], Iterator[Pcm]]) -> None:
    assert rows(hear(noise(SECONDS))) == []


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(still, id="silence"),
        pytest.param(lambda s: hum(120, s), id="hum 120 Hz"),
        pytest.param(pink, id="pink noise"),
        pytest.param(applause, id="applause"),
    ],
)
def test_noise_under_the_pedal_has_no_words(noise: Callable[[float], Iterator[Pcm]]) -> None:
    """Push to talk asks no detector: the recogniser alone has to see that there is nothing."""
    pcm = np.concatenate(list(noise(4.0)))
    assert recogniser.words(recogniser.shared().read(pcm), strong_ms=0) == ""


def _blocks(pcm: Pcm) -> Iterator[Pcm]:
    padded = np.concatenate([pcm, np.zeros(-len(pcm) % BLOCK, np.int16)])
    yield from padded.reshape(-1, BLOCK)


def test_a_turn_longer_than_the_recogniser_hears_loses_no_word() -> None:
    """One breathless visitor of 37 s: between the sentences are pauses, none ends the turn."""
    files = ["lv_0870.wav", "lv_0880.wav", "lv_0890.wav", "lv_0920.wav", "lv_0930.wav"]
    files += ["lj_0001.wav", "lv_0880.wav"]
    pcm = np.concatenate([recording(file) for file in files] + [silence(2.0)])
    assert len(pcm) > 32 * 16_000
    transcript = " ".join(transcripts()[file] for file in files)
    told = hear(_blocks(pcm), Settings(hangover_ms=1_500, transcribe=False))
    (row,) = rows(told)
    wrong, count = word_errors(transcript, row)
    assert wrong / count < 0.15
    assert not dropped(told)


def test_a_turn_without_any_pause_is_cut_without_losing_a_word() -> None:
    """Sentences glued together so tightly that no pause of 160 ms is left in half a minute."""
    glued: list[Pcm] = []
    transcript: list[str] = []
    for file in ["lv_0870.wav", "lv_0920.wav", "lj_0001.wav", "lv_0890.wav", "lv_0930.wav"]:
        pcm = recording(file)
        loud = np.flatnonzero(np.abs(pcm) > 1_000)
        glued.append(pcm[loud[0] : loud[-1]])
        transcript.append(transcripts()[file])
    told = hear(
        _blocks(np.concatenate([*glued, silence(2.0)])),
        Settings(hangover_ms=1_500, transcribe=False),
    )
    (row,) = rows(told)
    wrong, count = word_errors(" ".join(transcript), row)
    assert wrong / count < 0.15


def test_a_long_recording_is_transcribed_in_full() -> None:
    files = ["lj_0001.wav", "lv_0870.wav", "jfk.wav", "lv_0920.wav"]
    pcm = np.concatenate([recording(file) for file in files])
    assert len(pcm) > 30 * 16_000
    wrong, count = word_errors(
        " ".join(transcripts()[file] for file in files), recogniser.transcribe(pcm)
    )
    assert wrong / count < 0.15


def test_a_short_word_is_no_phantom() -> None:
    """Whisper makes "thank you" of noise; a visitor who says it is heard all the same."""
    import soxr

    said = soxr.resample(speech.synthesise("Thank you."), 24_000, 16_000)
    pcm = np.concatenate([silence(0.5), said, silence(1.0)])
    assert rows(hear(_blocks(pcm))) == ["Thank you."]
