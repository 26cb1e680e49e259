"""What runs of the script now: callbacks one after another, each tool call in a thread of its own.

Threads, since the process must hear control and say that it lives while the user's code does what
it likes. Nothing of it can be interrupted; who waits for it ends the process instead.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import msgspec

LOAD_S = 30.0
"""A file may import what takes long."""
GIVEN_UP_S = 2.0
"""A file that is run for longer than this is ended as soon as it is saved again."""
DROPPED_S = 10.0
"""A tool whose result nobody waits for any more gets so long to return."""


class Running(msgspec.Struct, kw_only=True):
    """Something that runs."""

    name: str
    until: float
    """Monotonic seconds; inf = somebody else watches it."""
    since: float


class Jobs:
    """The threads that run the script."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, float, Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._running: dict[object, Running] = {}
        self._worker = threading.Thread(target=self._work, name="callbacks", daemon=True)
        self._worker.start()

    def put(self, name: str, limit_s: float, job: Callable[[], None]) -> None:
        """Run a job behind those that wait; it may take `limit_s`."""
        self._queue.put((name, limit_s, job))

    def start(self, call_id: str, name: str, job: Callable[[], None]) -> None:
        """Run a tool beside everything else."""
        threading.Thread(
            target=self._run, args=(("tool", call_id), name, float("inf"), job), name=name,
            daemon=True,
        ).start()  # fmt: skip

    def drop(self, call_id: str) -> None:
        """Note that a tool's result is not wanted any more."""
        running = self._running.get(("tool", call_id))
        if running is not None:
            running.until = min(running.until, time.monotonic() + DROPPED_S)

    def overdue(self, now: float) -> tuple[str, float] | None:
        """Return the name of what runs for too long, and for how many seconds it has."""
        for running in tuple(self._running.values()):
            if now > running.until:
                return running.name, now - running.since
        return None

    def running_s(self, name: str) -> float:
        """Return for how many seconds a job of this name has been running; 0 = none is."""
        now = time.monotonic()
        found = (now - each.since for each in tuple(self._running.values()) if each.name == name)
        return max(found, default=0.0)

    def finish(self, seconds: float) -> None:
        """Wait until everything that was put has run, at most so long."""
        self._queue.put(None)
        self._worker.join(seconds)

    def _work(self) -> None:
        while (wanted := self._queue.get()) is not None:
            name, limit_s, job = wanted
            self._run("callback", name, limit_s, job)

    def _run(self, key: object, name: str, limit_s: float, job: Callable[[], None]) -> None:
        now = time.monotonic()
        self._running[key] = Running(name=name, until=now + limit_s, since=now)
        try:
            job()
        finally:
            del self._running[key]
