"""When a chunk leaves, block by block; what leaves is tested through the process (test_edges)."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest

from voiced.lane.seam import Clock
from voiced.lane.words import DeviceSegment, Edge, Epoch, LaneSegment
from voiced.network.pump import Pump, Source
from voiced.network.upload import Rules

RATE = 48_000
BLOCK = 480


class Sink:
    """Notes at which near frame each chunk left."""

    def __init__(self, lane: LaneSegment) -> None:
        self.lane = lane
        self.taken: list[tuple[int, int]] = []

    async def take_chunk(self, chunk: bytes) -> None:
        self.taken.append((self.lane.near.write_position, len(chunk) // 2))

    async def take_edge(self, frame: int, is_open: bool) -> None:
        pass

    def heard(self, start, near, rate) -> None:
        pass

    def slipped(self, seconds) -> None:
        raise AssertionError("nobody holds Talk")

    def skipped(self, seconds, to_frame, lapped) -> None:
        raise AssertionError("nothing is skipped here")


@pytest.fixture
def segments():
    (device_fd, device), (lane_fd, lane) = (
        DeviceSegment.create(),
        LaneSegment.create(RATE, near_s=2),
    )
    yield device, lane
    os.close(device_fd)
    os.close(lane_fd)


async def leaves(segments, *, rate: int, frame_ms: int | None, blocks: int) -> list:
    """Return what left while so many blocks came, one at a time."""
    device, lane = segments
    epoch = Epoch(
        generation=1, frame=0, mono_ns=1, samplerate=RATE, blocksize=BLOCK,
        input_latency=0, output_latency=0,
    )  # fmt: skip
    device.append_epoch("input", epoch)
    lane.append_edge(Edge(0, True, 1))
    sink = Sink(lane)
    pump = Pump(
        Source(lane, device), sink, Clock(), rate=rate, frame_ms=frame_ms, catchup_pace=4.0,
        trailing_silence_ms=0,
    )  # fmt: skip
    pump.start(0, Rules(False, 0, 0, lambda start, stop: False))
    task = asyncio.create_task(pump.run(10.0))
    noise = np.random.default_rng(1).integers(-9000, 9000, BLOCK, dtype=np.int16)
    for n in range(blocks):
        lane.near.store(n * BLOCK, noise.data)
        lane.near.publish_write((n + 1) * BLOCK)
        pump.appended()
        for _ in range(20):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return sink.taken


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("frame_ms", [20, 30])
def test_a_chunk_of_whole_blocks_leaves_with_the_block_that_completes_it(segments, rate, frame_ms):
    per_chunk = frame_ms // 10
    taken = asyncio.run(leaves(segments, rate=rate, frame_ms=frame_ms, blocks=8 * per_chunk))
    assert [at for at, _ in taken] == [BLOCK * per_chunk * n for n in range(1, 9)]
    assert {count for _, count in taken[1:]} == {rate * frame_ms // 1000}
    assert rate * (frame_ms - 3) // 1000 < taken[0][1] <= rate * frame_ms // 1000


def test_without_a_wish_every_block_leaves_as_it_comes(segments):
    taken = asyncio.run(leaves(segments, rate=24_000, frame_ms=None, blocks=8))
    assert [at for at, _ in taken] == [BLOCK * n for n in range(1, 9)]
