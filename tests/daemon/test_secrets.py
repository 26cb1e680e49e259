"""Keys are planted and then looked for in everything that leaves the processes."""

from __future__ import annotations

import hashlib
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.daemon.rig import Daemon

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
LIKE_NOTHING = "Trombone/shaped~pebbles'in&milk%20\\+1"
"""As no vendor makes them: no pattern would find it, and every form of quoting changes it."""
LIKE_A_VENDOR = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz0123"
FROM_THE_ENVIRONMENT = "xai-planted-in-the-environment-0123456789"


def forms(key: str) -> set[str]:
    return {key, quote(key), quote(key, safe=""), repr(key)[1:-1], key[:12], key[-12:]}


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def daemon(tmp_path: Path):
    drop_ins = tmp_path / "drop_ins"
    drop_ins.mkdir(mode=0o755)
    shutil.copy(DROP_IN, drop_ins)
    (drop_ins / DROP_IN.name).chmod(0o644)
    keys = tmp_path / "state" / "keys"
    keys.mkdir(parents=True, mode=0o700)
    for server, key in (("leaky", LIKE_NOTHING), ("openai", LIKE_A_VENDOR)):
        (keys / server).write_text(key + "\n")
        (keys / server).chmod(0o600)
    environment = {
        "VOICED_LOG": "DEBUG",
        "XAI_API_KEY": FROM_THE_ENVIRONMENT,
        "A_COPY_OF_MINE": FROM_THE_ENVIRONMENT,
    }
    with Daemon(
        tmp_path,
        AGENTS.format(folder=drop_ins),
        environment=environment,
        ready=("audio", "network", "inference"),
    ) as running:
        yield running


def test_no_key_is_in_a_log_a_message_a_file_a_command_line_or_another_childs_environment(
    daemon: Daemon,
) -> None:
    since = daemon.mark()
    daemon.send(f"{A}/par/Connect")
    daemon.wait(f"{A}/cb/onError", lambda _, code, said: said == digest(LIKE_NOTHING), since=since)
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
    daemon.send(f"{A}/leaky/start", "refuse")
    since = daemon.mark()
    daemon.send(f"{A}/par/Restart")
    daemon.wait(f"{A}/cb/onError", lambda _, code, said: "did not take" in said, since=since)

    children = daemon.run_file()["children"]
    assert set(children) == {"audio", "network", "inference"}
    assert daemon.process is not None
    daemon.send("/voiced/dump")
    daemon.wait("/voiced/dump/done", since=since)
    places = {"log": daemon.log, "osc": repr([m.args for m in daemon.client.messages])}
    for name, pid in {**children, "control": daemon.process.pid}.items():
        places[f"command line of {name}"] = Path(f"/proc/{pid}/cmdline").read_text()
        if name not in ("network", "control"):
            places[f"environment of {name}"] = Path(f"/proc/{pid}/environ").read_text()
    assert daemon.stop() == 0
    places["log"] = daemon.log
    for file in daemon.folder.rglob("*"):
        if file.is_file() and file.parent.name != "keys":
            places[str(file)] = file.read_text(errors="replace")
    assert "connecting with headers" in places["log"], "what was looked through is really there"
    assert "cannot connect" in places["log"]
    assert any("voice_sessions" in place for place in places)
    for key in (LIKE_NOTHING, LIKE_A_VENDOR, FROM_THE_ENVIRONMENT):
        for place, text in places.items():
            assert not [form for form in forms(key) if form in text], place


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
    by_door = "another one, by a door".replace(" ", "-")
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

    since = daemon.mark()
    (daemon.state_dir / "keys" / "leaky").write_text("the-second-key-of-the-file\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "keys changed: leaky" in daemon.log, 10, "the reload")
    connected_with("the-second-key-of-the-file")

    (daemon.state_dir / "keys" / "leaky").unlink()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: daemon.log.count("keys changed: leaky") == 2, 10, "the reload")
    connected_with("")
    key_is_there(0)
    assert "by-a-door" not in daemon.log + repr(daemon.client.all(f"{A}/par/Apikey", since=since))
