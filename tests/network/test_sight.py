"""The watched picture: sent when it has changed and is whole, and never instead of the voice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from voiced.lane.seam import Clock
from voiced.network.sight import MAX_PICTURE, Sight, Unseen, picture

FIRST = b"\xff\xd8\xff\xe0first\xff\xd9"
SECOND = b"\xff\xd8\xff\xe0second\xff\xd9"


class Eye:
    """A leg's eye, a hundred times as fast, and what came of it."""

    def __init__(self, path: str) -> None:
        self.shown: asyncio.Queue[bytes] = asyncio.Queue()
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.sight = Sight(path, self.shown.put, self.told.put_nowait, Clock(100.0))

    async def __aenter__(self) -> Eye:
        self.task = asyncio.create_task(self.sight.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def within(waiting: asyncio.Queue) -> object:
    async with asyncio.timeout(5.0):
        return await waiting.get()


def written(path: Path, content: bytes, version: int) -> None:
    path.write_bytes(content)
    os.utime(path, ns=(version, version))


def test_a_picture_is_shown_once_and_again_when_it_changes(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "frame.jpg"
        written(path, FIRST, 1)
        async with Eye(str(path)) as eye:
            assert await within(eye.shown) == FIRST
            written(path, SECOND, 2)
            assert await within(eye.shown) == SECOND
            assert eye.shown.empty()
            assert eye.told.empty()

    asyncio.run(play())


def test_half_a_picture_is_waited_for(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "frame.jpg"
        written(path, FIRST[:-2], 1)
        async with Eye(str(path)) as eye:
            other = tmp_path / "other.jpg"
            written(path, SECOND, 2)
            assert await within(eye.shown) == SECOND
            eye.sight.look_at(str(other))
            assert "other.jpg" in str(await within(eye.told))
            written(other, FIRST, 3)
            assert await within(eye.shown) == FIRST
            assert eye.told.empty(), "a file that is not there is told once"

    asyncio.run(play())


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x89PNG....", "no JPEG"), (FIRST + b"\0" * MAX_PICTURE, "larger than 512 KiB")],
)
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "frame.png"
    written(path, content, 1)
    found = picture(path, None)
    assert isinstance(found, Unseen)
    assert words in found.sentence


def test_an_unreadable_place_is_a_sentence(tmp_path: Path) -> None:
    found = picture(tmp_path, None)
    assert isinstance(found, Unseen)
    assert str(tmp_path) not in found.sentence
