"""User code that spins for 0.6 s: the loudspeaker has no gap, the upload no pause.

Both are measured from outside: what the virtual card played, and when appends reached the service.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.daemon.ear import KEY, RATE, Ear
from tests.daemon.rig import CONFIG, Daemon

A = "/voice_agent"
SPIN_S = 0.6
SOURCE = f"""
import time

def spin():
    until = time.monotonic() + {SPIN_S}
    while time.monotonic() < until:
        pass

def onUserSpeechEnded(info):
    spin()
    agent.par.Displayname = "spun"

@tool
def turn():
    "Turn round"
    spin()
    agent.par.Displayname = "spun"
"""
HEADER, CARD = 44, 48_000
"""Bytes before the samples of the card's file, and its samplerate."""
TRIES = 3
"""Other programs of a busy machine only ever make it worse: the best counts."""


class Spinning(Daemon):
    """A daemon whose agent's script spins, and the service it talks to."""

    def __init__(self, folder: Path, ear: Ear) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "voice.py").write_text(SOURCE)
        self.ear, self.heard = ear, folder / "heard.wav"
        agent = f"""
[[agent]]
name = "voice_agent"
on_start = "wait"
output_channels = [1]
[agent.par]
Provider = "openai_realtime"
Callbackdat = "voice.py"
Allowendconversation = 0
[agent.openai_realtime]
endpoint = "{ear.url}"
"""
        super().__init__(
            folder, agent, config=CONFIG.replace('output = ""', 'output = "heard.wav"'),
            environment={"OPENAI_API_KEY": KEY},
        )  # fmt: skip

    def start(self) -> None:
        super().start()
        self.until(lambda: "is in force" in self.log, 30, "the script")
        self.send(f"{A}/par/Connect")
        self.ask(f"{A}/par/Sessionstate", wanted="active")
        self.until(lambda: bool(self.ear.appends()), 30, "the upload")

    def spin(self, *how: str) -> tuple[float, float, float]:
        """Let a reply sound and the script spin meanwhile.

        Returns:
            The longest gap in the reply, the longest pause between two appends and what an append
            holds, all in ms.
        """
        self.send(f"{A}/par/Displayname", "")
        self.ask(f"{A}/par/Displayname", wanted="")
        begun = self._frames()
        since = self.mark()
        if how[0] == "call":
            self.ear.do("reply", 2.0)
            self.wait(f"{A}/sig/assistant_speaking", 1.0, since=since)
        self.ear.appends()
        at = self.ear.do(*how)
        if how[0] != "call":
            # The visitor has interrupted what sounded; the reply to that sounds while it spins.
            self.ear.do("reply", 2.0)
        spun = self.wait(f"{A}/par/Displayname", "spun", since=since)
        assert spun.at - at > SPIN_S
        self.ask(f"{A}/sig/assistant_speaking", wanted=0.0)
        appends = self.ear.appends()
        times = [each[0] for each in appends if each[0] < spun.at + 0.2]
        pause = max(b - a for a, b in itertools.pairwise(times))
        samples = np.median([each[1] for each in appends])
        return self._gap_ms(begun), pause * 1e3, float(samples) / RATE * 1e3

    def _frames(self) -> int:
        return (self.heard.stat().st_size - HEADER) // 2

    def _gap_ms(self, begun: int) -> float:
        """Return the longest silence within the 2 s of tone."""
        # The file is written a little behind what sounds.
        whole = 1.8 * CARD
        self.until(lambda: np.ptp(self._tone(begun)) > whole, 10, "the reply, to its end")
        return float(np.diff(self._tone(begun)).max()) / CARD * 1e3

    def _tone(self, begun: int) -> NDArray[np.int64]:
        """Return the loud frames from a frame on."""
        sound = np.frombuffer(self.heard.read_bytes()[HEADER + 2 * begun :][: 2 * 30 * CARD], "<i2")
        loud = np.flatnonzero(np.abs(sound) > 1000)
        return (
            loud[: np.searchsorted(loud, loud[0] + 1.9 * CARD)] if len(loud) else np.zeros(1, int)
        )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spinning]:
    with Ear() as ear, Spinning(tmp_path_factory.mktemp("spin"), ear) as running:
        yield running


@pytest.mark.parametrize("how", [("call", "turn", "{}"), ("speak",)], ids=["tool", "callback"])
def test_user_code_that_spins_is_neither_heard_nor_felt(
    daemon: Spinning, how: tuple[str, ...]
) -> None:
    found = []
    for _ in range(TRIES):
        gap, pause, append = daemon.spin(*how)
        found.append(f"gap {gap:.1f} ms, pause {pause:.1f} ms, appends of {append:.0f} ms")
        print(found[-1])
        # A sine of 500 Hz is below the threshold for 0.12 ms, twice a period.
        if gap < 0.5 and pause <= 2 * append + 5:
            return
    pytest.fail("; ".join(found))
