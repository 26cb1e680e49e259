"""What the shared memory and the callback cost by themselves: no sound server, no network."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np

from voiced.audio.callback import Callback, LaneIO
from voiced.lane.seam import Wake
from voiced.lane.words import DeviceSegment, Lane, LaneSegment

READER = """
import sys, time
from voiced.lane.seam import Wake
from voiced.lane.words import Lane, LaneSegment
lane, wake = LaneSegment(int(sys.argv[1])), Wake(int(sys.argv[2]), int(sys.argv[3]))
position, late = 0, []
while position < 480 * int(sys.argv[4]) and wake.wait(5):
    write = lane.near.write_position
    now = time.monotonic_ns()
    data = lane.near.load(position, write - position)
    late.append(now - lane.words[Lane.SPEAKER_WRITE])
    position = write
print(*late)
"""


def wake_us(*, portable: bool, count: int = 1000) -> list[float]:
    """Return the times from publishing 480 frames to their reader in another program, us."""
    fd, lane = LaneSegment.create(48000, near_s=2)
    wake = Wake.create(portable=portable)
    fds = (fd, *wake.fds)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, *map(str, fds), str(count)],
        pass_fds=sorted(set(fds)), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(0.5)
    frames = memoryview(bytes(960)).cast("h")
    for i in range(count):
        lane.near.store(i * 480, frames)
        lane.words[Lane.SPEAKER_WRITE] = time.monotonic_ns()
        lane.near.publish_write((i + 1) * 480)
        wake.set()
        time.sleep(0.002)
    output, _ = reader.communicate(timeout=30)
    wake.close()
    os.close(fd)
    return [int(ns) / 1000 for ns in output.split()]


def callback_us(frames: int, lanes: int, *, count: int = 4000) -> list[float]:
    """Return the times of duplex callbacks in which every lane hears, speaks and is gated, us."""
    device, _ = DeviceSegment.create()
    segments = [LaneSegment.create(48000, near_s=2) for _ in range(lanes)]
    callback = Callback(
        device,
        [LaneIO(fd, (1 + i % 4,), (1 + i % 4,)) for i, (fd, _) in enumerate(segments)],
        samplerate=48000, near_wake=Wake.create(), edge_wake=Wake.create(),
    )  # fmt: skip
    callback.start_input(frames)
    callback.start_output(frames)
    rng = np.random.default_rng(1)
    near = rng.uniform(-0.3, 0.3, (frames, 4)).astype(np.float32)
    far = np.zeros((frames, 4), np.float32)
    reply = memoryview(rng.integers(-9000, 9000, frames, dtype=np.int16))
    times = []
    for i in range(count):
        for _, lane in segments:
            lane.speaker.store(i * frames, reply)
            lane.put(Lane.SPEAKER_WRITE, (i + 1) * frames)
            if i % 100 == 0:
                lane.set_gate(i % 200 == 0)
        start = time.perf_counter_ns()
        callback.duplex(near, far, frames)
        times.append((time.perf_counter_ns() - start) / 1000)
    for fd in (device, *(fd for fd, _ in segments)):
        os.close(fd)
    return times
