"""The two programs of liblo: `oscsend` says, `oscdump` prints what is told."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

MISSING = [program for program in ("oscsend", "oscdump") if shutil.which(program) is None]
DEADLINE_S = 60.0

_LINE = re.compile(r"^[0-9a-f]{8}\.[0-9a-f]{8} (/\S*) ([a-zA-Z]*)(?: (.*))?$")
_ONE = {"i": r"(-?\d+)", "f": r"(-?[\d.]+(?:e[-+]?\d+)?|-?inf|-?nan)", "s": r'"(.*)"'}
_READ: dict[str, Callable[[str], Any]] = {"i": int, "f": float, "s": str}


class Said(NamedTuple):
    """One message that oscdump printed."""

    at: float
    """`time.monotonic()` at which its line came."""
    address: str
    args: tuple[Any, ...]


def parse(line: str) -> tuple[str, tuple[Any, ...]]:
    """Return address and arguments of a line; quotes within strings are not escaped in it."""
    found = _LINE.match(line)
    assert found is not None, f"oscdump printed {line!r}"
    address, types, rest = found.groups()
    values = re.fullmatch(" ".join(_ONE[tag] for tag in types), (rest or "").strip(" "))
    assert values is not None, f"oscdump printed {line!r}"
    read = [_READ[tag](value) for tag, value in zip(types, values.groups(), strict=True)]
    return address, tuple(read)


def free_port() -> int:
    """Return a UDP port that was free a moment ago: oscdump cannot take any and name it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Shell:
    """oscdump on a port, and oscsend to the daemon's."""

    def __init__(self, daemon_port: int) -> None:
        self._daemon_port = str(daemon_port)
        self.port = free_port()
        self.heard: list[Said] = []
        self._came = threading.Condition()
        self._process = subprocess.Popen(
            ["oscdump", "-L", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(5)
        self._thread.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def subscribe(self, pattern: str) -> None:
        """Ask for everything that matches; asked anew until oscdump's socket is open."""
        for _ in range(10):
            self.send("/voiced/subscribe", "isis", self.port, pattern, 600, "flat")
            try:
                self.wait("/voiced/heartbeat", deadline_s=1.5)
                return
            except AssertionError:
                continue
        raise AssertionError("oscdump heard nothing")

    def send(self, address: str, types: str = "", *values: object) -> None:
        """Run oscsend."""
        arguments = [types, *map(str, values)] if types else []
        subprocess.run(
            ["oscsend", "127.0.0.1", self._daemon_port, address, *arguments],
            check=True, timeout=10,
        )  # fmt: skip

    def mark(self) -> int:
        """Return a place in what was heard, for `since`."""
        with self._came:
            return len(self.heard)

    def place_of(self, said: Said) -> int:
        """Return the place of a message in what was heard."""
        with self._came:
            return next(n for n, one in enumerate(self.heard) if one is said)

    def wait(
        self,
        address: str,
        wanted: Callable[..., bool] = lambda *_: True,
        *,
        since: int = 0,
        deadline_s: float = DEADLINE_S,
    ) -> Said:
        """Return the first wanted message to `address` from place `since` on."""
        deadline, place = time.monotonic() + deadline_s, since
        with self._came:
            while True:
                for said in self.heard[place:]:
                    if said.address == address and wanted(*said.args):
                        return said
                place = len(self.heard)
                left = deadline - time.monotonic()
                if left <= 0 or not self._came.wait(left):
                    seen = [said.args for said in self.heard[since:] if said.address == address]
                    raise AssertionError(f"no wanted {address} in {deadline_s} s; came {seen[-5:]}")

    def all(self, address: str, *, since: int = 0) -> list[Said]:
        """Return every message to an address so far."""
        with self._came:
            return [said for said in self.heard[since:] if said.address == address]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            address, args = parse(line.rstrip("\n"))
            with self._came:
                self.heard.append(Said(time.monotonic(), address, args))
                self._came.notify_all()
