"""What systemd is told, over the datagram socket it names: sd_notify(3), without a library."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notify:
    """One-way words to the service manager; silent where there is none.

    Attributes:
        watchdog_s: seconds between two `WATCHDOG=1` that systemd wants at most; 0 = it wants none.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        address = env.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self.watchdog_s = 0.0
        # WATCHDOG_PID names whom the watchdog is for: not for us when a wrapper started us.
        if env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            microseconds = env.get("WATCHDOG_USEC", "0")
            self.watchdog_s = int(microseconds) / 1e6 if microseconds.isdigit() else 0.0
        if not address:
            return
        # A leading @ is an abstract socket: a NUL byte on the wire.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def _send(self, *assignments: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError:
            # A service manager that is restarting itself loses a word; the next one comes.
            return

    def ready(self, status: str) -> None:
        """The doors are open."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(f"STATUS={status}")

    def reloading(self, mono_us: int) -> None:
        """A reload began at CLOCK_MONOTONIC `mono_us`; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={mono_us}")

    def stopping(self, status: str) -> None:
        """The service is closing up."""
        self._send("STOPPING=1", f"STATUS={status}")

    def watchdog(self) -> None:
        """The loop runs, and every child is fresh or being dealt with."""
        if self.watchdog_s:
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
