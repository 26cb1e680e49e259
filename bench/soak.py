"""`make soak`: an hour of conversation on the virtual card, then what it has cost and lost.

    python -m bench.soak [--hours 1] [--speed 4]

Recorded people speak to the local voice in turn, each after the reply before was heard. Every ten
seconds of audio the anonymous memory and the descriptors of each process are read. It ends with 1
where the issue's limits do not hold: no frame lost, memory below 1 MB an hour over the last 80 %,
descriptors flat.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import report
from bench.processes import descriptors, memory_mb
from tests.daemon.rig import CONFIG, Daemon

VISITORS = Path(__file__).parent.parent / "voiced" / "cli" / "visitors"
AGENT = """
[[agent]]
name = "voice_agent"
[agent.par]
Provider = "local"
"""
SIGNAL = "/voice_agent/sig/"
RATE = 48_000
SAMPLE_S = 10.0
SLOPE_MB_H = 1.0
CLOCK_S = 2.0
"""Both ends of the hour are read by OSC, at a speed: a message's way and a meter's fifth of a
second count that many times."""


class Sample(NamedTuple):
    """What one process holds at one moment."""

    hours: float
    """Of audio."""
    megabytes: float
    descriptors: int


class Soak:
    """One long conversation and the samples taken meanwhile."""

    def __init__(self, daemon: Daemon, hours: float, speed: float) -> None:
        self.daemon, self.hours, self.speed = daemon, hours, speed
        self.samples: dict[str, list[Sample]] = {}
        self.turns = self.unanswered = 0
        self.begun = time.monotonic()
        self.first = self.last = (0.0, 0)
        self.sent_at_first = self.sent_at_last = (0.0, 0.0)

    @property
    def audio_hours(self) -> float:
        return (time.monotonic() - self.begun) * self.speed / 3600

    def run(self) -> None:
        """Talk until the hours are over."""
        self.daemon.send("/voice_agent/par/Connect")
        self.daemon.wait("/voice_agent/par/Sessionstate", "active", deadline_s=60)
        self.first, self.sent_at_first = self.frame(), self.sent()
        self.begun = due = time.monotonic()
        for path in itertools.cycle(sorted(VISITORS.glob("lv_*.wav"))):
            if self.audio_hours >= self.hours:
                self.last, self.sent_at_last = self.frame(), self.sent()
                return
            self._turn(path)
            while time.monotonic() > due:
                self._sample()
                due += SAMPLE_S / self.speed
            # The client of the tests keeps everything; an hour of it would be the soak's own leak.
            self.daemon.client.messages.clear()

    def _turn(self, path: Path) -> None:
        since = self.daemon.mark()
        self.daemon.send("/voiced/audio/play", "voice_agent", str(path))
        self.daemon.wait("/voiced/audio/ended", deadline_s=60, since=since)
        self.turns += 1
        try:
            self.daemon.wait(
                "/voice_agent/cb/onAssistantText", lambda text, final, row: final == 1,
                deadline_s=15, since=since,
            )  # fmt: skip
        except AssertionError:
            self.unanswered += 1
        self.daemon.ask(SIGNAL + "assistant_speaking", wanted=0.0, deadline_s=60)

    def _sample(self) -> None:
        run_file = self.daemon.run_file()
        for name, pid in {"control": run_file["pid"], **run_file["children"]}.items():
            one = Sample(self.audio_hours, memory_mb(pid, "Anonymous:"), descriptors(pid))
            self.samples.setdefault(name, []).append(one)

    def number(self, channel: str) -> float:
        """Return a signal."""
        return float(self.daemon.ask(SIGNAL + channel)[0])

    def sent(self) -> tuple[float, float]:
        """Return a moment and the seconds of near that the provider had taken by then."""
        return time.monotonic(), self.number("cost_in_seconds")

    def frame(self) -> tuple[float, int]:
        """Return a moment and the near frame at which a short recording began then."""
        since = self.daemon.mark()
        self.daemon.send("/voiced/audio/play", "voice_agent", str(VISITORS / "lv_0880.wav"))
        started = self.daemon.wait("/voiced/audio/started", since=since, deadline_s=60)
        self.daemon.wait("/voiced/audio/ended", since=since, deadline_s=60)
        self.daemon.ask(SIGNAL + "assistant_speaking", wanted=0.0, deadline_s=60)
        return started.at, int(started.args[2])


def passed(one: tuple[float, float], other: tuple[float, float], speed: float) -> float:
    """Return the seconds of audio between two moments."""
    return (other[0] - one[0]) * speed


def slope(samples: list[Sample]) -> float:
    """Return MB an hour over the last 80 %."""
    kept = samples[len(samples) // 5 :]
    hours, megabytes = [s.hours for s in kept], [s.megabytes for s in kept]
    return float(np.polyfit(hours, megabytes, 1)[0])


def table(soak: Soak) -> tuple[str, bool]:
    """Return the page's part and whether every limit held."""
    lines = [
        "| process | MB at first / last | slope, MB an hour | descriptors |",
        "|---|---|---|---|",
    ]
    good = True
    for name, samples in sorted(soak.samples.items()):
        steep, counts = slope(samples), {s.descriptors for s in samples[len(samples) // 5 :]}
        good &= steep < SLOPE_MB_H and max(counts) - min(counts) <= 1
        first, last = samples[len(samples) // 5].megabytes, samples[-1].megabytes
        lines.append(
            f"| {name} | {first:.1f} / {last:.1f} | {steep:+.2f} | {min(counts)}..{max(counts)} |"
        )
    return "\n".join(lines), good


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench.soak")
    arguments.add_argument("--hours", type=float, default=1.0, help="of audio")
    arguments.add_argument("--speed", type=float, default=3.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="voiced-soak-") as folder:
        settings = [f"audio.virtual.speed={given.speed}"]
        with Daemon(Path(folder), AGENT, config=CONFIG, settings=settings) as daemon:
            soak = Soak(daemon, given.hours, given.speed)
            print(f"{given.hours:g} h of audio at speed {given.speed:g} ...", flush=True)
            soak.run()
            lost = {name: soak.number(name) for name in ("gaps", "xruns")}
    near_s = (soak.last[1] - soak.first[1]) / RATE - passed(soak.first, soak.last, given.speed)
    sent_s = soak.sent_at_last[1] - soak.sent_at_first[1]
    sent_s -= passed(soak.sent_at_first, soak.sent_at_last, given.speed)
    rows, good = table(soak)
    good &= lost["xruns"] == 0 and soak.unanswered == 0
    good &= abs(near_s) < CLOCK_S and abs(sent_s) < CLOCK_S
    body = (
        f"{soak.audio_hours:.2f} h of audio at speed {given.speed:g}: {soak.turns} turns, "
        f"{soak.unanswered} without an answer, {lost['gaps']:.0f} gaps, {lost['xruns']:.0f} xruns; "
        f"against the clock near has {near_s:+.2f} s and the provider was sent {sent_s:+.2f} s.\n\n"
        f"{rows}"
    )
    print(body)
    report.write(body, "soak", "make soak")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
