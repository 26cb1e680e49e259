"""The one thread that writes to disk, so that a slow or full disk never holds up the mind.

Jobs go through a bounded queue: lines to append (journals, the ledger), files to replace, journals
to close into traces. What was appended is fsynced within a second, a booked cost at once. What a
full or read-only disk does not take waits in memory, in order, and is tried again: the trouble is
told once for each disk and reason until it is over. Files that somebody deletes or moves away while
they are written are written anew. Nothing here waits for the loop, and the loop never for this.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from voiced.control.files import Appending, replace_file

log = logging.getLogger("voiced")

SYNC_S = 0.75
"""Appended lines are on the disk so soon, and the time that takes: a power cut costs a second."""
QUEUE_JOBS = 8192
RETRY_MIN_S = 0.5
RETRY_MAX_S = 4.0
"""What the disk did not take is tried again so soon, then ever more seldom, at least so often."""
LATE_BYTES = 64 * 1024 * 1024
"""Of lines that wait for a disk: a day of talk."""
_REMEDIES = {
    errno.ENOSPC: "make room on it, or set storage.retention_days",
    errno.EDQUOT: "make room on it, or set storage.retention_days",
    errno.EROFS: "mount it writable again (if the system made it read-only, check it for errors), "
    "or move storage.state_dir",
    errno.EACCES: "let voiced's account write there",
    errno.EPERM: "let voiced's account write there",
}


class Append(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Append one line; the newline is added here."""

    path: Path
    line: str
    sync: bool = False
    """fsync now (money), not within the second."""


class Replace(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Put `content` in the place of `path` in one step: whole old or whole new, never half."""

    path: Path
    content: bytes


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close the file behind `path` and run `work` on it (a journal becomes a trace)."""

    path: Path
    work: Callable[[], None]
    again: bool = True
    """Where the disk does not let it, it is tried again."""
    tried: Callable[[], None] | None = None
    """Called in the writer's thread once it was tried, whatever came of it; must only hand on."""


Job: TypeAlias = Append | Replace | Finish
Trouble: TypeAlias = Callable[[Path, str], None]


class Writer:
    """The writer thread.

    Args:
        on_trouble: called in the writer's thread with a path and a sentence; must only hand on.
        capacity: jobs that may wait.
        late_bytes: of lines that may wait for a disk that does not take them.
    """

    def __init__(
        self, on_trouble: Trouble, capacity: int = QUEUE_JOBS, late_bytes: int = LATE_BYTES
    ) -> None:
        self._on_trouble, self._late_limit = on_trouble, late_bytes
        self._jobs: queue.Queue[Job | None] = queue.Queue(capacity)
        self._full = self._late_full = False
        self._files: dict[Path, Appending] = {}
        self._sync_at: float | None = None
        self._late: dict[Path, deque[Job]] = {}
        """What waits for its disk, in order."""
        self._late_bytes = 0
        self._retry_at, self._retry_s = 0.0, RETRY_MIN_S
        self._troubled: dict[Path, tuple[int, int]] = {}
        """Path -> the disk and the reason."""
        self._unsynced: set[Path] = set()
        """Written, but the disk did not say that it keeps it."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> bool:
        """Queue a job; False (told once) where the queue is full."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            if not self._full:
                self._full = True
                self._on_trouble(
                    job.path,
                    f"the disk is too slow: {self._jobs.maxsize} writes wait, what comes now is "
                    "not written; free the disk or move storage.state_dir",
                )
            return False
        self._full = False
        return True

    def close(self, timeout_s: float) -> bool:
        """Write what is queued, sync, end the thread; False where something stays unwritten."""
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._late

    # --- the thread

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._wait_s())
            except queue.Empty:
                self._due()
                continue
            if job is None:
                self._retry()
                for path in list(self._files):
                    self._attempt(Finish(path=path, work=_nothing, again=False))
                return
            self._take(job)
            self._due()

    def _wait_s(self) -> float | None:
        """Return how long nothing is due, None = for ever."""
        due = [self._sync_at] if self._sync_at is not None else []
        due += [self._retry_at] if self._late else []
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _due(self) -> None:
        """Sync, and try again what the disk did not take, where it is time."""
        now = time.monotonic()
        if self._sync_at is not None and now >= self._sync_at:
            self._sync_all()
        if self._late and now >= self._retry_at:
            self._retry()

    def _take(self, job: Job) -> None:
        """Do a job, behind those of the same path that wait."""
        if job.path in self._late or not self._attempt(job):
            self._put_off(job)
        if isinstance(job, Finish) and job.tried is not None:
            if self._late:
                self._retry()  # Somebody waits for this one.
            job.tried()

    def _put_off(self, job: Job) -> None:
        """Keep a job for when the disk takes it."""
        waiting = self._late.get(job.path, deque())
        match job:
            case Append():
                if self._late_bytes + len(job.line) > self._late_limit:
                    self._tell_late_full(job.path)
                    return
                self._late_bytes += len(job.line)
            case Replace():
                if waiting and isinstance(waiting[-1], Replace):
                    waiting.pop()  # The newest content counts.
            case Finish():
                if not job.again:
                    return
        if not self._late:
            self._retry_s = RETRY_MIN_S
            self._retry_at = time.monotonic() + self._retry_s
        waiting.append(job)
        self._late[job.path] = waiting

    def _tell_late_full(self, path: Path) -> None:
        if not self._late_full:
            self._late_full = True
            self._on_trouble(
                path,
                f"{self._late_limit >> 20} MiB wait for a disk that cannot be written: what comes "
                "now is lost; mend the disk or move storage.state_dir",
            )

    def _retry(self) -> None:
        """Try again what waits; what still fails stays, and all that is behind it."""
        for path, waiting in list(self._late.items()):
            count = len(waiting)
            while waiting and self._attempt(waiting[0]):
                done = waiting.popleft()
                self._late_bytes -= len(done.line) if isinstance(done, Append) else 0
            if not waiting:
                del self._late[path]
                log.info("= %s is written again, %d writes had waited", path, count)
        self._late_full &= bool(self._late)
        self._retry_s = min(RETRY_MAX_S, 2 * self._retry_s)
        self._retry_at = time.monotonic() + self._retry_s

    def _attempt(self, job: Job) -> bool:
        """Do a job; False (told once) where the disk does not let it."""
        try:
            match job:
                case Append():
                    self._append(job)
                case Replace():
                    replace_file(job.path, job.content)
                case Finish():
                    self._close_file(job.path)
                    job.work()
        except OSError as error:
            self._tell(job.path, error, _disk_of(job.path))
            if isinstance(job, Finish) and not job.again:
                del self._troubled[job.path]  # Nothing will tell that it is over.
            return False
        if job.path not in self._unsynced:
            self._troubled.pop(job.path, None)
        return True

    # --- files that are appended to

    def _append(self, job: Append) -> None:
        file = self._present(job.path)
        if file is None:
            file = self._files[job.path] = Appending(job.path)
        file.append(job.line.encode())
        if job.sync:
            self._sync(job.path, file)
        elif self._sync_at is None:
            self._sync_at = time.monotonic() + SYNC_S

    def _present(self, path: Path) -> Appending | None:
        """Return the open file of a path, whole and in its place; None where none is open."""
        file = self._files.get(path)
        if file is None or not (file.failed or file.astray):
            return file
        gone = not (file.failed or path.exists())
        fresh = self._files[path] = file.renewed()
        if gone and fresh.size == 0:
            self._on_trouble(
                path,
                f"{path} was deleted or moved away while it is being written: it has been written "
                "anew, whole (the pulse Forget erases a running conversation)",
            )
        return fresh

    def _sync_all(self) -> None:
        self._sync_at = None
        for path, file in list(self._files.items()):
            self._sync(path, file)

    def _sync(self, path: Path, file: Appending) -> None:
        """Sync a file; its lines are written, so that nothing is tried again."""
        try:
            file.sync()
        except OSError as error:
            self._unsynced.add(path)
            self._tell(path, error, file.disk)  # Its path may lie on another one by now.
        else:
            if path in self._unsynced:
                self._unsynced.discard(path)
                self._troubled.pop(path, None)

    def _close_file(self, path: Path) -> None:
        file = self._present(path)
        if file is not None:
            del self._files[path]
            self._unsynced.discard(path)
            file.close()

    def _tell(self, path: Path, error: OSError, disk: int) -> None:
        """Tell trouble, once for each disk and reason until it is over."""
        what = (disk, error.errno or 0)
        known = what in self._troubled.values()
        self._troubled[path] = what
        if known:
            return
        remedy = _REMEDIES.get(what[1], "mend it, or move storage.state_dir")
        self._on_trouble(
            path,
            f"{path} cannot be written: {error.strerror or error}; {remedy}. The conversation goes "
            "on, and what waits is written by itself when this is mended",
        )


def _disk_of(path: Path) -> int:
    """Return the device that a path lies on, or would; -1 where nobody knows."""
    for each in path.parents:
        try:
            return each.stat().st_dev
        except FileNotFoundError:
            continue
        except OSError:
            break
    return -1


def _nothing() -> None:
    pass
