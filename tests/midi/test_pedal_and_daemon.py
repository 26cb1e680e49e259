"""A pedal and the whole daemon: push to talk through JACK MIDI, seen from outside by OSC."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.rig import ECHO, ROOT, Daemon
from tests.midi.pedal import DOWN, PORT, UP, Pedal
from tests.servers import JackServer

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi has no wheel for this Python")
pytestmark = pytest.mark.skipif(
    shutil.which("jackd") is None or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(),
    reason="jackd, or rtmidi's JACK backend, is not installed: no real ports to test on",
)
VISITOR = ROOT / "voiced" / "cli" / "visitors" / "lv_0930.wav"
BINDING = """
Sessionmode = "push_to_talk"
[[midi.bind]]
port = "fs-1"
message = "control_change"
control = 64
address = "/voice_agent/par/Talk"
mode = "momentary"
"""


@pytest.fixture(scope="module")
def jack() -> Iterator[JackServer]:
    with JackServer() as server:
        yield server


def test_the_pedal_opens_the_microphone_and_its_lamp_shows_it(
    jack: JackServer, tmp_path: Path
) -> None:
    with Daemon(tmp_path, ECHO + BINDING, environment=jack.env) as daemon:
        pedal = Pedal({**os.environ, **jack.env})
        daemon.until(lambda: f"listening to {PORT}" in daemon.log, 20.0, "the pedal's port")
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "armed")

        since = daemon.mark()
        pedal.send(DOWN)
        daemon.wait("/voice_agent/par/Sessionstate", "active", since=since)
        daemon.wait("/voice_agent/sig/mic_open", 1.0, since=since)
        assert shows(pedal, DOWN), "the lamp shows the gate"
        daemon.send("/voiced/audio/play", "voice_agent", str(VISITOR))
        daemon.wait("/voiced/audio/ended", since=since)

        since = daemon.mark()
        pedal.send(UP)
        daemon.wait("/voice_agent/sig/mic_open", 0.0, since=since)
        assert shows(pedal, UP)
        daemon.wait("/voice_agent/cb/onUserText", lambda text, final, row: final == 1, since=since)

        since = daemon.mark()
        pedal.send(DOWN)
        daemon.wait("/voice_agent/sig/mic_open", 1.0, since=since)
        pedal.unplug()
        daemon.wait("/voice_agent/sig/mic_open", 0.0, since=since)
        assert daemon.ask("/voice_agent/par/Talk") == (0,)
        assert daemon.ask("/voice_agent/par/Sessionstate") == ("armed",)


def shows(pedal: Pedal, wanted: bytes) -> bool:
    """Tell whether the lamp comes to show this; it may first be shown how the gate was before."""
    return any(bytes.fromhex(pedal.line()) == wanted for _ in range(3))


PROGRAMS = """
Profilesfolder = "{folder}"
[[midi.bind]]
port = "fs-1"
message = "program_change"
address = "/voice_agent/par/Profile"
[[midi.bind]]
port = "fs-1"
message = "program_change"
program = 5
address = "/voice_agent/par/Profile"
value = "night,loud"
"""


def test_a_program_change_switches_the_profile_of_the_next_session(
    jack: JackServer, tmp_path: Path
) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name, volume in (("day", 0.75), ("loud", 1.0), ("night", 0.25)):
        (folder / f"{name}.json").write_text(
            f'{{"Volume": {volume}, "Displayname": "{name.title()}"}}'
        )
    with Daemon(tmp_path, ECHO + PROGRAMS.format(folder=folder), environment=jack.env) as daemon:
        pedal = Pedal({**os.environ, **jack.env})
        daemon.until(lambda: f"listening to {PORT}" in daemon.log, 20.0, "the pedal's port")
        for program, names, volume in ((2, ("night",), 0.25), (0, ("day",), 0.75),
                                       (5, ("night", "loud"), 1.0)):  # fmt: skip
            since = daemon.mark()
            pedal.send(bytes([0xC0, program]))
            told = daemon.wait("/voice_agent/par/Profile", names[0], since=since)
            assert told.args == names
            daemon.send("/voice_agent/par/Restart")
            daemon.wait("/voice_agent/par/Volume", volume, since=since)
            daemon.wait("/voice_agent/par/Displayname", names[-1].title(), since=since)
            daemon.wait("/voice_agent/par/Sessionstate", "active", since=since)
        since = daemon.mark()
        pedal.send(bytes([0xC0, 9]))
        pedal.send(bytes([0xC0, 1]))
        told = daemon.wait("/voice_agent/par/Profile", since=since)
        assert told.args == ("loud",), "there is no tenth profile: that changed nothing"
        pedal.unplug()
