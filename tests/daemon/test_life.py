"""From the start to the end, whichever way it comes."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.daemon.rig import WITH_LOCAL, Daemon, alive

ALL = ("audio", "network", "inference")


def assert_no_traceback(daemon: Daemon) -> None:
    for word in ("Traceback", "Exception", "Warning", "never awaited", "was destroyed"):
        assert word not in daemon.log, daemon.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_two_seconds_in_the_middle_of_a_session(
    tmp_path: Path, number: signal.Signals
) -> None:
    environment = {"PYTHONASYNCIODEBUG": "1"}
    with Daemon(tmp_path, WITH_LOCAL, ready=ALL, environment=environment) as daemon:
        pids = daemon.run_file()["children"]
        assert set(pids) == set(ALL)
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")

        began = time.monotonic()
        assert daemon.stop(number) == 0
        assert time.monotonic() - began < 2.0

        daemon.wait("/voiced/shutdown", deadline_s=5)
        assert not any(alive(pid) for pid in pids.values())
        assert daemon.run_file() == {}
        assert_no_traceback(daemon)
        ended = daemon.wait("/voice_agent/cb/onSessionEnd", deadline_s=5)
        trace = Path(ended.args[2])
        assert trace.is_file()
        assert not list(trace.parent.glob("*.journal.jsonl"))
        for path in [daemon.state_dir, *daemon.state_dir.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        first = daemon.process
        assert first is not None
        second = daemon.spawn()
        try:
            assert second.wait(60) == 69
        finally:
            daemon.process = first
        assert f"another voiced (process {first.pid}) runs on {daemon.state_dir}" in daemon.log
        daemon.send("/voiced/ping", 7)
        assert daemon.wait("/voiced/pong").args == (7,)


def test_nothing_outlives_a_killed_control_and_its_session_becomes_a_trace(tmp_path: Path) -> None:
    """One child is stopped: it cannot see its channel end."""
    with Daemon(tmp_path, WITH_LOCAL, ready=ALL) as daemon:
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")
        daemon.send("/voice_agent/par/Sendtext", "is anybody there")
        daemon.wait("/voice_agent/cb/onAssistantText", lambda text, final, row: final == 1)
        folder = daemon.state_dir / "voice_sessions" / "voice_agent"
        daemon.until(
            lambda: any("echo of" in each.read_text() for each in folder.glob("*.jsonl")), 30,
            "the journal's line",
        )  # fmt: skip
        # Active is written within a second of the Connect.
        state = daemon.state_dir / "state.json"
        daemon.until(
            lambda: state.exists() and "voice_agent" in json.loads(state.read_text())["values"], 30,
            "kept Active",
        )  # fmt: skip
        pids = daemon.run_file()["children"]
        os.kill(pids["audio"], signal.SIGSTOP)
        assert daemon.process is not None
        daemon.process.kill()
        daemon.process.wait(5)
        daemon.until(lambda: not any(alive(pid) for pid in pids.values()), 30, "their end")

        since = daemon.mark()
        daemon.start()
        daemon.until(lambda: bool(list(folder.glob("*.json"))), 30, "the trace")
        (trace,) = folder.glob("*.json")
        assert '"end_reason": "crash"' in trace.read_text()
        assert "is anybody there" in trace.read_text()
        # on_start = "last": the piece goes on.
        daemon.wait("/voice_agent/par/Sessionstate", "active", since=since)


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = str(tmp_path / "notify")
    notify.bind(path)
    words: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        # All the time, as the service manager does: the system keeps but a few that nobody took.
        while packet := notify.recv(4096):
            words.put(packet.decode())

    def told(wanted: str) -> None:
        until = time.monotonic() + 60.0
        while wanted not in words.get(timeout=until - time.monotonic()):
            pass

    listener = threading.Thread(target=listen)
    listener.start()

    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000"}
    with notify, Daemon(tmp_path, environment=environment) as daemon:
        told("READY=1")
        told("STATUS=voice_agent disconnected, engine ready")
        told("WATCHDOG=1")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        told("RELOADING=1\nMONOTONIC_USEC=")
        told("READY=1")
        daemon.stop()
        told("STOPPING=1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", path)
        listener.join()


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        daemon = Daemon(tmp_path, settings=[f"osc.port={port}"])
        try:
            assert daemon.spawn().wait(60) == 1
            assert f"osc 127.0.0.1:{port} cannot be opened" in daemon.log
        finally:
            daemon.__exit__()
