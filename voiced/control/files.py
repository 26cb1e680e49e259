"""Files as the daemon keeps them: private, of whole lines or in one piece, there after a power cut.

A name is as safe as what it names only once its folder was synced: that is done wherever a name
appears or changes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; what somebody else wrote may have no end of line at all."""


def make_private_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each 0700."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            sync_folder(folder.parent)


def read_file(path: Path) -> bytes:
    """Return what a plain file holds; nothing else is waited for, as a pipe would be for ever.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    with _open_plain(path) as file:
        return file.read()


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a plain file, which may be larger than memory; what is no line in pieces.

    Raises:
        OSError: it cannot be read, or is no plain file; with the first line that is asked for.
    """
    with _open_plain(path) as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def _open_plain(path: Path) -> BinaryIO:
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - whoever asked for it closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


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
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names of a folder outlive a power cut, where its file system can promise that."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Appending:
    """One file being appended to, made 0600 where there is none.

    Raises:
        OSError: it cannot be opened, or its folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        make_private_folder(path.parent)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self.dirty = False
        """Lines were written that are not synced."""
        self.failed = False
        """The last line could not be written: opened anew, it may be."""
        # A line torn by a full disk or a power cut must not swallow the next one.
        self.size = os.lseek(self._fd, 0, os.SEEK_END)
        """Bytes there were when it was opened."""
        self._torn = self.size > 0 and os.pread(self._fd, 1, self.size - 1) != b"\n"
        if self.size == 0:
            sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Write one line whole, or fail; what a failure leaves of it is a line that is no line.

        Raises:
            OSError: the line is not written.
        """
        self._write((b"\n" if self._torn else b"") + line + b"\n")

    def _write(self, content: bytes) -> None:
        """Write all of it; what a failure leaves of it ends in half a line."""
        self.failed = self._torn = self.dirty = True
        written = os.write(self._fd, content)
        while written < len(content):
            # The rest fails with the reason (a full disk writes what still fits).
            written += os.write(self._fd, content[written:])
        self.failed, self._torn = False, not content.endswith(b"\n")

    def sync(self) -> None:
        """Have what was written outlive a power cut.

        Raises:
            OSError: it may not.
        """
        if self.dirty:
            self.dirty = False  # What failed once is not known to succeed by a second call.
            os.fsync(self._fd)

    @property
    def disk(self) -> int:
        """The device it lies on, wherever its path leads by now."""
        return os.fstat(self._fd).st_dev

    @property
    def astray(self) -> bool:
        """Whether its path names another file by now, or none."""
        own = os.fstat(self._fd)
        try:
            there = self._path.stat()
        except OSError:
            return True
        return (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino)

    def renewed(self) -> Appending:
        """Return this file opened anew by its path; what is missing there is written there first.

        A file that was deleted or moved away is whole again; one that somebody replaced by another
        content is gone on with as it is.

        Raises:
            OSError: it cannot be; this one stays as it is.
        """
        fresh = Appending(self._path)
        try:
            held, there = self._content(), fresh._content()
            if held.startswith(there) and len(held) > len(there):
                fresh._write(held[len(there) :])
        except OSError:
            fresh.close()
            raise
        with contextlib.suppress(OSError):  # Of what is gone nothing can be saved any more.
            self.close()
        return fresh

    def _content(self) -> bytes:
        end = os.lseek(self._fd, 0, os.SEEK_END)
        return os.pread(self._fd, end, 0)

    def close(self) -> None:
        """Sync it and let go of it.

        Raises:
            OSError: it could not be synced; it is closed all the same.
        """
        try:
            self.sync()
        finally:
            os.close(self._fd)
