"""Children killed, stopped, absent: always back, told once, the session kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.daemon.rig import WITH_LOCAL, Daemon

BACK_S = {"audio": 1.5, "network": 1.5, "inference": 4.0}
"""From the kill to its Hello. The machine that tests may be busy: SLACK_S more are allowed."""
SLACK_S = float(os.environ.get("VOICED_TEST_SLACK_S", "15"))
HUNG_S = {"audio": 2.5, "network": 2.5, "inference": 10.5}


def errors(daemon: Daemon, since: int) -> list[tuple[object, ...]]:
    return [each.args for each in daemon.client.all("/voice_agent/cb/onError", since=since)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_each_hand_comes_back_and_is_told_once(tmp_path: Path, number: signal.Signals) -> None:
    with Daemon(tmp_path, WITH_LOCAL, ready=("audio", "network", "inference")) as daemon:
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")
        for child in ("audio", "network", "inference"):
            since = daemon.mark()
            began = time.monotonic()
            pid = daemon.signal_child(child, number)
            daemon.wait_for_successor(child, pid, BACK_S[child] + HUNG_S[child] + SLACK_S)
            took = time.monotonic() - began
            hung = HUNG_S[child] if number is signal.SIGSTOP else 0.0
            assert took < BACK_S[child] + hung + SLACK_S
            error = daemon.wait("/voice_agent/cb/onError", child, since=since)
            word = "SIGKILL" if number is signal.SIGKILL else "hung"
            assert word in error.args[2]
            daemon.ask("/voice_agent/par/Enginestatus", wanted="ready")
            daemon.ask("/voice_agent/par/Sessionstate", wanted="active")
            daemon.ask("/voice_agent/sig/mic_open", wanted=1.0)
            assert len(errors(daemon, since)) == 1
        since = daemon.mark()
        daemon.send("/voice_agent/par/Sendtext", "still there")
        daemon.wait("/voice_agent/cb/onAssistantText", "(echo of: still there)", since=since)


def test_a_stopped_mind_kills_nobody_when_it_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        pids = daemon.run_file()["children"]
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGSTOP)
        # The hands see that control's stamp is old.
        daemon.until(lambda: "upload pauses" in daemon.log, 30, "the pause")
        daemon.process.send_signal(signal.SIGCONT)
        since = daemon.mark()
        beat = daemon.wait("/voiced/heartbeat", since=since).args[0]
        daemon.wait("/voiced/heartbeat", lambda now: now >= beat + 2, since=since)
        assert daemon.run_file()["children"] == pids
        assert errors(daemon, 0) == []


def test_no_device_is_a_state_in_which_text_is_answered(tmp_path: Path) -> None:
    settings = ["audio.backend=portaudio", "audio.input=no-such-card", "audio.output=no-such-card"]
    with Daemon(tmp_path, settings=settings) as daemon:
        status = daemon.ask(
            "/voice_agent/par/Enginestatus", wanted=lambda word: word.startswith("no_device")
        )
        assert len(str(status[0]).split()) > 3, "a word and a sentence"
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")
        since = daemon.mark()
        daemon.send("/voice_agent/par/Sendtext", "can you read this")
        daemon.wait("/voice_agent/cb/onAssistantText", "(echo of: can you read this)", since=since)
        assert daemon.run_file()["ready"][:1] == ["audio"], "it goes on looking"


def test_a_trace_folder_that_cannot_be_written_is_told_once_and_holds_up_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "voice_sessions").write_text("in the way")
    with Daemon(tmp_path) as daemon:
        daemon.send("/voice_agent/par/Connect")
        error = daemon.wait("/voice_agent/cb/onError", "trace")
        assert "cannot be written" in error.args[2]
        daemon.send("/voice_agent/par/Sendtext", "go on")
        daemon.wait("/voice_agent/cb/onAssistantText", lambda text, final, row: final == 1)
        daemon.send("/voice_agent/par/Disconnect")
        daemon.wait("/voice_agent/cb/onSessionEnd")
        assert daemon.stop() == 0
        assert len(errors(daemon, 0)) == 1


def test_initialize_gives_fresh_hands_and_shutdown_stops_them(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        before = {name: daemon.pid_of(name) for name in ("audio", "network")}
        daemon.send("/voice_agent/par/Initialize")
        for name, pid in before.items():
            daemon.wait_for_successor(name, pid)
        daemon.ask("/voice_agent/par/Enginestatus", wanted="ready")
        daemon.send("/voice_agent/par/Shutdown")
        daemon.until(lambda: daemon.run_file()["children"] == {}, 30, "the hands' end")
        daemon.ask("/voice_agent/par/Enginestatus", wanted=lambda word: word.startswith("stopped"))
        daemon.send("/voice_agent/par/Initialize")
        daemon.ask("/voice_agent/par/Enginestatus", wanted="ready")
        assert errors(daemon, 0) == []


TWO = """
[[agent]]
name = "left"
input_channels = [1]
output_channels = [1]
[agent.par]
Provider = "echo"
Volume = 0.25
[[agent]]
name = "right"
input_channels = [2]
output_channels = [2]
[agent.par]
Provider = "echo"
"""


def test_two_agents_have_nothing_in_common(tmp_path: Path) -> None:
    with Daemon(tmp_path, TWO) as daemon:
        assert daemon.agents() == ("left", "right")
        daemon.send("/left/par/Connect")
        daemon.wait("/left/par/Sessionstate", "active")
        daemon.send("/left/par/Sendtext", "only me")
        daemon.wait("/left/cb/onAssistantText", "(echo of: only me)")
        daemon.send("/right/par/Connect")
        daemon.wait("/right/par/Sessionstate", "active")
        daemon.send("/right/par/Sendtext", "and me")
        daemon.wait("/right/cb/onAssistantText", "(echo of: and me)")
        assert daemon.ask("/left/par/Volume") == (0.25,)
        assert daemon.ask("/right/par/Volume") == (1.0,)
        heard = [each.args[2] for each in daemon.client.all("/left/conv/row")]
        assert not any("and me" in words for words in heard)
        since = daemon.mark()
        pid = daemon.signal_child("network")
        daemon.wait_for_successor("network", pid)
        for agent in ("left", "right"):
            daemon.wait(f"/{agent}/cb/onError", "network", since=since)
            daemon.ask(f"/{agent}/par/Sessionstate", wanted="active")
