"""The picture that the model sees: a file that another program keeps writing, or what is given.

TouchDesigner's `TOP.save`, a camera program, `ffmpeg -update 1`: whoever writes the file decides
when there is a new picture. It is looked at once a second, because no service takes more, and sent
when it has changed and is whole: a file that is just being written is taken at the next look. Of
pictures that are given, posted or a camera's, the newest counts. Typed words wait for the newest
picture of all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from voiced.lane.seam import Clock
from voiced.messages.pictures import MAX_PICTURE, camera_of, is_jpeg, is_whole

LOOK_S = 1.0
"""How often a file is looked at, and the shortest time between two pictures."""
Roots = Callable[[], Sequence[Path]]
"""Returns the folders that a watched file may lie in."""


class Unseen(NamedTuple):
    """Why a file gives no picture."""

    sentence: str


_Found: TypeAlias = tuple[tuple[int, int], bytes] | Unseen | None


class Sight:
    """One leg's eye.

    Args:
        source: `Videoin`: the watched file; "" and cameras = what is given by `take`.
        show: gives a JPEG to the service.
        trouble: tells, once for each reason, why there is nothing to see.
        clock: the daemon's.
        roots: where a watched file may lie.
        every_s: the shortest time between two pictures; what is newest when it is over counts.
    """

    def __init__(
        self,
        source: str,
        show: Callable[[bytes], Awaitable[object]],
        trouble: Callable[[str], None],
        clock: Clock,
        roots: Roots,
        every_s: float = LOOK_S,
    ) -> None:
        self._show, self._trouble, self._clock, self._roots = show, trouble, clock, roots
        self._path, self._every_s = _file_of(source), every_s
        self._version: tuple[int, int] | None = None
        self._given = self._last = b""
        self._told = ""
        self._shown_ns: int | None = None
        self._blind = False
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._reading: tuple[str, asyncio.Future[_Found]] | None = None
        """The look that is under way, and at what."""

    def look_at(self, source: str) -> None:
        """Watch another source, from now on; "" = none but what is given."""
        path = _file_of(source)
        if path != self._path:
            self._path, self._version, self._told = path, None, ""
            self._given, self._last, self._shown_ns = b"", b"", None
            self._changed.set()

    def pace(self, every_s: float) -> None:
        """Set the shortest time between two pictures, from the next one on."""
        self._every_s = every_s
        self._changed.set()

    def take(self, jpeg: bytes) -> None:
        """Take a picture that was given; it replaces one that still waits."""
        if not self._path:
            self._given = jpeg
            self._changed.set()

    def close(self) -> None:
        """Look no more: the service has no eyes."""
        self._blind = True

    async def refresh(self) -> None:
        """Show the newest picture now, whatever the pace, if the service has not seen it."""
        async with self._looking:
            if self._blind:
                return
            if self._path:
                await self._look(self._path)
            elif self._given:
                jpeg, self._given = self._given, b""
                await self._show_new(jpeg)

    async def run(self) -> None:
        """Look, for as long as the leg is open."""
        while not self._blind:
            self._changed.clear()
            left_s: float | None = self._left_s()
            if left_s == 0:
                await self.refresh()
                left_s = LOOK_S if self._path else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s and self._clock.real_s(left_s)):
                    await self._changed.wait()

    def _left_s(self) -> float:
        """Return how long the pace wants to wait for the next picture."""
        if self._shown_ns is None:
            return 0.0
        since_s = (self._clock.mono_ns() - self._shown_ns) / 1e9
        return max(0.0, self._every_s - since_s)

    async def _look(self, path: str) -> None:
        # A disk may be slow, or a network share gone: the voice must not wait for it.
        if self._reading is None:
            reading = asyncio.to_thread(picture, Path(path), self._version, self._roots())
            self._reading = path, asyncio.ensure_future(reading)
        asked, task = self._reading
        await asyncio.wait([task], timeout=LOOK_S)
        if not task.done():
            return  # The next look waits for the same answer: one thread at most is held up.
        self._reading = None
        found = task.result()
        if asked != self._path or found is None:
            return
        if isinstance(found, Unseen):
            if found.sentence != self._told:
                self._told = found.sentence
                self._trouble(found.sentence)
            return
        self._version, jpeg = found
        self._told = ""
        await self._show_new(jpeg)

    async def _show_new(self, jpeg: bytes) -> None:
        if jpeg == self._last:
            return
        self._last = jpeg
        self._shown_ns = self._clock.mono_ns()
        await self._show(jpeg)


def _file_of(source: str) -> str:
    return "" if camera_of(source) else source


def picture(path: Path, known: tuple[int, int] | None, roots: Sequence[Path]) -> _Found:
    """Return a file's version and its JPEG; None where it is the known one or not yet whole.

    Args:
        path: the file.
        known: the version that was sent last: modification time in ns, and size.
        roots: where it must really lie, at each look: links are followed, and may be turned.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            status = os.fstat(file.fileno())
            real = path.resolve(strict=True)
            if not any(real.is_relative_to(root.resolve()) for root in roots):
                return Unseen(
                    f"the picture {path.name} lies outside the folders that voiced may read: "
                    "see storage.roots"
                )
            version = (status.st_mtime_ns, status.st_size)
            if version == known or status.st_size == 0 and stat.S_ISREG(status.st_mode):
                return None
            if not os.path.samestat(real.lstat(), status):
                return None  # Since it was opened, another was put, or linked, into its place.
            if not stat.S_ISREG(status.st_mode):
                return Unseen(f"the picture {path.name} is no plain file")
            if status.st_size > MAX_PICTURE:
                return Unseen(
                    f"the picture {path.name} is larger than {MAX_PICTURE // 1024} KiB: save it "
                    "smaller, 768 pixels wide is enough"
                )
            jpeg = file.read(MAX_PICTURE + 1)
    except FileNotFoundError:
        return Unseen(f"there is no picture {path.name} yet; it is taken as soon as there is one")
    except OSError as error:
        return Unseen(f"the picture {path.name} cannot be read: {error.strerror}")
    except RuntimeError:
        return Unseen(f"the picture {path.name} is a link in a circle")
    if not is_jpeg(jpeg):
        return Unseen(f"the picture {path.name} is no JPEG: save it as .jpg")
    return (version, jpeg) if is_whole(jpeg) else None


def _opened(path: str, flags: int) -> int:
    # Without waiting: a FIFO in this place would hold a thread for ever.
    return os.open(path, flags | os.O_NONBLOCK)
