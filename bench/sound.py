"""A private PulseAudio with a microphone to click into and a loudspeaker to listen to.

The microphone is a pipe source that is written in real time, 5 ms at once; the loudspeaker is a
null sink whose monitor is read as it comes. Both are stamped with the one monotonic clock, so a
figure is good to about 5 ms, for the floor and for voiced alike.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

RATE = 48000
STEP = RATE // 200
LOUD = 3000
"""int16: far above what a null sink adds, far below a click or a tone."""


class Pulse:
    """A PulseAudio server of our own: source `mic`, sink `spk`. `env` points programs to it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="voiced-bench-"))
        self.fifo = self.home / "mic.fifo"
        self.process: subprocess.Popen[bytes] | None = None
        runtime = self.home / "run"
        runtime.mkdir(mode=0o700)
        (self.home / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PULSE", "XDG"))},
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_SERVER": f"unix:{runtime}/pulse/native",
            "PULSE_SOURCE": "mic",
            "PULSE_SINK": "spk",
            "JACK_NO_START_SERVER": "1",
        }

    async def start(self) -> None:
        self.process = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "--load=module-native-protocol-unix",
             f"--load=module-null-sink sink_name=spk rate={RATE} channels=1",
             f"--load=module-pipe-source source_name=mic file={self.fifo} format=s16le "
             f"rate={RATE} channels=1"],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            ready = subprocess.run(["pactl", "info"], env=self.env, capture_output=True)
            if ready.returncode == 0 and self.fifo.exists():
                return
            await asyncio.sleep(0.02)
        raise RuntimeError("pulseaudio did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.fifo.unlink(missing_ok=True)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Microphone:
    """Feeds the pipe source in real time; `click` puts 4 ms of 1 kHz into the next step.

    A click of single samples would lie above what a provider at 24 kHz can be sent.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._fd = os.open(pulse.fifo, os.O_RDWR | os.O_NONBLOCK)
        self._clicks: list[asyncio.Future[int]] = []
        self._task = asyncio.create_task(self._feed())

    async def click(self) -> int:
        """Return the monotonic ns at which the click entered the microphone."""
        stamp = asyncio.get_running_loop().create_future()
        self._clicks.append(stamp)
        return await stamp

    async def _feed(self) -> None:
        silence, click = bytes(2 * STEP), bytearray(2 * STEP)
        tone = np.repeat([20000, -20000] * 4, RATE // 2000).astype("<i2")
        click[: 2 * len(tone)] = tone.tobytes()
        due = time.monotonic()
        while True:
            data = bytes(click) if self._clicks else silence
            try:
                os.write(self._fd, data)
            except BlockingIOError:
                pass
            else:
                if self._clicks:
                    self._clicks.pop(0).set_result(time.monotonic_ns())
            due += STEP / RATE
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def close(self) -> None:
        if not self._task.cancelled():
            self._task.cancel()
            os.close(self._fd)


class Loudspeaker:
    """Listens to the sink's monitor.

    Attributes:
        heard: (monotonic ns of a chunk's first sample, samples) of the last 30 s.
    """

    def __init__(self, pulse: Pulse) -> None:
        self.heard: deque[tuple[int, np.ndarray]] = deque(maxlen=6000)
        self._process = subprocess.Popen(
            ["parec", "--device=spk.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1",
             "--latency-msec=5", "--process-time-msec=5", "--raw"],
            env=pulse.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._fd = self._process.stdout.fileno()
        os.set_blocking(self._fd, False)
        self._odd = b""
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def _read(self) -> None:
        data = self._odd + os.read(self._fd, 65536)
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
            return
        self._odd = data[len(data) // 2 * 2 :]
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
        now = time.monotonic_ns()
        self.heard.append((now - len(samples) * 1_000_000_000 // RATE, samples))

    def since(self, start_ns: int) -> tuple[int, np.ndarray]:
        """Return (ns of the first sample, samples) of everything heard from `start_ns` on."""
        chunks = [(ns, samples) for ns, samples in self.heard if ns >= start_ns]
        if not chunks:
            return start_ns, np.zeros(0, np.int16)
        return chunks[0][0], np.concatenate([samples for _, samples in chunks])

    def first_loud(self, start_ns: int) -> int | None:
        """Return the ns of the first loud sample after `start_ns`."""
        first = None
        for ns, samples in self._back_to(start_ns):
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
            if len(loud):
                first = ns + int(loud[0]) * 1_000_000_000 // RATE
        return first

    def last_loud(self, start_ns: int) -> int | None:
        """Return the ns of the last sample above -60 dBFS after `start_ns`."""
        for ns, samples in self._back_to(start_ns):
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 33)
            if len(loud):
                return ns + int(loud[-1]) * 1_000_000_000 // RATE
        return None

    def _back_to(self, start_ns: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the chunks from the newest back to the one that `start_ns` lies in."""
        for ns, samples in reversed(self.heard):
            if ns + len(samples) * 1_000_000_000 // RATE < start_ns:
                return
            yield ns, samples

    def gaps(self, start_ns: int, longer_ms: float = 3) -> int:
        """Count the silent stretches inside what sounded after `start_ns`."""
        _, samples = self.since(start_ns)
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
        return int(np.count_nonzero(np.diff(loud) > longer_ms * RATE / 1000))

    def longest_gap_ms(self, start_ns: int) -> float:
        """Return the longest silent stretch inside what sounded after `start_ns`."""
        _, samples = self.since(start_ns)
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
        longest = float(np.diff(loud).max()) * 1000 / RATE if len(loud) > 1 else 0.0
        return longest if longest > 3 else 0.0

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._process.kill()
        self._process.wait()
