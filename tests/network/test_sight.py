"""The watched picture: sent when it has changed and is whole, and never instead of the voice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from voiced.lane.seam import Clock
from voiced.messages.pictures import MAX_PICTURE
from voiced.network.sight import Sight, Unseen, picture

FIRST = b"\xff\xd8\xff\xe0first\xff\xd9"
SECOND = b"\xff\xd8\xff\xe0second\xff\xd9"


class Eye:
    """A leg's eye, a hundred times as fast, and what came of it."""

    def __init__(self, source: str, root: Path | None = None, every_s: float = 1.0) -> None:
        self.shown: asyncio.Queue[bytes] = asyncio.Queue()
        self.told: asyncio.Queue[str] = asyncio.Queue()
        roots = (root or Path(source).parent,)
        self.sight = Sight(
            source, self.shown.put, self.told.put_nowait, Clock(100.0), lambda: roots, every_s
        )

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
    found = picture(path, None, [tmp_path])
    assert isinstance(found, Unseen)
    assert words in found.sentence


def test_an_unreadable_place_is_a_sentence(tmp_path: Path) -> None:
    found = picture(tmp_path, None, [tmp_path])
    assert isinstance(found, Unseen)
    assert str(tmp_path) not in found.sentence


def test_a_link_that_is_turned_is_not_followed_out_of_the_roots(tmp_path: Path) -> None:
    async def play() -> None:
        inside, outside = tmp_path / "show", tmp_path / "secrets"
        inside.mkdir()
        outside.mkdir()
        written(inside / "real.jpg", FIRST, 1)
        written(outside / "other.jpg", SECOND, 2)
        link = inside / "frame.jpg"
        link.symlink_to("real.jpg")
        async with Eye(str(link)) as eye:
            assert await within(eye.shown) == FIRST
            fresh = inside / "fresh"
            fresh.symlink_to(outside / "other.jpg")
            fresh.rename(link)
            assert "outside the folders" in str(await within(eye.told))
            written(inside / "third.jpg", FIRST + SECOND, 3)
            fresh.symlink_to("third.jpg")
            fresh.rename(link)
            assert await within(eye.shown) == FIRST + SECOND
            assert eye.shown.empty()

    asyncio.run(play())


def test_a_pipe_holds_up_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "frame.jpg")
    found = picture(tmp_path / "frame.jpg", None, [tmp_path])
    assert isinstance(found, Unseen)
    assert "no plain file" in found.sentence


def test_of_pictures_that_are_given_the_newest_is_shown_and_no_two_alike() -> None:
    async def play() -> None:
        async with Eye("") as eye:
            eye.sight.take(FIRST)
            eye.sight.take(SECOND)
            assert await within(eye.shown) == SECOND
            eye.sight.take(SECOND)
            eye.sight.take(FIRST)
            assert await within(eye.shown) == FIRST
            assert eye.shown.empty()

    asyncio.run(play())


def test_typed_words_do_not_wait_for_the_pace() -> None:
    async def play() -> None:
        async with Eye("camera:0", every_s=3600.0) as eye:
            eye.sight.take(FIRST)
            assert await within(eye.shown) == FIRST
            eye.sight.take(SECOND)
            await eye.sight.refresh()
            assert eye.shown.get_nowait() == SECOND
            await eye.sight.refresh()
            assert eye.shown.empty(), "the model has seen it"
            eye.sight.take(FIRST)
            eye.sight.pace(1.0)
            assert await within(eye.shown) == FIRST, "a new pace counts at once"

    asyncio.run(play())


def test_pictures_keep_their_distance() -> None:
    async def play() -> None:
        clock = Clock(100.0)
        shown: list[tuple[int, bytes]] = []
        enough = asyncio.Event()

        async def show(jpeg: bytes) -> None:
            shown.append((clock.mono_ns(), jpeg))
            if len(shown) == 4:
                enough.set()
            else:
                sight.take(FIRST + bytes([len(shown)]) + SECOND)

        sight = Sight("", show, print, clock, tuple, 5.0)
        task = asyncio.create_task(sight.run())
        sight.take(FIRST)
        async with asyncio.timeout(30.0):
            await enough.wait()
        task.cancel()
        await asyncio.wait([task])
        times = [at for at, _ in shown]
        assert min(b - a for a, b in zip(times, times[1:], strict=False)) >= 5_000_000_000

    asyncio.run(play())


def test_a_file_is_not_shown_beside_what_is_given(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "frame.jpg"
        written(path, FIRST, 1)
        async with Eye("", tmp_path) as eye:
            eye.sight.take(SECOND)
            assert await within(eye.shown) == SECOND
            eye.sight.look_at(str(path))
            eye.sight.take(SECOND)
            assert await within(eye.shown) == FIRST
            assert eye.shown.empty()

    asyncio.run(play())
