"""One camera in a thread of its own: opened, looked through, and after trouble opened again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

EVERY_S = 1.0
"""A picture is told so often; the ones between are skipped, so that it is always a fresh one."""
AGAIN_S = 2.0
"""A camera that gives nothing is tried again after so long."""


class Source(Protocol):
    """An opened camera; every call may wait for it."""

    pace_s: float
    """Between two pictures, where the camera itself has no pace; else 0."""

    def skip(self) -> bool:
        """Take the next picture without looking at it; False where there is none any more."""

    def look(self) -> bytes:
        """Return the picture that was taken last as a JPEG; empty where there is none."""

    def close(self) -> None:
        """Let go of the camera."""


class Device:
    """A camera that is looked through until `close`.

    Args:
        source: what `opened` is asked for.
        opened: opens it; None where it gives nothing.
        seen: called with a JPEG, from this camera's thread.
        blind: called once, from this camera's thread, when it gives no pictures (any more).
    """

    def __init__(
        self,
        source: str,
        opened: Callable[[str], Source | None],
        seen: Callable[[bytes], None],
        blind: Callable[[], None],
        *,
        every_s: float = EVERY_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self.source = source
        self._opened, self._seen, self._tell_blind = opened, seen, blind
        self._every_s, self._again_s = every_s, again_s
        self._closed = threading.Event()
        self._blind = False
        # A device may never answer: the process ends without this thread.
        self._thread = threading.Thread(target=self._run, name=f"camera {source}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Have it let go of; a device that does not answer is not waited for."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            camera = self._opened(self.source)
            if camera is not None:
                try:
                    over = self._look_through(camera)
                finally:
                    camera.close()
                if over:
                    continue
            if not self._closed.is_set() and not self._blind:
                self._blind = True
                self._tell_blind()
            self._closed.wait(self._again_s)

    def _look_through(self, camera: Source) -> bool:
        """Tell pictures until there are no more; True where that is the end of a film."""
        due, seen = 0.0, False
        while not self._closed.is_set() and camera.skip():
            now = time.monotonic()
            if now >= due and (jpeg := camera.look()) and not self._closed.is_set():
                due, seen, self._blind = now + self._every_s, True, False
                self._seen(jpeg)
            if camera.pace_s:
                self._closed.wait(camera.pace_s)
        return seen and camera.pace_s > 0
