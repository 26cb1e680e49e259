"""The ring between two programs, with stalls on both sides and writers killed in between.

    python -m tests.lane.ring_stress --frames 100000000 --kills 20

A parent makes the segment, a writer and a reader are programs of their own. The sample at frame f
is f mod 65521, and the capacity is another prime: a sample left over from any of the last 65,520
laps, and any shift of the stream, differs from what must be there. A shift by exactly 65,521 frames
would not, but positions are checked to be contiguous, and a block is far shorter. So a reader that
finds every sample right has seen every frame once, whole, and in order. It is proven for the
machine it runs on: on x86-64 the hardware keeps stores in order even where a fence were missing.

Two ways to write: `polite` looks at `free` first, as the speaker ring's writer does; `ruthless`
never waits, as near is written, and the reader asks `lapped` after each copy and jumps ahead where
it was too slow. There what it accepts must be right, and it must accept something.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from voiced.lane.ring import LAP_MARGIN, Ring
from voiced.lane.seam import PORTABLE, create_segment, map_segment

ROOT = Path(__file__).resolve().parents[2]
PRIME = 65521
CAPACITY = 100_003
BLOCK = 1999
WRITE, READ, SKIPPED = 0, 1, 2
WORDS = 8
PATIENCE_S = 60.0

_payload = (np.arange(PRIME + 2 * BLOCK) % PRIME).astype(np.uint16).view(np.int16)


def payload(frame: int, count: int) -> np.ndarray:
    """Return the samples that belong at `frame`."""
    return _payload[frame % PRIME :][:count]


def attach(fd: int) -> tuple[Ring, memoryview]:
    """Return the ring and the words behind a descriptor."""
    whole = memoryview(map_segment(fd))
    words = whole[: 8 * WORDS].cast("q")
    samples = whole[8 * WORDS : 8 * WORDS + 2 * CAPACITY].cast("h")
    return Ring(samples, words, WRITE, READ), words


class Stalls:
    """Now and then a pause of up to 4 ms, as a scheduler makes them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._poll = select.poll()
        self._left = 0

    def block(self) -> int:
        """Return the next block's length; often stall before it."""
        self._left -= 1
        if self._left < 0:
            self._left = self._random.randrange(1500)
            self._poll.poll(self._random.randrange(5))
        return self._random.randrange(1, BLOCK)

    def breathe(self) -> None:
        """Let the other side run."""
        self._poll.poll(1)


def write(fd: int, frames: int, seed: int, *, ruthless: bool) -> None:
    """Write from the published position on, up to `frames`."""
    ring, _ = attach(fd)
    stalls = Stalls(seed)
    at = ring.write_position
    while at < frames:
        count = min(stalls.block(), frames - at)
        while not ruthless and ring.free(at) < count:
            stalls.breathe()
        ring.store(at, memoryview(payload(at, count)))
        at += count
        ring.publish_write(at)


def read(fd: int, frames: int, seed: int, *, ruthless: bool) -> None:
    """Check every frame up to `frames`; exit with a sentence where one is wrong."""
    ring, words = attach(fd)
    stalls = Stalls(seed)
    at, moved = 0, time.monotonic()
    while at < frames:
        count = min(stalls.block(), ring.write_position - at)
        if count <= 0:
            if time.monotonic() - moved > PATIENCE_S:
                sys.exit(f"nothing came after frame {at}")
            stalls.breathe()
            continue
        moved = time.monotonic()
        got = np.frombuffer(ring.load(at, count), np.int16)
        if ruthless and ring.lapped(at):
            ahead = ring.write_position - LAP_MARGIN
            words[SKIPPED] += ahead - at
            at = ahead
            continue
        wrong = np.flatnonzero(got != payload(at, count))
        if len(wrong):
            first = at + int(wrong[0])
            found = int(got[wrong[0]]) & 0xFFFF
            sys.exit(f"frame {first} should be {first % PRIME} and is {found}; {len(wrong)} wrong")
        at += count
        ring.publish_read(at)


def spawn(role: str, fd: int, frames: int, seed: int, ruthless: bool) -> subprocess.Popen[bytes]:
    """Start one side as a program of its own."""
    command = [sys.executable, "-m", "tests.lane.ring_stress", "--role", role, "--fd", str(fd),
               "--frames", str(frames), "--seed", str(seed)]  # fmt: skip
    return subprocess.Popen(
        command + ["--ruthless"] * ruthless,
        pass_fds=[fd],
        cwd=ROOT,
        stderr=subprocess.PIPE if role == "reader" else None,
    )


def stress(
    frames: int, kills: int, seed: int = 1, *, ruthless: bool = False, portable: bool = PORTABLE
) -> dict[str, float]:
    """Run both sides to the end; return what happened.

    Raises:
        AssertionError: the reader found something wrong, with its sentence.
    """
    chance = random.Random(seed)
    fd = create_segment("stress", 8 * WORDS + 2 * CAPACITY, portable=portable)
    ring, words = attach(fd)
    started = time.monotonic()
    reader = spawn("reader", fd, frames, seed, ruthless)
    writer = spawn("writer", fd, frames, seed + 1, ruthless)
    pause = select.poll()
    killed = 0
    marks = sorted(chance.randrange(frames) for _ in range(kills))
    try:
        while reader.poll() is None:
            if killed < len(marks) and ring.write_position >= marks[killed]:
                writer.kill()
                writer.wait()
                killed += 1
                writer = spawn("writer", fd, frames, seed + 1 + killed, ruthless)
            pause.poll(1)
        sentence = reader.stderr.read().decode() if reader.stderr else ""
        assert reader.returncode == 0, sentence
    finally:
        for process in (reader, writer):
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()
        os.close(fd)
    seconds = time.monotonic() - started
    return {"frames": frames, "killed": killed, "skipped": words[SKIPPED], "seconds": seconds}


def main() -> None:
    """Run the stress, or one side of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ruthless", action="store_true")
    parser.add_argument("--role", choices=["reader", "writer"], help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "writer":
        write(asked.fd, asked.frames, asked.seed, ruthless=asked.ruthless)
    elif asked.role == "reader":
        read(asked.fd, asked.frames, asked.seed, ruthless=asked.ruthless)
    else:
        told = stress(asked.frames, asked.kills, asked.seed, ruthless=asked.ruthless)
        print(
            "{frames:,} frames, {killed} writers killed, {skipped:,} frames skipped as lapped, "
            "nothing lost, torn or repeated, {seconds:.1f} s".format(**told)
        )


if __name__ == "__main__":
    main()
