"""What a script prints, by whatever means, as lines for the log: not more than a log can take.

Descriptors 1 and 2 are a pipe, which a thread empties: print, a C library and a program that the
script starts all write there. Whoever fills it faster than it is read waits.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

LINES_PER_S = 20
BURST = 100
LONGEST = 400
"""Characters of a line; the rest of it is left out."""
_READ = 65_536
_CLOSE_S = 0.3


class Lines:
    """Cuts bytes into lines and lets through what the pace allows.

    Args:
        tell: takes each line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._line = bytearray()
        self._allowance, self._counted_at = float(BURST), 0.0
        self._left_out = 0

    def take(self, received: bytes, now: float) -> None:
        """Take more bytes at `now`, monotonic seconds."""
        earned = max(0.0, now - self._counted_at) * LINES_PER_S
        self._allowance, self._counted_at = min(BURST, self._allowance + earned), now
        *whole, rest = received.split(b"\n")
        # Of a gigabyte only what can be told is looked at.
        told = whole[: int(self._allowance) + 1]
        for part in told:
            self._line += part[: 4 * LONGEST - len(self._line)]
            self._end()
        self._left_out += len(whole) - len(told)
        self._line += rest[: max(0, 4 * LONGEST - len(self._line))]

    def close(self) -> None:
        """Tell what is left."""
        if self._line:
            self._end()
        self._tell_left_out()

    def _end(self) -> None:
        line = self._line.decode("utf-8", "replace").rstrip()
        self._line.clear()
        if not line:
            return
        if self._allowance < 1:
            self._left_out += 1
            return
        self._allowance -= 1
        self._tell_left_out()
        shown = "".join(c if c.isprintable() else " " for c in line[:LONGEST])
        self._tell(shown + (" ..." if len(line) > LONGEST else ""))

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._tell(f"({self._left_out} lines were left out: it prints faster than a log takes)")
            self._left_out = 0


def _text(fd: int) -> TextIO:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class Capture:
    """Descriptors 1 and 2 of this process, read by a thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._lines = Lines(tell)
        self._read_fd, write_fd = os.pipe()
        for fd in (1, 2):
            os.dup2(write_fd, fd)
        os.close(write_fd)
        self.renew()
        self._thread = threading.Thread(target=self._read, name="printed", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Begin `sys.stdout` and `sys.stderr` anew: a script may have closed or replaced them."""
        sys.stdout, sys.stderr = _text(1), _text(2)

    def close(self) -> None:
        """Let go of both descriptors and wait until what they hold is told."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in (1, 2):
            os.dup2(nowhere, fd)
        self._thread.join(_CLOSE_S)

    def _read(self) -> None:
        while received := os.read(self._read_fd, _READ):
            self._lines.take(received, time.monotonic())
        self._lines.close()
