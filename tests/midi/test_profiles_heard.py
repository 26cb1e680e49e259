"""Who speaks is switched by a pedal board on JACK MIDI and by OSC: heard in the room.

Each profile gives the local voice another persona; what it says first in the next session is taken
from the played sound by the recogniser.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests import analysis
from tests.daemon.rig import CONFIG, ROOT, Daemon
from tests.midi.pedal import PORT, Pedal
from tests.servers import JackServer
from voiced.cli.demo.words import word_errors
from voiced.inference.recogniser import transcribe

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi has no wheel for this Python")
pytestmark = pytest.mark.skipif(
    shutil.which("jackd") is None or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(),
    reason="jackd, or rtmidi's JACK backend, is not installed: no real ports to test on",
)
A = "/voice_agent"
WORDS = {
    "guide": "Welcome to the old museum of the city.",
    "pilot": "This is your captain speaking from the cockpit.",
    "watchman": "Stop right there, the building is closed tonight.",
}
VOICES = """
[[midi.bind]]
port = "fs-1"
message = "program_change"
address = "/voice_agent/par/Profile"
[[agent]]
name = "voice_agent"
[agent.par]
Provider = "local"
Profilesfolder = "{folder}"
"""


def profiles(folder: Path) -> Path:
    """Write a persona and a profile for each, and one of the project's own between them."""
    made = folder / "profiles"
    made.mkdir()
    for name, words in WORDS.items():
        persona = folder / f"{name}.toml"
        persona.write_text(f'name = "{name}"\n[[rule]]\nheard = [""]\nreplies = ["{words}"]\n')
        (made / f"{name}.json").write_text(json.dumps({"local": {"persona": str(persona)}}))
    shutil.copy(ROOT / "config" / "profiles" / "night_watch.json", made)
    return made


@pytest.mark.timeout(300)
def test_a_switch_is_heard_in_the_next_sessions_first_words(tmp_path: Path) -> None:
    agents = VOICES.format(folder=profiles(tmp_path))
    config = CONFIG.replace('output = ""', 'output = "heard.wav"')
    with (
        JackServer() as jack,
        Daemon(tmp_path, agents, config=config, environment=jack.env) as daemon,
        contextlib.closing(Pedal({**os.environ, **jack.env})) as pedal,
    ):
        daemon.until(lambda: f"listening to {PORT}" in daemon.log, 20.0, "the pedal's port")
        known = daemon.ask(f"{A}/par/Profile/options")
        assert known == ("guide", "night_watch", "pilot", "watchman")
        since = daemon.mark()
        pedal.send(bytes([0xC0, known.index("watchman")]))
        daemon.wait(f"{A}/par/Profile", "watchman", since=since)
        connect(daemon)
        # Switched while it is open: that counts for the next one.
        daemon.send(f"{A}/par/Profile", "night_watch", "pilot")
        daemon.wait(f"{A}/cb/onStatus", lambda word, what: (word, what) == ("pending", "Profile"))
        assert first_words(daemon) == WORDS["watchman"]
        leave(daemon)
        connect(daemon)
        since = daemon.mark()
        pedal.send(bytes([0xC0, known.index("guide")]))
        daemon.wait(f"{A}/par/Profile", "guide", since=since)
        assert first_words(daemon) == WORDS["pilot"]
        leave(daemon)
        connect(daemon)
        assert first_words(daemon) == WORDS["guide"]
        leave(daemon)
        daemon.stop()
    rate, samples = analysis.read_wav(tmp_path / "heard.wav")
    mono = samples[:, 0]
    parts = [mono[a:b] for a, b in analysis.spans(mono, rate, gap_s=0.8)]
    for name, part in zip(("watchman", "pilot", "guide"), parts, strict=True):
        words = transcribe(at_16k(part, rate))
        print(f"{name}: {words!r}")
        assert word_errors(WORDS[name], words).rate <= 0.34, (name, words)


def connect(daemon: Daemon) -> None:
    """Open the next session."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Connect")
    daemon.wait(f"{A}/par/Sessionstate", "active", since=since)


def first_words(daemon: Daemon) -> str:
    """Return what the session says first, once it was heard."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Sendtext", "Hello there.")
    told = daemon.wait(
        f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, 90, since=since
    )
    daemon.wait(f"{A}/sig/assistant_speaking", 1.0, 90, since=since)
    daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=90)
    return str(told.args[0])


def leave(daemon: Daemon) -> None:
    """End the session."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Disconnect")
    daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=since)


def at_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return int16 at the recogniser's rate, with a moment of silence around it."""
    out = soxr.resample(np.pad(samples, rate // 2), rate, 16_000)
    return np.asarray(out, np.int16)
