"""A 16-bit wav file that is valid at every moment while it grows.

The header never claims more than is on the disk, and is brought up to date more often than once a
second: whatever ends, the process or the power, at most that second is missing, and a successor
finds it behind the header. Format: RIFF WAVE with a PCM `fmt ` chunk (Microsoft, "Multimedia
Programming Interface and Data Specifications 1.0").
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

HEADER = 44
"""Bytes before the samples."""
MAX_BYTES = (1 << 31) - (1 << 20)
"""A file of this length is full: many programs count in 31 bits."""

LEFT_BYTES = 32 << 20
"""Room that recordings leave on the disk: a season's words and money are smaller than an hour's
sound, and must never wait for it."""
LEFT_PART = 50
"""On a small disk they leave this part of it, if that is less."""


class WavFile:
    """A file being written.

    Args:
        path: made anew, or gone on with where `resume`.
        samplerate: Hz.
        channels: samples of a frame.
        resume: the file is there and holds whole frames of this kind.

    Attributes:
        frames: how many it holds.

    Raises:
        OSError: it cannot be made; FileExistsError where one is there that is not gone on with.
    """

    def __init__(self, path: Path, samplerate: int, channels: int, *, resume: bool = False) -> None:
        self.path = path
        self._samplerate, self._step = samplerate, 2 * channels
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags | (0 if resume else os.O_CREAT | os.O_EXCL), 0o600)
        self.frames = 0
        self._claimed = -1
        if resume:
            self.frames = max(0, os.fstat(self._fd).st_size - HEADER) // self._step

    @property
    def full(self) -> bool:
        """Whether another file must follow."""
        return self.frames * self._step >= MAX_BYTES

    def append(self, samples: bytes) -> None:
        """Write whole frames behind the last one.

        Raises:
            OSError: they cannot all be written; `frames` is as before, and what was written of them
                is written over by the next ones. Also where only what is left for others is free.
        """
        leave_room(self._fd, len(samples))
        if self._claimed < 0:
            self.update()
        at, left = HEADER + self.frames * self._step, memoryview(samples)
        while left:
            written = os.pwrite(self._fd, left, at)
            left, at = left[written:], at + written
        self.frames += len(samples) // self._step

    def silence(self, frames: int) -> None:
        """Add silence, which takes no room on most disks.

        Raises:
            OSError: the file cannot be so long.
        """
        end = HEADER + self.frames * self._step
        # What a failed append left behind must not sound.
        os.ftruncate(self._fd, end)
        os.ftruncate(self._fd, end + frames * self._step)
        self.frames += frames

    def read(self, frame: int, frames: int) -> bytes:
        """Return frames that were written; fewer at the end."""
        frames = min(frames, self.frames - frame)
        return os.pread(self._fd, max(0, frames) * self._step, HEADER + frame * self._step)

    def update(self) -> None:
        """Bring the header up to what was written, once that is on the disk; then the header too.

        Raises:
            OSError: it cannot be written.
        """
        if self._claimed != self.frames:
            if self.frames:
                os.fsync(self._fd)
            os.pwrite(self._fd, header(self._samplerate, self._step // 2, self.frames), 0)
            os.fsync(self._fd)
            self._claimed = self.frames

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: its end cannot be written; it is closed and holds what its header says.
        """
        try:
            os.ftruncate(self._fd, HEADER + self.frames * self._step)
            self.update()
        finally:
            os.close(self._fd)

    def abandon(self) -> None:
        """Close it as it is."""
        os.close(self._fd)


def leave_room(fd: int, size_bytes: int) -> None:
    """See that so much can be written and leaves what words and money need.

    Raises:
        OSError: it would not.
    """
    disk = os.fstatvfs(fd)
    left = min(LEFT_BYTES, disk.f_blocks * disk.f_frsize // LEFT_PART)
    # A file system that tells no size (ramfs, some of the network) is filled until it refuses.
    if disk.f_blocks and disk.f_bavail * disk.f_frsize - size_bytes < left:
        raise OSError(
            errno.ENOSPC, f"the last {left / (1 << 20):.2g} MiB of the disk are for words and money"
        )


def header(samplerate: int, channels: int, frames: int) -> bytes:
    """Return the header of a file of so many frames."""
    step = 2 * channels
    length = frames * step
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", length + HEADER - 8, b"WAVE",
        b"fmt ", 16, 1, channels, samplerate, samplerate * step, step, 16,
        b"data", length,
    )  # fmt: skip
