"""Three legs of one conversation: people speak on while the service and the hands go.

The same recordings are said twice in one run, to a service that stays and to one whose connections
end in the middle of a sentence: by its cap, by a goaway or a broken link, and by the end of the
network process. Nothing that was said may be missing, or be there twice.

VOICED_LEGS=all speaks longer and with every service that tells whose turn it is.
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests.clouds.rig import VISITORS, WAIT_S, A, Cloud, words_of
from voiced.cli.demo.words import WordErrors, word_errors

ALL = os.environ.get("VOICED_LEGS") == "all"
RATE = 48_000
PRESSED = ["lj_0001.wav"]
"""Without a pause that any service takes for the end of a turn."""
PAUSE_S = 0.8
"""Between two visitors: longer than what a service takes for a turn's end."""
OTHERWISE = 2
"""Words that the recogniser reads otherwise where a turn is cut elsewhere."""
SHORT = ["lv_0890.wav", "lv_0920.wav", "lv_0930.wav", "lv_0870.wav"]
LONG = [*SHORT, "lj_0001.wav", "lj_050_0131.wav", "lv_0880.wav", "lv_0920.wav"]
SECOND_FAULT = {
    "openai_realtime": 'what = "reset"',
    "xai_grok": 'what = "reset"',
    "gemini_live": 'what = "goaway"\nseconds = 1.0',
    "hume_evi": 'what = "reset"',
}
PROVIDERS = sorted(SECOND_FAULT) if ALL else ["openai_realtime"]


def speech(path: Path, names: list[str]) -> list[tuple[float, float]]:
    """Write what several people say, one after the other; return (begin, end) of each, s."""
    pieces, places, at = [], [], 0
    for name in names:
        with wave.open(str(VISITORS / name)) as file:
            raw = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            piece = soxr.resample(raw, file.getframerate(), RATE)
        places.append((at / RATE, (at + len(piece)) / RATE))
        pieces += [piece, np.zeros(int(PAUSE_S * RATE), np.int16)]
        at += len(piece) + len(pieces[-1])
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.concatenate(pieces).tobytes())
    return places


def said_in(cloud: Cloud, since: int) -> list[str]:
    """Return the visitors' rows since, in order."""
    return [message for role, message in cloud.rows(since) if role == "user"]


def refreshes(cloud: Cloud, since: int) -> list[str]:
    return [m for role, m in cloud.rows(since) if role == "system" and "Refreshed" in m]


def finish(cloud: Cloud, since: int) -> None:
    """Wait until the last words were answered, and end."""
    cloud.daemon.until(
        lambda: not open_turns(cloud, since), WAIT_S, "the final words of every turn"
    )
    cloud.disconnect()


def open_turns(cloud: Cloud, since: int) -> bool:
    """Tell whether a visitor still speaks, or the voice, or nothing was understood yet."""
    client = cloud.daemon.client
    signals = {
        name: client.all(f"{A}/sig/{name}", since=since) for name in ("phase", "user_speaking")
    }
    idle = all(told and told[-1].args[0] in (0.0, 1.0 if name == "phase" else 0.0)
               for name, told in signals.items())  # fmt: skip
    texts = {str(m.args[2]): m.args[1] for m in client.all(f"{A}/cb/onUserText", since=since)}
    return not (idle and texts and all(texts.values()))


def conversation(
    folder: Path, provider: str, names: list[str], script: str, *, kill_at: int = 0
) -> WordErrors:
    """Let the visitors speak; return how much of it stands in the transcript.

    Args:
        folder: its own.
        provider: whose service.
        names: the recordings.
        script: of the service.
        kill_at: network is killed as soon as so many turns have begun and both refreshes are over.
    """
    folder.mkdir()
    speech(folder / "visitors.wav", names)
    with Cloud(folder, provider, script, par=['Systemprompt = "Be short."']) as cloud:
        daemon = cloud.daemon
        begun = cloud.connect()
        daemon.send("/voiced/audio/play", "voice_agent", str(folder / "visitors.wav"))
        if kill_at:
            daemon.until(lambda: len(refreshes(cloud, begun)) == 2, WAIT_S, "two refreshes")
            since = daemon.mark()
            daemon.wait(f"{A}/cb/onUserSpeechStarted", deadline_s=WAIT_S, since=since)
            pid = daemon.signal_child("network")
            daemon.wait_for_successor("network", pid)
            daemon.until(lambda: len(refreshes(cloud, begun)) == 3, WAIT_S, "a third refresh")
        cloud.played(begun)
        finish(cloud, begun)
        said = said_in(cloud, begun)
        print(f"{provider}: {len(refreshes(cloud, begun))} refreshes", refreshes(cloud, begun))
        for row in said:
            print("   ", row)
        assert cloud.violations() == []
    return word_errors(" ".join(words_of(name) for name in names), " ".join(said))


def ending(what: str, after_s: float) -> str:
    return f"[[connection]]\n[[connection.fault]]\n{what}\nafter_s = {after_s}\n"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_word_is_lost_over_three_refreshes(tmp_path: Path, provider: str) -> None:
    names = LONG if ALL else SHORT
    answer = 'answer = "I see."\n'
    places = speech(tmp_path / "places.wav", names)
    # In the middle of the first visitor's sentence, and of the third one's by the next connection.
    first = sum(places[0]) / 2 + 0.5
    second = sum(places[2]) / 2 - first
    script = (
        answer
        + ending('what = "cap"', first)
        + ending(SECOND_FAULT[provider], second)
        + "[[connection]]\n"
    )
    without = conversation(tmp_path / "without", provider, names, answer)
    within = conversation(tmp_path / "with", provider, names, script, kill_at=1)
    print(f"{provider}: {within} with refreshes, {without} without")
    assert within.errors <= without.errors + OTHERWISE


@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_pedal_is_held_through_a_refresh(tmp_path: Path, provider: str) -> None:
    places = speech(tmp_path / "visitors.wav", PRESSED)
    script = 'answer = "I see."\n' + ending('what = "cap"', sum(places[0]) / 2) + "[[connection]]\n"
    with Cloud(tmp_path / "it", provider, script, par=['Sessionmode = "push_to_talk"']) as cloud:
        daemon = cloud.daemon
        speech(cloud.folder / "visitors.wav", PRESSED)
        begun = cloud.connect()
        daemon.send(f"{A}/par/Talk", 1)
        daemon.send("/voiced/audio/play", "voice_agent", str(cloud.folder / "visitors.wav"))
        daemon.until(lambda: len(refreshes(cloud, begun)) == 1, WAIT_S, "a refresh")
        cloud.played(begun)
        daemon.send(f"{A}/par/Talk", 0)
        cloud.user(begun)
        assert cloud.reply(begun).text
        cloud.disconnect()
        said = said_in(cloud, begun)
        print(said)
        assert len(said) == 1, "one press is one turn"
        errors = word_errors(" ".join(words_of(name) for name in PRESSED), said[0])
        print(f"{provider}: {errors}")
        assert errors.rate <= 0.3
        assert cloud.violations() == []
