"""The picture that the model sees: an image file that another program keeps writing.

TouchDesigner's `TOP.save`, a camera program, `ffmpeg -update 1`: whoever writes the file decides
when there is a new picture. It is looked at once a second, because no service takes more, and sent
when it has changed and is whole: a file that is just being written is taken at the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from voiced.lane.seam import Clock

LOOK_S = 1.0
MAX_PICTURE = 512 * 1024
"""Bytes of a JPEG. It shares a socket with the voice: a larger one would hold up what is said."""
_BEGINS, _ENDS = b"\xff\xd8\xff", b"\xff\xd9"


class Unseen(NamedTuple):
    """Why a file gives no picture."""

    sentence: str


class Sight:
    """One leg's eye.

    Args:
        path: the watched file; "" = none.
        show: gives a JPEG to the service.
        trouble: tells, once for each reason, why there is nothing to see.
        clock: the daemon's.
    """

    def __init__(
        self,
        path: str,
        show: Callable[[bytes], Awaitable[object]],
        trouble: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._path, self._show, self._trouble, self._clock = path, show, trouble, clock
        self._version: tuple[int, int] | None = None
        self._told = ""
        self._changed = asyncio.Event()

    def look_at(self, path: str) -> None:
        """Watch another file, from now on; "" = none."""
        if path != self._path:
            self._path, self._version, self._told = path, None, ""
            self._changed.set()

    async def run(self) -> None:
        """Look, for as long as the leg is open."""
        while True:
            if self._path:
                await self._look(self._path)
            self._changed.clear()
            # Between two looks, or for as long as there is nothing to look at.
            wait_s = self._clock.real_s(LOOK_S) if self._path else None
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look(self, path: str) -> None:
        # A disk may be slow, or a network share gone: the voice must not wait for it.
        found = await asyncio.to_thread(picture, Path(path), self._version)
        if path != self._path or found is None:
            return
        if isinstance(found, Unseen):
            if found.sentence != self._told:
                self._told = found.sentence
                self._trouble(found.sentence)
            return
        self._version, jpeg = found
        self._told = ""
        await self._show(jpeg)


def picture(
    path: Path, known: tuple[int, int] | None
) -> tuple[tuple[int, int], bytes] | Unseen | None:
    """Return a file's version and its JPEG; None where it is the known one or not yet whole.

    Args:
        path: the file.
        known: the version that was sent last: modification time in ns, and size.
    """
    try:
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
        if version == known or status.st_size == 0:
            return None
        if status.st_size > MAX_PICTURE:
            return Unseen(
                f"the picture {path.name} is larger than {MAX_PICTURE // 1024} KiB: save it "
                "smaller, 768 pixels wide is enough"
            )
        with path.open("rb") as file:
            jpeg = file.read(MAX_PICTURE + 1)
    except FileNotFoundError:
        return Unseen(f"there is no picture {path.name} yet; it is taken as soon as there is one")
    except OSError as error:
        return Unseen(f"the picture {path.name} cannot be read: {error.strerror}")
    if not jpeg.startswith(_BEGINS):
        return Unseen(f"the picture {path.name} is no JPEG: save it as .jpg")
    return (version, jpeg) if jpeg.rstrip(b"\0").endswith(_ENDS) else None
