"""The one thread that writes to disk, so that a slow or full disk never holds up the mind.

Jobs go through a bounded queue: lines to append (journals, the ledger), files to replace, journals
to close into traces. What was appended is fsynced once a second, a booked cost at once. Trouble is
told once for each path until that path can be written again; a full queue drops the job and is told
once. Nothing here waits for the loop and the loop never waits for this.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

SYNC_S = 1.0
"""Seconds of appended lines that a power cut may cost."""
QUEUE_JOBS = 8192


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


Job: TypeAlias = Append | Replace | Finish
Trouble: TypeAlias = Callable[[Path, str], None]


def make_private_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each 0700."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def replace_file(path: Path, content: bytes) -> None:
    """Write `path` anew, 0600, by a synced temporary file and a rename in the same folder."""
    make_private_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class _Appending:
    """One file being appended to."""

    def __init__(self, path: Path) -> None:
        make_private_folder(path.parent)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags, 0o600)
        self.dirty = False
        # A line torn by a full disk or a power cut must not swallow the next one.
        end = os.lseek(self.fd, 0, os.SEEK_END)
        self._torn = end > 0 and os.pread(self.fd, 1, end - 1) != b"\n"

    def append(self, line: bytes) -> None:
        whole = (b"\n" if self._torn else b"") + line + b"\n"
        self._torn = True
        written = os.write(self.fd, whole)
        if written < len(whole):
            # The rest fails with the reason (a full disk writes what still fits).
            written += os.write(self.fd, whole[written:])
        self._torn = written < len(whole)
        self.dirty = True

    def sync(self) -> None:
        if self.dirty:
            os.fsync(self.fd)
            self.dirty = False

    @property
    def unlinked(self) -> bool:
        return os.fstat(self.fd).st_nlink == 0

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self.fd)


class Writer:
    """The writer thread.

    Args:
        on_trouble: called in the writer's thread with a path and a sentence; must only hand on.
        capacity: jobs that may wait.
    """

    def __init__(self, on_trouble: Trouble, capacity: int = QUEUE_JOBS) -> None:
        self._on_trouble = on_trouble
        self._jobs: queue.Queue[Job | None] = queue.Queue(capacity)
        self._full = False
        self._files: dict[Path, _Appending] = {}
        self._troubled: set[Path] = set()
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
        """Write what is queued, sync, end the thread; False when that takes longer."""
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        sync_at = 0.0
        while True:
            dirty = any(file.dirty for file in self._files.values())
            wait = max(0.0, sync_at - time.monotonic()) if dirty else None
            try:
                job = self._jobs.get(timeout=wait)
            except queue.Empty:
                self._sync_all()
                continue
            if job is None:
                self._sync_all()
                for path in list(self._files):
                    self._close_file(path)
                return
            if not dirty:
                sync_at = time.monotonic() + SYNC_S
            self._attempt(job)
            if dirty and time.monotonic() >= sync_at:
                self._sync_all()
                sync_at = time.monotonic() + SYNC_S

    def _attempt(self, job: Job) -> None:
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
            self._tell(job.path, error)
        else:
            self._troubled.discard(job.path)

    def _append(self, job: Append) -> None:
        file = self._files.get(job.path)
        if file is None:
            file = self._files[job.path] = _Appending(job.path)
        file.append(job.line.encode())
        if job.sync:
            file.sync()

    def _sync_all(self) -> None:
        for path, file in list(self._files.items()):
            try:
                file.sync()
                if file.unlinked:
                    # Somebody deleted it: the next line makes it anew.
                    self._close_file(path)
            except OSError as error:
                file.dirty = False
                self._tell(path, error)

    def _close_file(self, path: Path) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            file.close()

    def _tell(self, path: Path, error: OSError) -> None:
        if path in self._troubled:
            return
        self._troubled.add(path)
        self._on_trouble(
            path,
            f"{path} cannot be written: {error.strerror or error}; the conversation goes on, and "
            "writing resumes by itself when this is mended",
        )
