"""What the file says, what was written at run time, and what happens when either is wrong."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.daemon.rig import ECHO, Daemon

BROKEN = """
[[agent]]
name = "voice_agent"
on_strat = "wait"
[agent.par]
Volume = 7.0
Provder = "echo"
[web]
port = "a"
"""
SENTENCES = (
    "agent.voice_agent.on_strat: there is no such key. Did you mean on_start?",
    "agent.voice_agent.par.Volume = 7.0: must be 0 to 1",
    'agent.voice_agent.par.Provder = "echo": there is no such parameter. Did you mean Provider?',
    'web.port = "a": this must be a whole number from 0 to 65535',
)


def test_a_broken_file_is_refused_with_every_reason_or_the_last_good_one_runs(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, BROKEN)
    try:
        assert daemon.spawn().wait(60) == 78
        for sentence in (*SENTENCES, "voiced.toml cannot be used: mend what is listed above"):
            assert sentence in daemon.log
        daemon.write_config(ECHO + "Micgain = 2.0\n")
        daemon.start()
        assert daemon.stop() == 0

        daemon.write_config(BROKEN)
        since = daemon.mark()
        daemon.start()
        assert daemon.ask("/voice_agent/par/Micgain") == (2.0,)
        for sentence in SENTENCES:
            daemon.wait(
                "/voice_agent/cb/onError",
                lambda source, code, said, s=sentence: source == "config" and said == s,
                since=since,
            )
        assert daemon.stop() == 0

        daemon._arguments.append("--strict")
        assert daemon.spawn().wait(60) == 78
    finally:
        daemon.__exit__()


@pytest.mark.parametrize(
    ("settings", "status", "fix"),
    [
        (['storage.state_dir="a\\u0000b"'], 1, "set storage.state_dir"),
        (["osc.bind=192.0.2.1", 'osc.allow=["192.0.2.0/24"]'], 1, "set osc.bind to an address"),
    ],
)
def test_what_it_cannot_start_with_is_told_with_its_fix(
    tmp_path: Path, settings: list[str], status: int, fix: str
) -> None:
    daemon = Daemon(tmp_path, settings=settings)
    try:
        assert daemon.spawn().wait(60) == status
        assert fix in daemon.log
        assert "Traceback" not in daemon.log
    finally:
        daemon.__exit__()


def test_a_reload_does_what_changed_and_nothing_else(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        assert daemon.process is not None
        pids = {name: daemon.pid_of(name) for name in ("audio", "network")}
        daemon.send("/voice_agent/par/Micgain", 3.0)
        daemon.ask("/voice_agent/par/Micgain", wanted=3.0)

        daemon.write_config(ECHO + "Volume = 0.5\n[web]\nport = 9999\n")
        since = daemon.mark()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait("/voice_agent/par/Volume", 0.5, since=since)
        assert daemon.ask("/voice_agent/par/Micgain") == (3.0,)
        daemon.until(lambda: "web.port" in daemon.log, 30, "the word about the port")
        assert {name: daemon.pid_of(name) for name in pids} == pids

        daemon.write_config(BROKEN)
        since = daemon.mark()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait("/voice_agent/cb/onError", "config", since=since)
        assert daemon.ask("/voice_agent/par/Volume") == (0.5,)

        daemon.write_config(ECHO + "Volume = 0.5\n[audio.extra]\n")
        daemon.write_config(ECHO.replace("[agent.par]", "output_channels = [1]\n[agent.par]"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_successor("audio", pids["audio"])
        assert daemon.pid_of("network") == pids["network"]
        daemon.ask("/voice_agent/par/Enginestatus", wanted="ready")


def test_what_was_written_survives_until_its_key_is_edited(tmp_path: Path) -> None:
    with Daemon(tmp_path, ECHO + "Volume = 0.5\nMicgain = 2.0\n") as daemon:
        for name, value in (("Volume", 0.25), ("Micgain", 1.5), ("Talkmax", 30)):
            daemon.send(f"/voice_agent/par/{name}", value)
            daemon.ask(f"/voice_agent/par/{name}", wanted=value)
        daemon.send("/voice_agent/par/Inputtext", "not kept")
        daemon.send("/voice_agent/par/Talk", 1)
        daemon.send("/voiced/mute", 1)
        daemon.wait("/voiced/mute", 1)
        daemon.ask("/voice_agent/par/Inputtext", wanted="not kept")
        daemon.stop()

        daemon.write_config(ECHO + "Volume = 0.5\nMicgain = 3.0\n")
        daemon.start()
        expected = {"Volume": 0.25, "Micgain": 3.0, "Talkmax": 30, "Inputtext": "", "Talk": 0}
        for name, value in expected.items():
            assert daemon.ask(f"/voice_agent/par/{name}") == (value,), name
        assert daemon.ask("/voiced/mute") == (1,)
        daemon.stop()

        # The key was edited once; from then on it is as it was when something is written again.
        daemon.write_config(ECHO + "Volume = 0.5\nMicgain = 2.0\n")
        daemon.start()
        assert daemon.ask("/voice_agent/par/Micgain") == (2.0,)


def test_settings_are_laid_over_the_file(tmp_path: Path) -> None:
    settings = ["agent.voice_agent.par.Volume=0.125", "agent.voice_agent.par.Displayname=Ada"]
    with Daemon(tmp_path, settings=settings, ready=("audio",)) as daemon:
        assert daemon.ask("/voice_agent/par/Volume") == (0.125,)
        assert daemon.ask("/voice_agent/par/Displayname") == ("Ada",)


def test_the_device_pair_is_changed_by_osc_while_no_session_is_open(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        pid = daemon.pid_of("audio")
        daemon.send("/voiced/audio/input", "front")
        daemon.wait("/voiced/audio/input", "front")
        daemon.wait_for_successor("audio", pid)
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")
        daemon.send("/voiced/audio/input", "back")
        daemon.wait("/voiced/error", lambda address, code, said: code == "busy")
        assert daemon.ask("/voiced/audio/input") == ("front",)
