"""A daemon with the drop-in service `dropins/provider_stage.py`: what it was given, what was heard.

Two providers of the same code: `stage` is paid by the token, `meter` by the minute connected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.analysis import write_wav
from tests.daemon.rig import CONFIG, DEADLINE_S, Client, Daemon, alive

RATE = 48_000
BLOCK = 240
"""Frames of the virtual card's blocks."""
WRAP = 30_000
RAMP_WORDS = "to be or not to be that is the question whether it is nobler"
"""What a ramp says: its first word is short, so that it was soon heard."""
_HEADER = 44
"""Bytes before a wav file's samples."""
A = "/voice_agent"
CLOSES = ("closed", "closed_for_good")
_CONFIG = CONFIG.replace('output = ""', 'output = ""\nconversation = "conversation.wav"').replace(
    "[audio]", "rates = {{ connect = 1000, sendtext = 1000 }}\n[audio]"
)
_SOURCE = Path(__file__).parent / "dropins" / "provider_stage.py"
_AGENT = """
[[agent]]
name = "voice_agent"
output_channels = [1]
on_start = "{on_start}"
[agent.par]
Providersfolder = "{folder}"
Provider = "{provider}"
{par}
[agent.stage]
tape = "{folder}/tape"
[agent.meter]
tape = "{folder}/tape"
[[agent]]
name = "clock"
input_channels = [2]
output_channels = [2]
on_start = "wait"
"""


class Call(NamedTuple):
    """One call of the service."""

    samples: int
    """Samples it had taken before."""
    mono_ns: int
    name: str
    args: list[Any]


class Stage(Daemon):
    """A daemon whose agent plays on the stage.

    Args:
        folder: its own.
        par: TOML lines of [agent.par].
    """

    def __init__(
        self, folder: Path, par: str = "", *, provider: str = "stage", on_start: str = "wait",
        **more: Any,
    ) -> None:  # fmt: skip
        self.dropins = folder / "dropins"
        self.dropins.mkdir(parents=True, mode=0o755)
        source = _SOURCE.read_text()
        meter = source.replace('METERING = "token"', 'METERING = "wallclock"')
        meter = meter.replace("PRICE = Price(input_usd_min", "PRICE = Price(wallclock_usd_min")
        assert meter != source
        for name, text in (("stage", source), ("meter", meter)):
            path = self.dropins / f"provider_{name}.py"
            path.write_text(text)
            path.chmod(0o644)
        self._agent = lambda on_start: _AGENT.format(
            folder=self.dropins, provider=provider, on_start=on_start, par=par
        )
        self._quiet = folder / "quiet.wav"
        self._syncs = self.first = 0
        self._before: dict[str, tuple[Any, ...]] = {}
        super().__init__(folder, self._agent(on_start), config=_CONFIG, **more)

    def start(self) -> None:
        """Start it, and wait until the drop-ins are known too."""
        super().start()
        self.ask(f"{A}/sig/model_ready", wanted=1.0)

    # --- what an operator does

    def par(self, name: str, *args: Any) -> None:
        """Send to a parameter."""
        self.send(f"{A}/par/{name}", *args)

    def put(self, name: str, value: Any) -> None:
        """Write a parameter and see it stored; `rest` writes back what was there."""
        self._put(f"{A}/par/{name}", value)

    def page(self, name: str, value: Any) -> None:
        """Write a parameter of the service's own page and see it stored."""
        self._put(f"{A}/stage/{name}", value)

    def _put(self, address: str, value: Any) -> None:
        self._before.setdefault(address, self.ask(address))
        self.send(address, value)
        self.ask(address, wanted=lambda now: now == pytest.approx(value)
                 if isinstance(value, float) else now == value)  # fmt: skip

    def rest(self) -> None:
        """Disconnect, and set back what was put: the next test finds the daemon as it was."""
        self.send("/voiced/mute", 0)
        self.par("Talk", 0)
        self.par("Disconnect")
        self.ask(f"{A}/par/Sessionstate", wanted="disconnected")
        for address, value in self._before.items():
            self.send(address, *value)
            self.ask(address, wanted=value[0])
        self._before.clear()

    def forget_tape(self) -> None:
        """Let the service write from the beginning."""
        for suffix in ("log", "pcm"):
            (self.dropins / f"tape.{suffix}").unlink(missing_ok=True)

    def on_start(self, word: str) -> None:
        """Write the configuration with another on_start."""
        self.write_config(self._agent(word))

    def sync(self, client: Client | None = None) -> None:
        """Wait until everything a client sent before is done."""
        client = client or self.client
        self._syncs += 1
        since = client.mark()
        client.send(self.port, "/voiced/sync", self._syncs)
        client.wait("/voiced/synced", self._syncs, since=since)

    def gone(self, pids: Iterable[int]) -> None:
        """Wait until these processes are gone."""
        self.until(lambda: not any(alive(pid) for pid in pids), 30, "the children's end")

    def connect(self, state: str = "active") -> int:
        """Connect and wait; return the place in the record before."""
        since = self.mark()
        self.par("Connect")
        self.wait(f"{A}/par/Sessionstate", state, since=since)
        return since

    def disconnect(self) -> None:
        """Disconnect and wait."""
        since = self.mark()
        self.par("Disconnect")
        self.wait(f"{A}/par/Sessionstate", "disconnected", since=since)

    def state(self, wanted: str, since: int = 0) -> None:
        """Wait for Sessionstate to be told."""
        self.wait(f"{A}/par/Sessionstate", wanted, since=since)

    def states(self, since: int) -> list[str]:
        """Return Sessionstate's words so far; a word that was asked for again counts once."""
        told = self.client.all(f"{A}/par/Sessionstate", since=since)
        words = [str(each.args[0]) for each in told]
        return [word for n, word in enumerate(words) if n == 0 or word != words[n - 1]]

    def signal(self, channel: str, wanted: Any, since: int = 0) -> float:
        """Wait until a signal is told with a value; return when."""
        return self.wait(f"{A}/sig/{channel}", wanted, since=since).at

    def reads(self, channel: str, value: float) -> None:
        """Ask for a signal until it has a value."""
        self.ask(f"{A}/sig/{channel}", wanted=value)

    def quiet(self) -> None:
        """Wait until the voice is heard to its end."""
        self.reads("assistant_speaking", 0.0)

    # --- what the service does and was given

    def script(self, *steps: list[Any]) -> None:
        """Have the service do this; the text that says so is answered, else it were sent again."""
        answered = [["response_started", "script"], ["response_done", "script"]]
        self.par("Sendtext", json.dumps([*answered, *steps] if steps[0][0] in CLOSES else steps))

    def speak(self, response: str, ms: int, text: str = "one two three", share: float = 0.5) -> int:
        """Have the service answer with a tone; wait until it sounds; return the place before."""
        since = self.mark()
        self.script(
            ["response_started", response],
            ["assistant_text", response, response, text],
            ["tone", response, response, ms, share],
            ["response_done", response],
        )
        self.signal("assistant_speaking", 1.0, since)
        return since

    def climb(self, response: str, frames: int) -> int:
        """Have the service answer with a ramp; return the frame when it surely sounds."""
        since = self.mark()
        self.script(
            ["response_started", response],
            ["assistant_text", response, response, RAMP_WORDS],
            ["ramp", response, response, frames],
            ["response_done", response],
        )
        self.signal("assistant_speaking", 1.0, since)
        return self.now()

    def refused(self, address: str, code: str, since: int) -> str:
        """Wait for a refusal; return its sentence."""
        told = self.wait(
            "/voiced/error", lambda where, why, _: (where, why) == (address, code), since=since
        )
        return str(told.args[2])

    def calls(self, name: str) -> list[Call]:
        """Return the service's calls of a name so far."""
        path = self.dropins / "tape.log"
        lines = path.read_text().splitlines() if path.exists() else []
        every = [Call(line[0], line[1], line[2], line[3:]) for line in map(json.loads, lines)]
        return [call for call in every if call.name == name]

    def call(self, name: str, count: int = 1) -> Call:
        """Wait for the count-th call of a name."""
        self.until(lambda: len(self.calls(name)) >= count, DEADLINE_S, f"{name} {count}")
        return self.calls(name)[count - 1]

    def pcm(self) -> NDArray[np.int16]:
        """Return every sample the service was given."""
        path = self.dropins / "tape.pcm"
        return np.frombuffer(path.read_bytes()[: path.stat().st_size & ~1], "<i2")

    # --- sound

    def count(self, minutes: int) -> None:
        """Let a visitor count from here on, so that each sample tells its frame."""
        path = self.folder / "minute.wav"
        samples = (1 + np.arange(60 * RATE) % WRAP).astype(np.int16)
        write_wav(path, RATE, samples)
        since = self.mark()
        for _ in range(minutes):
            self.send("/voiced/audio/play", "voice_agent", str(path))
        self.first = int(self.wait("/voiced/audio/started", "voice_agent", since=since).args[2])

    def counted(self, samples: NDArray[np.int16], near: int) -> NDArray[np.int64]:
        """Return the near frames of what the counting visitor said.

        Args:
            samples: none of them missing for as long as WRAP.
            near: the frame of the first one, within half of WRAP.
        """
        counts = samples.astype(np.int64)
        turns = np.concatenate([[0], np.cumsum(np.diff(counts) < 0)])
        frames = self.first + counts - 1 + turns * WRAP
        return frames + round((near - int(frames[0])) / WRAP) * WRAP

    def now(self) -> int:
        """Return the near frame that passes now: where the other agent's silent visitor begins."""
        if not self._quiet.exists():
            write_wav(self._quiet, RATE, np.zeros(1, np.int16))
        since = self.mark()
        self.send("/voiced/audio/play", "clock", str(self._quiet))
        return int(self.wait("/voiced/audio/started", "clock", since=since).args[2])

    def pass_by(self, frames: int) -> int:
        """Wait until so many frames of the card have passed; return where it stands."""
        start = self.now()
        now = start
        while now < start + frames:
            now = self.now()
        return now

    def both(self, first: int, last: int) -> NDArray[np.int16]:
        """Return near (left) and what was played (right) from one near frame to another."""
        path = self.folder / "conversation.wav"
        size = _HEADER + 4 * last
        self.until(lambda: path.stat().st_size >= size, DEADLINE_S, f"frame {last}")
        whole = np.frombuffer(path.read_bytes()[_HEADER:size], "<i2").reshape(-1, 2)
        return whole[max(first, 0) :]
