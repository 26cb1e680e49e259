"""A conversation that goes on: after Connect, from a named trace, and after a power cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import ECHO, Daemon, alive
from voiced.cli import main

A = "/voice_agent"
REPLAYED = "Replayed 2 messages (replay, cost grows with history)"


def connect(daemon: Daemon) -> int:
    since = daemon.mark()
    daemon.send(f"{A}/par/Connect")
    daemon.wait(f"{A}/par/Sessionstate", "active", since=since)
    return since


def talk(daemon: Daemon, text: str) -> None:
    since = daemon.mark()
    daemon.send(f"{A}/par/Sendtext", text)
    daemon.wait(f"{A}/cb/onAssistantText", f"(echo of: {text})", since=since)


def disconnect(daemon: Daemon) -> str:
    """End the session; return its trace."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Disconnect")
    end = daemon.wait(f"{A}/cb/onSessionEnd", since=since)
    daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=since)
    return str(end.args[2])


def table(daemon: Daemon, since: int) -> dict[str, tuple[str, str]]:
    """Return (role, message) of every row written since, by its id."""
    rows = daemon.client.all(f"{A}/conv/row", since=since)
    return {str(row.args[3]): (str(row.args[1]), str(row.args[2])) for row in rows}


def test_resumelast_shows_the_old_rows_and_tells_what_happened(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        connect(daemon)
        talk(daemon, "good evening")
        first = disconnect(daemon)
        daemon.send(f"{A}/par/Resumelast", 1)
        since = connect(daemon)
        daemon.wait(f"{A}/par/Sessionresume", REPLAYED, since=since)
        assert list(table(daemon, since).values())[:2] == [
            ("user", "good evening"), ("assistant", "(echo of: good evening)"),
        ]  # fmt: skip
        talk(daemon, "and again")
        disconnect(daemon)
        # Once more: the second trace holds both conversations.
        since = connect(daemon)
        daemon.wait(f"{A}/par/Sessionresume", REPLAYED.replace("2", "4"), since=since)
        disconnect(daemon)
        # A named one counts before the newest, and once.
        daemon.send(f"{A}/par/Loadsessionfile", first)
        since = connect(daemon)
        daemon.wait(f"{A}/par/Sessionresume", REPLAYED, since=since)
        daemon.ask(f"{A}/par/Loadsessionfile", wanted="")


def test_a_named_trace_that_is_damaged_says_so_and_starts_fresh(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        broken = daemon.state_dir / "voice_sessions" / "broken.json"
        broken.parent.mkdir(parents=True, exist_ok=True)
        broken.write_text("{torn")
        daemon.send(f"{A}/par/Loadsessionfile", str(broken))
        since = connect(daemon)
        told = daemon.wait(f"{A}/cb/onError", "session", since=since)
        assert "broken.json cannot be gone on with" in told.args[2]
        assert daemon.ask(f"{A}/par/Sessionresume") == ("Fresh session",)


def kill(daemon: Daemon) -> None:
    """End the daemon as a power cut would, and wait for its children."""
    children = daemon.run_file()["children"].values()
    daemon.process.kill()
    daemon.process.wait(5.0)
    for pid in children:
        daemon.until(lambda pid=pid: not alive(pid), 5.0, f"the end of child {pid}")


def test_what_was_written_elsewhere_is_found_when_the_folder_is_another_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Daemon(tmp_path) as daemon:
        there = daemon.state_dir / "there"
        daemon.send(f"{A}/par/Sessiontracedir", str(there))
        connect(daemon)
        talk(daemon, "good evening")
        daemon.send(f"{A}/par/Sessiontracedir", str(daemon.state_dir / "here"))
        state = daemon.state_dir / "state.json"
        daemon.until(
            lambda: state.exists() and "here" in state.read_text()
            and any("echo of" in path.read_text() for path in there.glob("*.jsonl")),
            10.0, "the journal's line and the folder's name",
        )  # fmt: skip
        kill(daemon)
        daemon.start()
        daemon.until(lambda: any(there.glob("*.json")), 10.0, "the trace of what broke off")
        daemon.ask(f"{A}/par/Sessionresume", wanted=REPLAYED)
        main(["traces", "list", "--state-dir", str(daemon.state_dir), "--format", "json"])
        (first,) = there.glob("*.json")
    assert first.stem in capsys.readouterr().out


@pytest.mark.parametrize(("within", "resumed"), [(120, REPLAYED), (0, "Fresh session")])
def test_after_a_power_cut_the_talk_goes_on(tmp_path: Path, within: int, resumed: str) -> None:
    daemon = Daemon(
        tmp_path, ECHO.replace('"voice_agent"\n', f'"voice_agent"\nresume_within = {within}\n')
    )
    with daemon:
        connect(daemon)
        talk(daemon, "good evening")
        folder = daemon.state_dir / "voice_sessions" / "voice_agent"
        daemon.until(
            lambda: any("echo of" in path.read_text() for path in folder.glob("*.jsonl")),
            10.0, "the journal's line",
        )  # fmt: skip
        state = daemon.state_dir / "state.json"
        daemon.until(
            lambda: state.exists() and "Active" in state.read_text(), 10.0, "the wish on the disk"
        )
        kill(daemon)
        since = daemon.mark()
        daemon.start()
        daemon.wait(f"{A}/par/Sessionstate", "active", since=since)
        daemon.ask(f"{A}/par/Sessionresume", wanted=resumed)
        words = [message for _, message in table(daemon, since).values()]
        assert ("good evening" in words) == (within > 0)
