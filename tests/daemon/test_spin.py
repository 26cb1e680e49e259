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

from tests.daemon.ear import RATE, Ear
from tests.daemon.rig import CONFIG, Daemon

A = "/voice_agent"
SPIN_S = 0.6
SOURCE = f"""
import time

def spin():
    until = time.monotonic() + {SPIN_S}
    while time.monotonic() < until:
        pass

def onToolCall(info):
    if info["name"] != "turn":
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
            folder, agent, config=CONFIG.replace('output = ""', 'output = "heard.wav"')
        )

    def start(self) -> None:
        super().start()
        self.until(lambda: "is in force" in self.log, 30, "the script")
        self.send(f"{A}/par/Connect")
        self.ask(f"{A}/par/Sessionstate", wanted="active")
        self.until(lambda: bool(self.ear.appends()), 30, "the upload")

    def spin(self, tool: str) -> tuple[float, float, float]:
        """Let the model call a tool while a reply sounds.

        Returns:
            The longest gap in the reply, the longest pause between two appends and what an append
            holds, all in ms.
        """
        self.send(f"{A}/par/Displayname", "")
        self.ask(f"{A}/par/Displayname", wanted="")
        self.until(lambda: not len(self._loud(self._frames() - CARD // 2)), 30, "silence")
        begun, since = self._frames(), self.mark()
        self.ear.do("reply", 2.0)
        self.wait(f"{A}/sig/assistant_speaking", 1.0, since=since)
        self.ear.appends()
        at = self.ear.do("call", tool, "{}")
        spun = self.wait(f"{A}/par/Displayname", "spun", since=since)
        assert spun.at - at > SPIN_S
        # The file is written a little behind what sounds.
        whole = round(1.9 * CARD)
        self.until(
            lambda: (loud := self._loud(begun)).size > 0 and loud[-1] - loud[0] > whole,
            30,
            "the reply",
        )
        appends = self.ear.appends()
        times = [each[0] for each in appends if each[0] < spun.at + 0.2]
        pause = max(b - a for a, b in itertools.pairwise(times))
        samples = float(np.median([each[1] for each in appends]))
        loud = self._loud(begun)
        gap = np.diff(loud[loud < loud[0] + whole]).max()
        return gap / CARD * 1e3, pause * 1e3, samples / RATE * 1e3

    def pause_ms(self) -> float:
        """Return the longest pause between two appends in two seconds without any user code."""
        self.ear.appends()
        end = self._frames() + 2 * CARD
        self.until(lambda: self._frames() >= end, 30, "two seconds")
        times = [at for at, _ in self.ear.appends()]
        return max(b - a for a, b in itertools.pairwise(times)) * 1e3

    def _frames(self) -> int:
        return (self.heard.stat().st_size - HEADER) // 2

    def _loud(self, begun: int) -> NDArray[np.int64]:
        """Return the loud frames from a frame on."""
        sound = np.frombuffer(self.heard.read_bytes()[HEADER + 2 * begun :][: 2 * 9 * CARD], "<i2")
        return np.flatnonzero(np.abs(sound.astype(int)) > 1000)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spinning]:
    with Ear() as ear, Spinning(tmp_path_factory.mktemp("spin"), ear) as running:
        yield running


@pytest.mark.parametrize("tool", ["turn", "unknown"], ids=["tool", "callback"])
def test_user_code_that_spins_is_neither_heard_nor_felt(daemon: Spinning, tool: str) -> None:
    found, gaps, idle = [], [], []
    for _ in range(TRIES):
        gap, pause, append = daemon.spin(tool)
        gaps.append(gap)
        found.append(f"gap {gap:.1f} ms, pause {pause:.1f} ms, appends of {append:.0f} ms")
        print(found[-1])
        # A sine of 500 Hz is below the threshold for 0.12 ms, twice a period.
        if gap < 0.5 and pause <= 2 * append + 5:
            return
        idle.append(daemon.pause_ms())
    assert min(gaps) < 0.5
    if max(idle) > 2 * append + 5:
        pytest.skip(f"other programs hold the upload up, {max(idle):.0f} ms without any user code")
    pytest.fail("; ".join(found))
