"""Keys are planted and then looked for in everything that leaves the processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import planted
from tests.daemon.rig import ECHO, ROOT, Daemon
from tests.planted import LIKE_NOTHING
from voiced.errors import ExitCode

A = "/voice_agent"
DROP_IN = Path(__file__).parent / "dropins" / "provider_leaky.py"
AGENTS = """
[[agent]]
name = "voice_agent"
[agent.par]
Providersfolder = "{folder}"
Provider = "leaky"
Autosessionrefresh = 0
[[agent]]
name = "other"
on_start = "connect"
[agent.par]
Provider = "local"
"""


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def keep(daemon: Daemon, server: str, key: str) -> None:
    """Put a key where `voiced key set` does."""
    path = daemon.state_dir / "keys" / server
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(key + "\n")
    path.chmod(0o600)


@pytest.fixture
def daemon(tmp_path: Path):
    drop_ins = tmp_path / "drop_ins"
    drop_ins.mkdir(mode=0o755)
    shutil.copy(DROP_IN, drop_ins)
    (drop_ins / DROP_IN.name).chmod(0o644)
    (tmp_path / "cores").mkdir()
    made = Daemon(
        tmp_path,
        AGENTS.format(folder=drop_ins),
        environment={"VOICED_LOG": "DEBUG", "PYTHONPATH": str(ROOT)},
        ready=("audio", "network", "inference"),
        under=("sh", "-c", f'cd {tmp_path}/cores; ulimit -c unlimited; exec "$@"', "sh"),
    )
    keep(made, "leaky", LIKE_NOTHING)
    keep(made, "openai", planted.OPENAI)
    with made as running:
        yield running


def leak(daemon: Daemon) -> None:
    """Have the drop-in do everything that a careless one might with its key."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Connect")
    daemon.wait(f"{A}/cb/onError", lambda _, code, said: said == digest(LIKE_NOTHING), since=since)
    daemon.ask(f"{A}/par/Sessionstate", wanted="active")
    for way in ("print", "log", "trouble", "task"):
        daemon.send(f"{A}/par/Sendtext", way)
        daemon.wait(f"{A}/cb/onError", lambda _, code, said, way=way: said == way, since=since)
    # Each of these ends the connection; the next one comes by itself.
    for way in ("raise", "closed"):
        since = daemon.mark()
        daemon.send(f"{A}/par/Sendtext", way)
        daemon.wait(
            f"{A}/cb/onError", lambda _, code, said: said == digest(LIKE_NOTHING), since=since
        )
        daemon.ask(f"{A}/par/Sessionstate", wanted="active")
    daemon.wait(f"{A}/cb/onError", lambda _, code, said: "went away" in said, since=since)


def test_what_a_careless_provider_does_with_its_key_stays_in_its_process(daemon: Daemon) -> None:
    """What everything is searched for at each daemon's end is in tests/daemon/rig.py."""
    leak(daemon)
    daemon.send(f"{A}/leaky/start", "refuse")
    since = daemon.mark()
    daemon.send(f"{A}/par/Restart")
    daemon.wait(f"{A}/cb/onError", lambda _, code, said: "did not take" in said, since=since)
    daemon.send("/voiced/dump")
    daemon.wait("/voiced/dump/done", since=since)
    children = daemon.run_file()["children"]
    assert set(children) == {"audio", "network", "inference"}
    if os.geteuid() == 0:
        held = {name for name, pid in children.items() if in_memory(pid)}
        assert held == {"network"}, "only it is given keys"
    assert daemon.stop() == 0
    assert "connecting with headers" in daemon.log, "what is looked through is really there"
    assert "cannot connect" in daemon.log
    assert [path for path, _ in planted.files(daemon.folder) if "voice_sessions" in path]
    # The search finds what is there: the key file is left out for its folder's name alone.
    key = daemon.state_dir / "keys" / "leaky"
    assert planted.found_in(key.read_bytes())
    moved = key.rename(daemon.state_dir / "leaky")
    with pytest.raises(AssertionError, match="a key that begins so") as found:
        daemon.search()
    assert not planted.found_in(str(found.value))
    moved.unlink()


def in_memory(pid: int) -> bool:
    """Tell whether a planted key is in what a process may write to."""
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if line.split()[1].startswith("rw")
    ]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end in ranges:
            try:
                memory.seek(begin)
                if LIKE_NOTHING.encode() in memory.read(end - begin):
                    return True
            except (OSError, OverflowError):  # a page of a device, or of the kernel
                continue
    return False


def test_a_crash_with_keys_in_memory_leaves_no_core(daemon: Daemon) -> None:
    """Where it may leave one of any size; tests/lane/test_core.py shows that one would be seen."""
    leak(daemon)
    for number in (signal.SIGSEGV, signal.SIGABRT):
        killed = daemon.signal_child("network", number)
        daemon.wait_for_successor("network", killed)
    daemon.until(lambda: "Fatal Python error" in daemon.log, 10, "the crash's lines")
    process = daemon.process
    assert process is not None
    process.send_signal(signal.SIGSEGV)
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGSEGV), "not CLD_DUMPED"
    process.wait(10)
    assert not list((daemon.folder / "cores").iterdir())


def test_a_key_in_a_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """Each of these is somebody's slip; what is told of it, the daemon's end looks through."""
    slips = tmp_path / planted.CREDENTIALS / "slips"
    slips.mkdir(parents=True)
    profile = {"Apikey": planted.OPENAI, "Api_key": planted.XAI, "openai_realtime": {"key": "x"}}
    (slips / "evening.json").write_text(json.dumps(profile))
    readable = tmp_path / "state" / "keys" / "gemini"
    readable.parent.mkdir(parents=True, mode=0o700)
    readable.write_text(planted.GEMINI)
    readable.chmod(0o644)
    agent = ECHO + f'Profilesfolder = "{slips}"\n'
    with Daemon(tmp_path, agent, environment={"VOICED_LOG": "DEBUG"}) as daemon:
        daemon.until(lambda: f"chmod 600 {readable}" in daemon.log, 10, "the refused file")
        daemon.until(lambda: "a key never stands in a profile" in daemon.log, 10, "the profile's")
        for address in ("apikey", "Apikeyy", "Apikey/append", "Apikey/norm", "*key", "Apikey/set"):
            daemon.send(f"{A}/par/{address}", planted.HUME)
        for args in ((planted.HUME, planted.HUME), (1, planted.HUME), (planted.HUME * 99,)):
            daemon.send(f"{A}/par/Apikey", *args)
        for address in ("/voiced/help", "/voiced/forget", "/voiced/subscribe", f"{A}/openai/key"):
            daemon.send(address, planted.HUME)
        for value in (f" {planted.XAI} ", planted.LIKE_NOTHING):
            daemon.send(f"{A}/par/Apikey", value)
        daemon.send("/voiced/sync", 1)
        daemon.wait("/voiced/synced", 1)
        daemon.send(f"{A}/par/Connect")
        daemon.ask(f"{A}/par/Sessionstate", wanted="active")
        daemon.send("/voiced/dump")
        daemon.wait("/voiced/dump/done")
        wrong = tmp_path / planted.CREDENTIALS / "wrong.toml"
        wrong.write_text(
            daemon.config_file.read_text()
            + f'Apikey = "{planted.OPENAI}"\nApi_key = "{planted.OPENAI}"\n'
        )
        command = [sys.executable, "-m", "voiced.control", "run", "--strict", "--config"]
        told = subprocess.run(
            [*command, str(wrong)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert told.returncode == ExitCode.CONFIG
        assert "a key never stands in this file" in told.stderr
        assert not planted.found_in(told.stdout + told.stderr)


def test_a_changed_key_file_counts_after_sighup_and_a_key_by_osc_until_then(
    daemon: Daemon,
) -> None:
    def connected_with(key: str) -> None:
        since = daemon.mark()
        daemon.send(f"{A}/par/Restart")
        daemon.wait(f"{A}/cb/onError", lambda _, code, said: said == digest(key), since=since)

    def key_is_there(wanted: int) -> None:
        since = daemon.mark()
        daemon.send(f"{A}/par/Apikey")
        assert daemon.wait(f"{A}/par/Apikey/set", since=since).args == (wanted,)

    key_is_there(1)
    connected_with(LIKE_NOTHING)
    by_door = planted.HUME
    daemon.send(f"{A}/par/Apikey", by_door)
    daemon.send("/voiced/sync", 7)
    daemon.wait("/voiced/synced", 7)
    key_is_there(1)
    connected_with(by_door)
    assert daemon.process is not None
    # Nothing has changed in the files: what came through the door stays, a new child included.
    killed = daemon.signal_child("network")
    daemon.wait_for_successor("network", killed)
    connected_with(by_door)

    (daemon.state_dir / "keys" / "leaky").write_text("the-second-key-of-the-file\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "keys changed: leaky" in daemon.log, 10, "the reload")
    connected_with("the-second-key-of-the-file")

    (daemon.state_dir / "keys" / "leaky").unlink()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: daemon.log.count("keys changed: leaky") == 2, 10, "the reload")
    connected_with("")
    key_is_there(0)
