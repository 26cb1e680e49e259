"""Real sound servers without sound cards: a JACK dummy server, PulseAudio null sinks.

Context managers; each start waits until the server answers and each stop until it is gone (a JACK
server that starts while another dies fails). Every server has a name and a folder of its own, so
that several may run at once. `env` is what a client's environment needs; nothing of the machine's
own sound set-up is used.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

_serial = itertools.count()
MISSING = [program for program in ("jackd", "jack_wait", "pulseaudio", "pactl", "parec", "pacat")
           if shutil.which(program) is None]  # fmt: skip
"""Programs of the sound servers that this machine lacks."""


def pause(seconds: float) -> None:
    """Let a poll of something that sends no message breathe."""
    select.poll().poll(seconds * 1000)


class _Server:
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill -9 and reap."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it the ordinary way and reap."""
        self._end(signal.SIGTERM)

    def run(self, *command: str, deadline_s: float = 10.0) -> str:
        """Run a client program in this server's environment; return what it says."""
        told = subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, timeout=deadline_s
        )
        assert told.returncode == 0, told.stderr.decode()
        return told.stdout.decode()

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None

    def _await(self, ready, deadline_s: float = 10.0) -> None:
        end = time.monotonic() + deadline_s
        while not ready():
            assert self.process.poll() is None, f"{self.process.args[0]} ended: see {self.log}"
            assert time.monotonic() < end, f"{self.process.args[0]} is not ready: see {self.log}"
            pause(0.05)


class JackServer(_Server):
    """`jackd -d dummy`: system:capture_N is silence, system:playback_N goes nowhere.

    Args:
        channels: of capture and of playback.
        samplerate: Hz.
        block: frames a period.
    """

    def __init__(self, channels: int = 4, samplerate: int = 48000, block: int = 128) -> None:
        self.name = f"voiced_{os.getpid()}_{next(_serial)}"
        self.channels, self.samplerate, self.block = channels, samplerate, block
        self.folder = Path(tempfile.mkdtemp(prefix="voiced-jack-"))
        self.log = self.folder / "jackd.log"
        # A home without .asoundrc: ALSA then finds nothing, and JACK is the only host.
        self.env = {
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_SERVER": f"unix:{self.folder}/none",
        }

    def start(self) -> None:
        """Start it and wait until clients can open."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["jackd", "-R", "-n", self.name, "-d", "dummy", "-r", str(self.samplerate),
                 "-p", str(self.block), "-C", str(self.channels), "-P", str(self.channels)],
                env={**os.environ, **self.env}, stdout=log, stderr=log,
            )  # fmt: skip
        self._await(self._answers, 20.0)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        # What clients leave whose server was killed or ended before them.
        user = os.getuid()
        for pattern in (f"jack_sem.{user}_{self.name}_*", f"jack_{self.name}_{user}_*"):
            for left in Path("/dev/shm").glob(pattern):
                left.unlink(missing_ok=True)

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["jack_wait", "-s", self.name, "-c"],
            env={**os.environ, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return b"not running" not in asked.stdout and asked.returncode == 0


class PulseServer(_Server):
    """PulseAudio with a null sink `speaker` and a null sink whose monitor is the microphone `mic`.

    What is played into `mic_in` is heard at the source `mic`; what goes to `speaker` can be taken
    from `speaker.monitor`. An ALSA configuration in its own home sends PortAudio there. The sinks
    are loaded with norewinds: a plain null sink starts with blocks of 2 s and again after each
    underrun, which no sound card does.

    Args:
        always_sink: what desktops have loaded: a lost sink moves its streams to another one, and to
            `auto_null` where there is none.
        microphone: whether there is a `mic`; it is a sink too, so that streams may move there.
        channels: of the speaker sink.
    """

    def __init__(
        self, *, always_sink: bool = False, microphone: bool = True, channels: int = 2
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="voiced-pulse-"))
        self.folder.chmod(0o700)
        self.log = self.folder / "pulse.log"
        self.always_sink, self.microphone, self.channels = always_sink, microphone, channels
        plugin = "pcm.!default {type pulse}\nctl.!default {type pulse}\n"
        (self.folder / ".asoundrc").write_text(plugin)
        self.env = {
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder / "pulse"),
            "PULSE_SERVER": f"unix:{self.folder}/pulse/native",
            "JACK_DEFAULT_SERVER": f"voiced_none_{os.getpid()}",
            "JACK_NO_START_SERVER": "1",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }
        self._speaker = ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        modules = ["module-native-protocol-unix"]
        if self.always_sink:
            modules += ["module-always-sink", "module-rescue-streams"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                 "--log-target=stderr", *(f"--load={module}" for module in modules)],
                env={k: v for k, v in {**os.environ, **self.env}.items() if k != "PULSE_SERVER"},
                stdout=log, stderr=log,
            )  # fmt: skip
        self._await(lambda: self._pactl("info").returncode == 0)
        if self.microphone:
            self._load_sink("mic_in", 1)
            self.pactl(
                "load-module", "module-remap-source", "source_name=mic", "master=mic_in.monitor"
            )
        self.plug()
        if self.microphone:
            self.pactl("set-default-source", "mic")

    def _load_sink(self, name: str, channels: int) -> str:
        options = (f"sink_name={name}", "rate=48000", f"channels={channels}", "norewinds=1")
        return self.pactl("load-module", "module-null-sink", *options).strip()

    def plug(self) -> None:
        """Plug the loudspeaker in."""
        self._speaker = self._load_sink("speaker", self.channels)
        self.pactl("set-default-sink", "speaker")

    def unplug(self) -> None:
        """Pull the loudspeaker out."""
        self.pactl("unload-module", self._speaker)

    def pactl(self, *arguments: str) -> str:
        """Run pactl and return what it says."""
        told = self._pactl(*arguments)
        assert told.returncode == 0, told.stderr.decode()
        return told.stdout.decode()

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", *arguments], env={**os.environ, **self.env}, capture_output=True, timeout=10
        )

    def record(self, source: str = "speaker.monitor", channels: int = 2) -> PulseRecording:
        """Start to record a source, by default what the loudspeaker plays."""
        return PulseRecording(self, source, channels)

    def speak(self, samples: np.ndarray) -> subprocess.Popen[bytes]:
        """Play int16 mono at 48 kHz before the microphone; returns at once."""
        process = subprocess.Popen(
            ["pacat", "-p", "-d", "mic_in", "--format=s16le", "--rate=48000", "--channels=1",
             "--latency-msec=20"],
            env={**os.environ, **self.env}, stdin=subprocess.PIPE,
        )  # fmt: skip
        process.stdin.write(np.asarray(samples, "<i2").tobytes())
        process.stdin.close()
        return process


class PulseRecording:
    """parec of one source; `samples()` is what came so far, shape (frames, channels)."""

    def __init__(self, server: PulseServer, source: str, channels: int) -> None:
        self._channels = channels
        self._path = server.folder / f"recording-{next(_serial)}.raw"
        with self._path.open("wb") as out:
            self._process = subprocess.Popen(
                ["parec", "-d", source, "--format=s16le", "--rate=48000",
                 f"--channels={channels}", "--latency-msec=10"],
                env={**os.environ, **server.env}, stdout=out,
            )  # fmt: skip

    def __enter__(self) -> PulseRecording:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(5)

    def samples(self) -> np.ndarray:
        """Return everything recorded so far."""
        raw = self._path.read_bytes()
        whole = len(raw) // (2 * self._channels) * 2 * self._channels
        return np.frombuffer(raw[:whole], "<i2").reshape(-1, self._channels)
