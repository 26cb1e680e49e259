"""A JACK server without a sound card, to carry MIDI where there is no ALSA sequencer."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

STARTS_WITHIN_S = 20.0


class Jack:
    """One jackd with the dummy driver, under a name of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._server = subprocess.Popen(
            ["jackd", "-r", "-n", self.name, "-d", "dummy", "-r", "48000", "-p", "256"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        subprocess.run(
            ["jack_wait", "-s", self.name, "-w", "-t", str(int(STARTS_WITHIN_S))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=STARTS_WITHIN_S + 5,
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None


@contextmanager
def jack_server() -> Iterator[Jack]:
    """Run a server for JACK clients of this process: libjack finds it by the environment."""
    name = f"voiced_{os.getpid()}_{time.monotonic_ns() % 100_000}"
    before = {key: os.environ.get(key) for key in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER")}
    os.environ.update(JACK_DEFAULT_SERVER=name, JACK_NO_START_SERVER="1")
    os.environ.setdefault("JACK_NO_AUDIO_RESERVATION", "1")
    jack = Jack(name)
    try:
        jack.start()
        yield jack
    finally:
        jack.stop()
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
