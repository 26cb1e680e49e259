"""`make soak`, second part: ten thousand short turns at twenty times real time, with faults.

    python -m bench.soak_turns [--turns 10000] [--every 50] [--provider gemini_live] [--no-kills]

A daemon and an emulated service, joined by loopback. Every `--every` turns, one after the other:
the service announces or reaches its end, the link breaks, the network process is killed. A turn
lasts 3 s at most: it is typed; every tenth is a recording that is spoken; once in twenty two texts
are sent at once. Each must be answered by a reply that repeats its words (of two at once, the
second), and stand once in the table and in the trace. Memory, descriptors and threads of every
process are read as it goes; it ends with 1 where a turn was lost or something grew. SIGINT ends
it early, with the figures of what was held until then.

Simpler than a show: the emulator reads the recordings from its script and speaks in tones, and
the table is observed by one client.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import report
from bench.processes import descriptors, memory_mb
from tests.clouds.rig import VISITORS, A, Cloud

SPEED = 20.0
TURN_S = 3.0
RECORDING, SPOKEN = "lv_0880.wav", "spoken words"
ANSWER_S = 60.0
"""So long an answer is waited for, real seconds: over two lost connections and a stall."""
GROWS_MB = 0.1
"""Memory may grow by so much in 1000 turns."""
SLACK = 2
"""Descriptors and threads that may come and go."""
GOODBYE = {"gemini_live": "goaway"}
"""How a service ends a connection by itself; the others have their cap."""


def script(provider: str, turns: int, every: int, kills: bool) -> str:
    """Return connections that end in turn by the service and by the link; the third is killed."""
    ways = [GOODBYE.get(provider, "cap"), "reset", *([""] if kills else [])]
    chance = random.Random(4711)
    heard = ", ".join(f'{{ text = "{SPOKEN}" }}' for _ in range(every))
    parts = ['answer = "{heard}."\n']
    for n in range(2 * turns // every + 9):
        parts.append(f"[[connection]]\nheard = [{heard}]\n")
        if what := ways[n % len(ways)]:
            parts.append(f'[[connection.fault]]\nwhat = "{what}"\nreply = {every}\nseconds = 5\n')
            if chance.random() < 0.7:  # else behind the reply
                parts.append(f"audio_ms = {chance.randrange(0, 400, 50)}\n")
    return "".join(parts)


class Sample(NamedTuple):
    """What one process holds at one moment."""

    turn: int
    hours: float
    """Of conversation."""
    megabytes: float
    descriptors: int
    threads: int


class Row(NamedTuple):
    """A row of the table, as last written."""

    role: str
    text: str
    typed: bool


class Soak:
    """One long conversation.

    Attributes:
        rows: id -> row, of all that was told.
        lost: turns that were not answered.
        unheard: recordings that came to no row.
        troubles: code of each onError and how often.
    """

    def __init__(self, cloud: Cloud, args: argparse.Namespace) -> None:
        self.cloud, self.daemon, self.args = cloud, cloud.daemon, args
        self.rows: dict[str, Row] = {}
        self.lost: list[int] = []
        self.troubles: Counter[str] = Counter()
        self.refused: list[tuple[object, ...]] = []
        self.samples: dict[str, list[Sample]] = {}
        self.spoken = 0
        self.kills = 0
        self.begun = time.monotonic()
        self.took = 0.0
        self.turns, self.stopped = 0, False

    def run(self) -> None:
        """Hold every turn."""
        chance = random.Random(4711)
        turn = 0
        signal.signal(signal.SIGINT, lambda *_: setattr(self, "stopped", True))
        while turn < self.args.turns and not self.stopped:
            turn += 1
            began = time.monotonic()
            if turn % 10 == 3:
                self._speak(turn)
            elif turn % 20 == 16 and turn < self.args.turns:
                self._type(turn, turn + 1)
                turn += 1
            else:
                kill = self.args.kills and turn % (3 * self.args.every) == 0
                self._type(turn, kill_after=chance.random() * 0.1 if kill else None)
            self._harvest()
            if turn % 25 < 2 and turn > 1:
                self._sample(turn)
            if turn % 500 < 2 and turn > 1:
                self._tell(turn)
            time.sleep(max(0.0, began + TURN_S / SPEED - time.monotonic()))
        self.took = time.monotonic() - self.begun
        self.turns = turn

    def _type(self, *turns: int, kill_after: float | None = None) -> None:
        since = self.daemon.mark()
        for turn in turns:
            self.daemon.send(f"{A}/par/Sendtext", words(turn))
        if kill_after is not None:
            time.sleep(kill_after)  # The moment of the kill is what is tried.
            self.daemon.signal_child("network")
            self.kills += 1
        wanted = words(turns[-1])
        if not self._answered(since, lambda said: wanted in said):
            self.lost.append(turns[-1])

    def _speak(self, turn: int) -> None:
        since = self.daemon.mark()
        self.spoken += 1
        self.daemon.send("/voiced/audio/play", "voice_agent", str(VISITORS / RECORDING))
        if not self._answered(since, lambda said: SPOKEN in said):
            self.lost.append(turn)

    def _answered(self, since: int, wanted: Callable[[str], bool]) -> bool:
        try:
            self.daemon.client.wait(
                f"{A}/cb/onAssistantText",
                lambda said, final, row: bool(final == 1 and wanted(str(said))),
                ANSWER_S, since=since,
            )  # fmt: skip
        except AssertionError:
            return False
        return True

    def _harvest(self) -> None:
        """Take what was told: the client keeps everything, which would be the soak's own leak."""
        client = self.daemon.client
        with client._arrived:
            told, client.messages = client.messages, []
        for message in told:
            args = message.args
            if message.address == f"{A}/conv/row":
                typed = "typed" in json.loads(str(args[6]))
                self.rows[str(args[3])] = Row(str(args[1]), str(args[2]), typed)
            elif message.address == f"{A}/cb/onError":
                self.troubles[f"{args[0]} {args[1]}"] += 1
            elif message.address == "/voiced/error":
                self.refused.append(args)

    def _sample(self, turn: int) -> None:
        hours = (time.monotonic() - self.begun) * SPEED / 3600
        run_file = self.daemon.run_file()
        for name, pid in {"control": run_file["pid"], **run_file["children"]}.items():
            # One that is killed again and again is looked at in the last third of its lives.
            life = 3 * self.args.every
            if name == "network" and self.args.kills and turn % life < 2 * life // 3:
                continue
            try:
                one = Sample(turn, hours, *held(pid))
            except OSError:
                continue
            self.samples.setdefault(name, []).append(one)

    def _tell(self, turn: int) -> None:
        last = {name: samples[-1][2:] for name, samples in self.samples.items()}
        shown = ", ".join(f"{n} {mb:.1f} MB {fds} {th}" for n, (mb, fds, th) in last.items())
        took = time.monotonic() - self.begun
        print(f"{turn} turns, {took:.0f} s, {len(self.lost)} lost: {shown}", flush=True)

    def trace(self) -> list[Row]:
        """End the session; return the rows of its trace."""
        since = self.daemon.mark()
        self.daemon.send(f"{A}/par/Disconnect")
        ended = self.daemon.wait(f"{A}/cb/onSessionEnd", deadline_s=60.0, since=since)
        path = Path(str(ended.args[2]))
        self.daemon.until(path.exists, 60.0, "the trace")
        rows = json.loads(path.read_bytes())["transcript"]
        return [Row(row["role"], row["message"], "typed" in str(row["metadata"])) for row in rows]


def words(turn: int) -> str:
    """Return what is typed."""
    return f"turn {turn}."


def held(pid: int) -> tuple[float, int, int]:
    """Return anonymous MB, descriptors and threads of a process."""
    return memory_mb(pid, "Anonymous:"), descriptors(pid), len(os.listdir(f"/proc/{pid}/task"))


def table(samples: dict[str, list[Sample]]) -> tuple[str, bool]:
    """Return the page's part and whether nothing grew; the first fifth is the warm-up."""
    lines = [
        "| process | MB at first / last | MB in 1000 turns | MB an hour | descriptors | threads |",
        "|---|---|---|---|---|---|",
    ]
    good = True
    for name, taken in sorted(samples.items()):
        kept = taken[len(taken) // 5 :]
        if len(kept) < 4:
            continue
        megabytes = [one.megabytes for one in kept]
        a_turn = float(np.polyfit([one.turn for one in kept], megabytes, 1)[0])
        an_hour = float(np.polyfit([one.hours for one in kept], megabytes, 1)[0])
        cells = [f"{name}", f"{megabytes[0]:.1f} / {megabytes[-1]:.1f}",
                 f"{a_turn * 1000:+.3f}", f"{an_hour:+.3f}"]  # fmt: skip
        good &= a_turn * 1000 < GROWS_MB
        for counts in ([one.descriptors for one in kept], [one.threads for one in kept]):
            cells.append(f"{min(counts)}..{max(counts)}")
            half = len(counts) // 2
            good &= float(np.median(counts[half:])) <= float(np.median(counts[:half]))
            good &= max(counts) - min(counts) <= SLACK
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines), good


def judged(soak: Soak, trace: list[Row]) -> tuple[str, bool]:
    """Return what became of the turns in a sentence, and whether none was lost."""
    turns = soak.turns
    wanted = {words(n) for n in range(1, turns + 1) if n % 10 != 3}
    told, kept = (
        Counter(row.text for row in rows if row.role == "user" and row.typed)
        for rows in (soak.rows.values(), trace)
    )
    spoken = [
        sum(row.role == "user" and not row.typed for row in rows)
        for rows in (soak.rows.values(), trace)
    ]
    wrong = [
        *(f"{n} is missing in the {where}" for where, rows in (("table", told), ("trace", kept))
          for n in sorted(wanted - set(rows))),
        *(f"{text} stands {count} times" for text, count in kept.items() if count > 1),
    ]  # fmt: skip
    for line in wrong[:20]:
        print(line)
    refreshes = sum(row.role == "system" for row in trace)
    sentence = (
        f"{turns} turns against an emulated {soak.cloud.provider} at {SPEED:g} times real time in "
        f"{soak.took / 60:.0f} minutes: {len(wanted)} typed, {soak.spoken} spoken, {refreshes} "
        f"refreshes ({soak.kills} by a killed network process), {len(soak.lost)} unanswered, "
        f"{len(wrong)} missing or twice; of the spoken {spoken[0]} stand in the table and "
        f"{spoken[1]} in the trace."
    )
    good = not (soak.lost or wrong or soak.refused) and set(spoken) == {soak.spoken}
    return sentence, good


def main() -> int:
    """Run it; return 1 where a turn was lost or something grew."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak_turns")
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=50, help="turns from one fault to the next")
    parser.add_argument("--provider", default="openai_realtime")
    parser.add_argument("--no-kills", dest="kills", action="store_false")
    parser.add_argument("--no-page", dest="page", action="store_false", help="only print")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voiced-soak-") as name:
        folder = Path(name)
        text = script(args.provider, args.turns, args.every, args.kills)
        options = ["--voice=tone", "--deaf"]
        more = "[osc.rates]\nsendtext = 100000\n"
        cloud = Cloud(
            folder, args.provider, text, speed=SPEED, options=options, more=more, heard=""
        )
        with cloud:
            cloud.connect()
            soak = Soak(cloud, args)
            soak.run()
            trace = soak.trace()
            violations = cloud.violations()
        log = cloud.daemon.log[-3000:]
    sentence, answered = judged(soak, trace)
    rows, flat = table(soak.samples)
    body = f"{sentence}\n\n{rows}"
    print(f"{body}\ntroubles {dict(soak.troubles)}, refused {soak.refused[:3]}, "
          f"violations {violations[:3]}, lost {soak.lost[:20]}")  # fmt: skip
    if not (answered and flat):
        print(log)
    if args.page:
        report.write(body, "turns", "make soak")
    return 0 if answered and flat else 1


if __name__ == "__main__":
    sys.exit(main())
