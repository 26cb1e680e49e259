"""The two programs that are measured: the floor script, and voiced as a daemon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO

from bench.processes import memory_mb
from bench.service import KEY, Service
from bench.sound import Pulse
from voiced.providers import provider_openai_realtime

HERE = Path(__file__).parent

CONFIG = """
[osc]
port = {port}
[web]
port = {web}
[audio]
backend = "portaudio"
input = "pulse"
output = "pulse"
samplerate = 48000
[storage]
state_dir = "{state}"
[[agent]]
name = "voice_agent"
input_channels = [1]
output_channels = [1]
on_start = "connect"
[agent.par]
Provider = "openai_realtime"
Bargein = "on"
[agent.openai_realtime]
endpoint = "{url}"
"""


class Program(ABC):
    """A running client of the service, started by `start`."""

    name = ""
    margin_ms = 0
    """By how much `audio_end_ms` is told short of what was heard, to be on the safe side."""

    def __init__(self, pulse: Pulse, service: Service) -> None:
        self.pulse, self.service = pulse, service
        self.process: subprocess.Popen[bytes] | None = None
        self.started_ns = 0

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments."""

    async def start(self) -> float:
        """Start and wait for the first append; return the seconds until the service had it."""
        before = len(self.service.first_append)
        self.started_ns = time.monotonic_ns()
        log: int | IO[bytes] = subprocess.DEVNULL
        if "KEEP_LOG" in os.environ:
            log = (HERE.parent / f"{self.name}.log").open("wb")
        self.process = subprocess.Popen(
            self.command(),
            env={**self.pulse.env, "OPENAI_API_KEY": KEY},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        deadline = time.monotonic() + 30
        while len(self.service.first_append) == before:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not connect")
            await asyncio.sleep(0.005)
        return (self.service.first_append[-1] - self.started_ns) / 1e9

    async def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.process.wait, 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        self.process = None

    def pids(self) -> dict[int, str]:
        """Return every process of the program, named by what it runs."""
        assert self.process is not None
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            module = [w.decode() for w in words if w.startswith(b"voiced.")]
            found[pid] = module[0].removeprefix("voiced.") if module else "main"
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        return found

    async def usage(self, seconds: float) -> dict[str, tuple[float, float]]:
        """Return {process: (% of a core, USS in MB)} over `seconds`."""

        def ticks(pid: int) -> int:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        pids = self.pids()
        before, start = {pid: ticks(pid) for pid in pids}, time.monotonic()
        await asyncio.sleep(seconds)
        span = (time.monotonic() - start) * os.sysconf("SC_CLK_TCK")
        found = {}
        for pid, name in pids.items():
            # One that ended meanwhile did not idle.
            with contextlib.suppress(FileNotFoundError):
                found[name] = (ticks(pid) - before[pid]) / span * 100, memory_mb(pid, "Private_")
        return found


class Floor(Program):
    """The 40-line script."""

    name = "floor"

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "floor.py"), self.service.url, "pulse", "10"]

    async def spin(self, seconds: float) -> None:
        """User code runs where the script's own code runs."""
        await self.service.call_tool("spin", seconds=seconds)


class Voiced(Program):
    """The daemon, with its provider for the service and nothing of it replaced."""

    name = "voiced"
    margin_ms = provider_openai_realtime.HEARD_MARGIN_MS

    def command(self) -> list[str]:
        state = tempfile.mkdtemp(prefix="state-", dir=self.pulse.home)
        config = Path(state) / "voiced.toml"
        port = 20000 + os.getpid() % 20000
        config.write_text(CONFIG.format(port=port, web=port + 1, state=state, url=self.service.url))
        return [sys.executable, "-m", "voiced.cli", "run", "--config", str(config)]

    async def spin(self, seconds: float) -> None:
        """The process that all doors and all decisions live in is stopped for so long."""
        assert self.process is not None
        control = next(p for p, n in self.pids().items() if n in ("cli", "control", "main"))
        os.kill(control, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(control, signal.SIGCONT)
