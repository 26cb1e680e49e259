"""A word stands on the captions when it sounds in the room, by the played file.

VOICED_CAPTIONS=all asks every service, and says more.
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests import analysis, spoken_times
from tests.clouds.rig import KEYS, WAIT_S, A, Cloud
from voiced.emulators.hume_voice import sentences

LATE_S, EARLY_S = 0.25, 0.1
RATE = 12_000
"""Hz at which a sound is looked for in the room."""
TEXTS = (
    "Good evening. I am the voice of this house, and I have been waiting for somebody to talk to.",
    "Once, a long time ago, there was a boat. Nobody knew where it came from, and nobody asked.",
)
MORE = (
    "What would you like to hear about? I know a few stories, some of them true.",
    "I remember the first person who came through that door; she laughed, and then she stayed.",
    "Imagine a city without any windows, whose inhabitants have forgotten what the sun looks like.",
    "Nothing lasts. Still, here we are, you and I, breathing the same warm air.",
    "Your voice sounds tired. Have you slept enough, or did the noise keep you awake again?",
    "Everything you can see from this hill belonged to a family of clockmakers named Wetherby.",
)
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


def silence(folder: Path) -> Path:
    """Return a file in which nobody says anything."""
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    return path


def script(texts: tuple[str, ...]) -> str:
    """Return what a service says, reply by reply."""
    replies = [f'[[connection.reply]]\nsays = "{text}"\n' for text in texts]
    return "".join(["[[connection]]\n", *replies])


@pytest.mark.timeout(900 if ALL else 300)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_words_appear_as_they_sound(tmp_path: Path, provider: str) -> None:
    texts = TEXTS + MORE if ALL else TEXTS
    with Cloud(tmp_path, provider, script(texts)) as cloud:
        daemon = cloud.daemon
        cloud.connect()
        # Each tells the room's time as late as its message comes: the earliest is next to right.
        for _ in range(10):
            cloud.play(str(silence(tmp_path)))
        cloud.play("lv_0930.wav")
        spans = []
        for _ in texts:
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
    lates: list[float] = []
    for text, told_words in zip(texts, spans, strict=True):
        # This one speaks, and sends, a sentence at a time.
        parts = sentences(text) if provider == "hume_evi" else [text]
        lates += lateness(parts, told_words, mono, rate, zero)
    early, late = min(lates), max(lates)
    print(f"{provider}: {early:+.3f} to {late:+.3f} s after the sound, {len(lates)} words")
    assert -EARLY_S <= early <= late <= LATE_S


def lateness(
    parts: list[str], told: list[tuple[str, float]], mono: NDArray[np.int16], rate: int, zero: float
) -> list[float]:
    """Return how long after its sound each word was shown, s."""
    assert [word for word, _ in told] == " ".join(parts).split()
    first = max(0, int((told[0][1] - zero - 1.0) * rate))
    sound = soxr.resample(mono[first : int((told[-1][1] - zero + 3.0) * rate)], rate, RATE)
    begins: list[float] = []
    at = 0
    for part in parts:
        for piece in spoken_times.pieces(part):
            at += place_of(piece.sound, sound[at:])
            begins += [first / rate + at / RATE + begin for begin, _ in piece.words]
            at += len(piece.sound) * RATE // spoken_times.OUTPUT_RATE * 9 // 10
    lates = []
    for (word, when), begin in zip(told, begins, strict=True):
        lates.append(when - zero - begin)
        print(f"{word:12} {begin:6.2f}, shown {when - zero:6.2f}: {lates[-1]:+.2f}")
    return lates


def place_of(piece: NDArray[np.int16], sound: NDArray[np.int16]) -> int:
    """Return where in `sound`, samples of RATE, a piece of the voice is heard."""
    wanted = soxr.resample(piece, spoken_times.OUTPUT_RATE, RATE).astype(np.float64)
    heard = sound.astype(np.float64)
    size = len(heard) + len(wanted)
    both = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    alike = np.fft.irfft(both, size)[: len(heard)]
    at = int(alike.argmax())
    there = heard[at : at + len(wanted)]
    scale = float(np.linalg.norm(wanted) * np.linalg.norm(there))
    assert alike[at] > 0.9 * scale, "the piece is not in the room as the voice made it"
    return at


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
        # A service may speak a reply in several messages, a row each: those up to the one cut.
        written = daemon.client.all(f"{A}/conv/row", since=since)
        rows = list(dict.fromkeys(str(m.args[3]) for m in written if m.args[1] == "assistant"))
        rows = rows[: rows.index(str(cut.args[3])) + 1]
        heard = " ".join(cloud.row(row).text for row in rows).split()
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
