"""What goes to control: one socket for all threads, and a pace for what the script wants."""

from __future__ import annotations

import os
import socket
import threading
import time

from voiced.errors import ExitCode
from voiced.messages.framing import encode
from voiced.messages.scripts import FromScripts

PER_S = 200
"""Wishes of the script a second; one that wants more waits, and nobody else does."""
BURST = 200
SEND_TIMEOUT_S = 5.0
"""A control process that takes nothing for so long is as good as gone."""


class Outbox:
    """Sends messages, each whole."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()
        self._pacing = threading.Lock()
        self._allowance, self._counted_at = float(BURST), time.monotonic()

    def send(self, message: FromScripts) -> None:
        """Send at once; the process ends where control is gone."""
        try:
            with self._sending:
                self._socket.sendall(encode(message))
        except OSError:
            os._exit(ExitCode.CONTROL_GONE)

    def send_paced(self, message: FromScripts) -> None:
        """Send what a script wants, in its own thread, as fast as PER_S lets it."""
        with self._pacing:
            now = time.monotonic()
            earned = (now - self._counted_at) * PER_S
            self._allowance, self._counted_at = min(BURST, self._allowance + earned) - 1, now
            late_s = -self._allowance / PER_S
        if late_s > 0:
            time.sleep(late_s)
        self.send(message)
