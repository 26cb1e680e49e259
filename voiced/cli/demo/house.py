"""The daemon of a demo: a process of its own, with a state folder that goes when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from voiced.control.instance import RUN_FILE
from voiced.control.osc.client import Client
from voiced.errors import VoicedError

START_S: Final = 60.0
_STOP_S: Final = 10.0
CONVERSATION: Final = "conversation.wav"


class House:
    """One daemon, from its start to its end.

    Args:
        state_dir: an empty folder.
        out: where conversation.wav goes.
        provider: who speaks.
        live: on this machine's sound card instead of the virtual one.
    """

    def __init__(self, state_dir: Path, out: Path, provider: str, *, live: bool) -> None:
        self.state_dir, self._out, self._provider, self._live = state_dir, out, provider, live
        self._process: subprocess.Popen[bytes] | None = None
        self._log = state_dir / "log.txt"

    def __enter__(self) -> House:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def start(self) -> Client:
        """Start it; return a connection once its hands are up.

        Raises:
            VoicedError: it ended, or did not come up in time.
        """
        config = self.state_dir / "demo.toml"
        config.write_text(self._config(), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "voiced.cli", "run", "--strict", "--config", str(config)],
                stderr=log,
                env=environment,
            )
        return Client(port=self._port(time.monotonic() + START_S), timeout=START_S)

    def _port(self, until: float) -> int:
        wanted = {"audio", "network"}
        while time.monotonic() < until:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                told = json.loads((self.state_dir / RUN_FILE).read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                told = {"ready": []}
            if wanted <= set(told["ready"]):
                return int(told["osc_port"])
            time.sleep(0.05)
        last = self._log.read_text(encoding="utf-8", errors="replace").strip()
        raise VoicedError(f"the daemon did not come up; the last it said:\n{last[-2000:]}")

    def _config(self) -> str:
        def quoted(text: object) -> str:
            return json.dumps(str(text))

        sound = (
            'backend = "portaudio"'
            if self._live
            else f'backend = "virtual"\n[audio.virtual]\noutput = ""\nconversation = '
            f"{quoted(self._out / CONVERSATION)}"
        )
        return (
            f"[osc]\nport = 0\n[web]\nport = 0\n[audio]\n{sound}\n"
            f"[storage]\nstate_dir = {quoted(self.state_dir)}\n"
            f'[[agent]]\nname = "voice_agent"\non_start = "wait"\n'
            f"[agent.par]\nProvider = {quoted(self._provider)}\n"
        )
