"""A word stands on the captions when it sounds in the room, by the played file.

VOICED_CAPTIONS=all asks every service.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests import analysis
from tests.clouds.rig import KEYS, WAIT_S, A, Cloud
from tests.word_times import word_times

LATE_S, EARLY_S = 0.25, 0.1
DOUBT_S = 0.1
"""The recogniser's own error for a word; some words of a hundred may lie so far out."""
TEXTS = (
    "Good evening. I am the voice of this house, and I have been waiting for somebody to talk to.",
    "Once, a long time ago, there was a boat. Nobody knew where it came from, and nobody asked.",
)
SCRIPT = "[[connection]]\n" + "".join(f'[[connection.reply]]\nsays = "{text}"\n' for text in TEXTS)
ALL = os.environ.get("VOICED_CAPTIONS") == "all"
PROVIDERS = sorted(KEYS) if ALL else ["openai_realtime"]


def room(path: Path) -> tuple[NDArray[np.int16], int]:
    """Return what was played, mono, and its rate."""
    rate, samples = analysis.read_wav(path)
    return samples[:, 0], rate


def zero_of(cloud: Cloud, rate: int) -> float:
    """Return when frame 0 of the room's recording was played, on the client's clock."""
    started = cloud.daemon.client.all("/voiced/audio/started")
    return min(message.at - message.args[2] / rate for message in started)


def sounding(mono: NDArray[np.int16], rate: int, first: int, last: int) -> int:
    """Return the first loud frame between two."""
    loud = np.flatnonzero(np.abs(mono[max(0, first) : last].astype(np.int32)) > 200)
    assert len(loud), "nothing sounds there"
    return max(0, first) + int(loud[0])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_words_appear_as_they_sound(tmp_path: Path, provider: str) -> None:
    with Cloud(tmp_path, provider, SCRIPT) as cloud:
        daemon = cloud.daemon
        cloud.connect()
        cloud.play("lv_0930.wav")  # For its place in the room's time; nobody waits for an answer.
        spans = []
        for _ in TEXTS:
            since = daemon.mark()
            if spans:
                daemon.send(f"{A}/par/Sendtext", "Go on.")
            cloud.reply(since)
            told = daemon.client.all(f"{A}/caption/word", since=since)
            spans.append([(str(m.args[0]), m.at) for m in told])
        cloud.disconnect()
        daemon.stop()
        mono, rate = room(cloud.heard)
        zero = zero_of(cloud, rate)
    lates = [late for text, told in zip(TEXTS, spans, strict=True) for late in
             lateness(text, told, mono, rate, zero)]  # fmt: skip
    print(f"{provider}: {min(lates):+.3f} to {max(lates):+.3f} s after the sound")
    outside = [late for late in lates if not -EARLY_S <= late <= LATE_S]
    assert len(outside) <= len(lates) * 0.05, outside
    assert all(-EARLY_S - DOUBT_S <= late <= LATE_S + DOUBT_S for late in lates)


def lateness(
    text: str, told: list[tuple[str, float]], mono: NDArray[np.int16], rate: int, zero: float
) -> list[float]:
    """Return how long after its sound each word was shown, s."""
    assert [word for word, _ in told] == text.split()
    first = sounding(mono, rate, int((told[0][1] - zero - 1.0) * rate), len(mono))
    until = min(len(mono), int((told[-1][1] - zero + 2.0) * rate))
    pcm = soxr.resample(mono[first:until], rate, 16_000)
    lates = []
    for (word, at), (_, begin, end) in zip(told, word_times(pcm, text), strict=True):
        shown = at - zero - first / rate
        print(f"{word:12} {begin:6.2f} to {end:6.2f}, shown {shown:6.2f}: {shown - begin:+.2f}")
        lates.append(shown - begin)
    return lates


@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_word_appears_that_was_not_heard(tmp_path: Path, provider: str) -> None:
    with Cloud(tmp_path, provider, f'answer = "{" ".join(TEXTS)}"\n') as cloud:
        daemon = cloud.daemon
        cloud.connect()
        since = daemon.mark()
        cloud.play("lv_0930.wav")
        daemon.wait(f"{A}/caption/word", "voice", WAIT_S, since=since)
        cloud.play("lv_0880.wav")
        cut = daemon.wait(
            f"{A}/conv/row",
            lambda *row: row[1] == "assistant" and "interrupted" in row[6], WAIT_S, since=since,
        )  # fmt: skip
        shown = [m for m in daemon.client.all(f"{A}/caption/word", since=since) if m.at < cut.at]
        heard = cloud.row(str(cut.args[3])).text.split()
        daemon.wait(f"{A}/caption/assistant", "", WAIT_S, since=since)
        cloud.disconnect()
        daemon.stop()
        mono, rate = room(cloud.heard)
        zero = zero_of(cloud, rate)
    words = [str(message.args[0]) for message in shown]
    print(f"shown {words[-3:]}, in the row {heard[-3:]}")
    assert words[: len(heard)] == heard
    assert len(words) <= len(heard) + 1, "one may have begun"
    place = int((shown[-1].at - zero) * rate)
    assert np.abs(mono[place - rate // 4 : place].astype(np.int32)).max() > 200, "it sounded"
