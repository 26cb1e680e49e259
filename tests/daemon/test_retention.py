"""storage.retention_days: at the start and at a reload, told with counts alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.daemon.rig import CONFIG, ROOT, Daemon

OLD = "20250101_100000_echo_default_00000001"
OLDER = "20240101_100000_echo_default_00000002"
DAY_S = 86_400


def put(folder: Path, name: str, age_days: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("{}")
    os.utime(path, (time.time() - age_days * DAY_S,) * 2)
    return path


def _traces(daemon: Daemon, *words: str) -> str:
    """Return what `voiced traces` says of a daemon's folder, of damaged files too."""
    told = subprocess.run(
        [sys.executable, "-m", "voiced.cli", "traces", words[0], "--config",
         str(daemon.config_file), *words[1:]],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return told.stdout + told.stderr


def test_old_conversations_go_at_the_start_and_at_a_reload(tmp_path: Path) -> None:
    config = CONFIG + "retention_days = 365\n"
    daemon = Daemon(tmp_path, config=config)
    folder = daemon.state_dir / "voice_sessions" / "voice_agent"
    daemon.state_dir.mkdir(mode=0o700)
    younger = put(folder, f"{OLD}.json", 100)
    gone = [put(folder, f"{OLDER}{ending}", 700) for ending in (".json", ".wav")]
    with daemon:
        daemon.until(lambda: not any(map(Path.exists, gone)), 20, "the old ones' end")
        assert "1 traces and 1 recordings older than 365 days were removed" in daemon.log
        assert younger.exists()
        daemon.send("/voice_agent/par/Connect")
        started = daemon.wait("/voice_agent/cb/onSessionStart")
        journal = folder / f"{started.args[0]}.journal.jsonl"
        daemon.until(journal.exists, 20, "the journal")
        listed = _traces(daemon, "list")
        assert [started.args[0] in line for line in listed.splitlines() if "running" in line] == [
            True
        ]
        assert "still runs" in _traces(daemon, "forget", "--yes", started.args[0])
        os.utime(journal, (0, 0))
        daemon._template = CONFIG + "retention_days = 30\n"
        daemon.write_config()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: not younger.exists(), 20, "the younger one's end")
        assert journal.exists(), "a running session's is never touched"
        assert OLD not in daemon.log
        assert OLDER not in daemon.log
