"""The Pd patch holds a conversation: it alone opens the session, and prints both sides."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.daemon.rig import ROOT, Daemon

pytestmark = pytest.mark.skipif(shutil.which("pd") is None, reason="puredata-core is not installed")
PATCH = ROOT / "integrations" / "conversation.pd"
VISITOR = ROOT / "voiced" / "cli" / "visitors" / "lv_0930.wav"
WITHIN_S = 30.0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Pd:
    """Pd without a window, and what it prints."""

    def __init__(self, *messages: str) -> None:
        sends = [word for message in messages for word in ("-send", message)]
        self._process = subprocess.Popen(
            ["pd", "-nogui", "-stderr", "-noaudio", "-nomidi", "-open", str(PATCH), *sends],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._more:
                self._lines.append(line.strip())
                self._more.notify_all()

    def wait(self, start: str) -> str:
        with self._more:
            found = self._more.wait_for(
                lambda: next((line for line in self._lines if line.startswith(start)), ""), WITHIN_S
            )
            assert found, f"Pd did not print {start!r} but {self._lines}"
            return found

    def __enter__(self) -> Pd:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait(5)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()


def test_the_patch_opens_a_session_and_prints_both_sides(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        with Pd(
            f"voiced listen {free_port()}",
            f"voiced connect 127.0.0.1 {daemon.port}",
            "voiced start",
        ) as pd:
            pd.wait("session-start:")
            daemon.send("/voiced/audio/play", "voice_agent", str(VISITOR))
            pd.wait("phase: 2")
            pd.wait("visitor: (")
            pd.wait("voice: (")
            pd.wait("phase: 4")
        assert daemon.client.all("/voice_agent/cb/onError") == []
