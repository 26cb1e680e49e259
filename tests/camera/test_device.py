"""A camera's thread: fresh pictures at its own pace, and unplugging is a state."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from voiced.camera.device import Device

DEADLINE_S = 20.0


class Fake:
    """A camera that gives numbered pictures as fast as it is asked.

    Kinder than a real one: it never waits, and closing it takes no time.
    """

    def __init__(self, gives: int = 10**9, pace_s: float = 0.0) -> None:
        self.pace_s = pace_s
        self.left, self.skipped = gives, 0
        self.closed = threading.Event()
        self.unplugged = threading.Event()

    def skip(self) -> bool:
        assert not self.closed.is_set(), "used after it was closed"
        if self.unplugged.is_set() or self.left == 0:
            return False
        self.left -= 1
        self.skipped += 1
        return True

    def look(self) -> bytes:
        return b"%d" % self.skipped

    def close(self) -> None:
        self.closed.set()


class Bench:
    """A device, what it opens next, and what it tells."""

    def __init__(self, *cameras: Fake | None) -> None:
        self.next: queue.Queue[Fake | None] = queue.Queue()
        for camera in cameras:
            self.next.put(camera)
        self.seen: queue.Queue[bytes] = queue.Queue()
        self.blind: queue.Queue[str] = queue.Queue()
        self.asked: queue.Queue[str] = queue.Queue()
        self.device = Device(
            "7", self._open, self.seen.put, lambda: self.blind.put("blind"),
            every_s=0.02, again_s=0.005,
        )  # fmt: skip

    def _open(self, source: str) -> Fake | None:
        self.asked.put(source)
        try:
            return self.next.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        self.device.close()
        self.device._thread.join(DEADLINE_S)
        assert not self.device._thread.is_alive()


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.close()


def test_pictures_between_are_skipped(benches: list[Bench]) -> None:
    camera = Fake()
    benches.append(bench := Bench(camera))
    first, second = (int(bench.seen.get(timeout=DEADLINE_S)) for _ in range(2))
    assert first == 1
    assert second > 2, "a fresh one, not the next of a queue"
    assert bench.asked.get_nowait() == "7"
    bench.close()
    assert camera.closed.is_set()


def test_a_camera_that_is_not_there_is_told_once_and_tried_again(benches: list[Bench]) -> None:
    camera = Fake()
    benches.append(bench := Bench(None, None, camera))
    assert bench.blind.get(timeout=DEADLINE_S) == "blind"
    assert bench.seen.get(timeout=DEADLINE_S)
    assert bench.blind.empty()
    camera.unplugged.set()
    assert bench.blind.get(timeout=DEADLINE_S) == "blind", "told anew once it had worked"
    assert camera.closed.wait(DEADLINE_S)
    bench.next.put(Fake())
    while bench.seen.get(timeout=DEADLINE_S) != b"1":
        pass


def test_a_film_begins_again_and_nobody_is_told(benches: list[Bench]) -> None:
    benches.append(bench := Bench(Fake(3, pace_s=0.001), Fake(3, pace_s=0.001), Fake(3)))
    for _ in range(3):
        assert bench.asked.get(timeout=DEADLINE_S)
        assert bench.seen.get(timeout=DEADLINE_S) == b"1"
    assert bench.blind.get(timeout=DEADLINE_S) == "blind", "the last one was no film"


def test_a_closed_one_tells_nothing_more(benches: list[Bench]) -> None:
    benches.append(bench := Bench(camera := Fake()))
    bench.seen.get(timeout=DEADLINE_S)
    bench.close()
    assert camera.closed.is_set()
    assert bench.blind.empty()
