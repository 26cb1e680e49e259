"""Rooms to talk in: a sound server, a daemon on it, a visitor's mouth and an ear at its outputs.

Both rooms speak and hear alike:

    with JackRoom(folder) as room:
        room.speak(samples)         int16 at 48 kHz; returns once all of it was played
        room.heard()                float (frames, channels) since the room was opened
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import soxr

from tests.analysis import read_wav, spans
from tests.daemon.rig import ROOT, Daemon
from tests.servers import JackServer, PulseServer

RATE = 48_000
VISITORS = ROOT / "voiced" / "cli" / "visitors"

CONFIG = """
[osc]
port = 0
targets = [{{ host = "127.0.0.1", port = {target}, send = ["/*"], flat = true }}]
[audio]
backend = "portaudio"
samplerate = 48000
[storage]
state_dir = "{state_dir}"
"""
LOCAL = """
[[midi.bind]]
port = "FS-1"
message = "control_change"
control = 64
address = "/voice_agent/par/Talk"
mode = "momentary"
[[agent]]
name = "voice_agent"
on_start = "wait"
[agent.local]
hangover_ms = 1500  # a sound server stalls on a busy machine, and a stall is silence
[agent.par]
Provider = "local"
"""


def recording(name: str) -> np.ndarray:
    """Return a packaged recording as int16 at 48 kHz."""
    rate, samples = read_wav(VISITORS / name)
    return at_rate(samples[:, 0], rate, RATE)


def at_rate(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return int16 samples at another rate."""
    return samples if rate == wanted else soxr.resample(samples, rate, wanted)


def transcript(name: str) -> str:
    """Return what is said in a packaged recording."""
    with (VISITORS / "transcripts.tsv").open(encoding="utf-8", newline="") as table:
        return {row["file"]: row["transcript"] for row in csv.DictReader(table, delimiter="\t")}[
            name
        ]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


def mono_16k(heard: np.ndarray) -> np.ndarray:
    """Return one channel of float samples at 48 kHz as int16 at 16 kHz, for the recogniser."""
    whole = np.clip(np.rint(heard * 32768.0), -32768, 32767).astype(np.int16)
    return at_rate(whole, RATE, 16_000)


def utterances(samples: np.ndarray) -> list[np.ndarray]:
    """Return what a second of silence sets apart, mono at 16 kHz, each with a quarter around it."""
    found = spans(samples, 16_000, gap_s=1.0)
    assert found, "nothing is to be heard"
    return [samples[max(0, start - 4000) : end + 4000] for start, end in found]


class JackRoom:
    """A JACK dummy server, voiced's daemon and visitors who speak and listen at its ports."""

    def __init__(
        self, folder: Path, agents: str = LOCAL, *, channels: int = 2, mouths: int = 1,
        ears: int = 2, block: int = 256,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.server = JackServer(channels, RATE, block)
        self._agents, self._mouths, self._ears = agents, mouths, ears
        self._events: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._serial = 0

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, **self.server.env}

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._visitors = subprocess.Popen(
                [sys.executable, "-m", "tests.outside.jack_visitor", str(self._mouths),
                 str(self._ears)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=self.env, text=True,
            )  # fmt: skip
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            self.wait("ready")
            self.daemon = Daemon(
                self.folder, self._agents, config=CONFIG, environment=self.server.env
            )
            self.daemon.__enter__()
            for port in [f"in_{n}" for n in range(self._mouths)]:
                self.wait("connected", port=f"voiced:{port}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "daemon"):
            self.daemon.__exit__()
        if hasattr(self, "_visitors"):
            assert self._visitors.stdin is not None
            self._visitors.stdin.close()
            self._visitors.terminate()
            self._visitors.wait(5)
            self._reader.join(5)
        self.server.__exit__()

    def say(self, samples: np.ndarray, mouth: int = 1, marks: dict[str, int] | None = None) -> int:
        """Begin to speak; return a place in the events, for `since`."""
        self._serial += 1
        path = self.folder / f"said-{self._serial}.npy"
        np.save(path, samples)
        with self._came:
            since = len(self._events)
        self._command(say=str(path), mouth=mouth, marks=marks or {})
        return since

    def speak(self, samples: np.ndarray, mouth: int = 1) -> None:
        """Speak; return once the last sample was played."""
        since = self.say(samples, mouth)
        self.wait("end", since=since, deadline_s=len(samples) / RATE + 20, mouth=mouth)

    def heard(self) -> np.ndarray:
        """Return what the ears heard so far, shape (frames, ears), full scale 1.0."""
        path = self.folder / "heard.npy"
        with self._came:
            since = len(self._events)
        self._command(keep=str(path))
        self.holes = self.wait("kept", since=since)["holes"]
        return np.load(path)

    def wait(
        self, event: str, *, since: int = 0, deadline_s: float = 30.0, **fields: Any
    ) -> dict[str, Any]:
        """Return the first event of this name and these fields from place `since` on."""
        wanted = {"event": event, **fields}
        deadline = time.monotonic() + deadline_s
        with self._came:
            while True:
                for one in self._events[since:]:
                    if wanted.items() <= one.items():
                        return one
                left = deadline - time.monotonic()
                if left <= 0 or not self._came.wait(left):
                    raise AssertionError(f"no {wanted} in {deadline_s} s: {self._events[-8:]}")

    def _command(self, **command: Any) -> None:
        assert self._visitors.stdin is not None
        self._visitors.stdin.write(json.dumps(command) + "\n")
        self._visitors.stdin.flush()

    def _read(self) -> None:
        assert self._visitors.stdout is not None
        with self._visitors.stdout as lines:
            for line in lines:
                with self._came:
                    self._events.append(json.loads(line))
                    self._came.notify_all()


class PulseRoom:
    """PulseAudio null sinks: one's monitor is the microphone, one is the loudspeaker."""

    def __init__(self, folder: Path, agents: str = LOCAL) -> None:
        self.folder, self._agents = folder, agents
        self.server = PulseServer()

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._recording = self.server.record(channels=2)
            self.daemon = Daemon(
                self.folder, self._agents, config=CONFIG, environment=self.server.env
            )
            self.daemon.__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "daemon"):
            self.daemon.__exit__()
        if hasattr(self, "_recording"):
            self._recording.__exit__()
        self.server.__exit__()

    def speak(self, samples: np.ndarray) -> None:
        """Speak; return once the last sample was played."""
        assert self.server.speak(samples).wait(len(samples) / RATE + 20) == 0

    def heard(self) -> np.ndarray:
        """Return what the loudspeaker played so far, shape (frames, 2), full scale 1.0."""
        return self._recording.samples().astype(np.float64) / 32768.0


Room = JackRoom | PulseRoom
