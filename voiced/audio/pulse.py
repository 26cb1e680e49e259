"""Who the PulseAudio server says we are connected to: PortAudio cannot tell.

A desktop's server moves a stream to `auto_null` when its sink is pulled out, and everything looks
healthy while nobody hears a word. `pactl` (pulseaudio-utils; PipeWire speaks it too) tells; without
it this identity check is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from voiced.errors import DeviceError

NOWHERE = "auto_null"
"""Sink that the server makes where there is none."""
_ASK_S = 2.0
_EVENT = re.compile(rb"Event '\w+' on (sink|source|server|sink-input|source-output) ")


class Endpoint(NamedTuple):
    """A sink or a source."""

    number: int
    name: str
    description: str
    channels: int


def is_installed() -> bool:
    """Tell whether `pactl` is there to be asked."""
    return shutil.which("pactl") is not None


def _ask(*arguments: str) -> str:
    """Return what pactl says; "" when there is no server."""
    try:
        told = subprocess.run(
            ["pactl", *arguments],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.decode(errors="replace") if told.returncode == 0 else ""


def defaults() -> tuple[str, str] | None:
    """Return the names of the default sink and source; None without a server."""
    told = _ask("info")
    if not told:
        return None
    found = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    return found.get("Default Sink", ""), found.get("Default Source", "")


def endpoints(kind: str) -> list[Endpoint]:
    """Return the server's 'sinks' or 'sources'."""
    found = []
    for block in re.split(r"\n\n", _ask("list", kind)):
        number = re.match(r"\s*(?:Sink|Source) #(\d+)", block)
        name = re.search(r"^\s*Name: (.*)$", block, re.M)
        description = re.search(r"^\s*Description: (.*)$", block, re.M)
        channels = re.search(r"Sample Specification: .*?(\d+)ch", block)
        if number and name:
            found.append(
                Endpoint(
                    int(number[1]),
                    name[1],
                    description[1] if description else "",
                    int(channels[1]) if channels else 0,
                )
            )
    return found


def find(kind: str, wanted: str) -> Endpoint | None:
    """Return the sink or source whose name is or contains `wanted`, or whose description does."""
    asked = wanted.strip().lower()
    there = endpoints(kind)
    for fits in (
        lambda it: it.name.lower() == asked,
        lambda it: asked in it.name.lower(),
        lambda it: asked in it.description.lower(),
    ):
        for endpoint in there:
            if fits(endpoint):
                return endpoint
    return None


def require_real(*, sink: bool, source: bool) -> None:
    """Check that the default sink and source are devices and not the server's stand-in.

    Raises:
        DeviceError: sound would go nowhere.
    """
    named = defaults()
    if named is None:
        return
    if sink and named[0] == NOWHERE:
        raise DeviceError(
            "the sound server has no loudspeaker (its only sink is auto_null): connect one"
        )
    if source and named[1] in ("", f"{NOWHERE}.monitor"):
        raise DeviceError("the sound server has no microphone: connect one")


def place(kind: str, pid: int) -> str | None:
    """Return the sink ('sinks') or source ('sources') that the streams of `pid` are on.

    None where the server has no such stream.
    """
    streams, word = ("sink-inputs", "Sink") if kind == "sinks" else ("source-outputs", "Source")
    for block in _ask("list", streams).split("\n\n"):
        on = re.search(rf"^\s*{word}: (\d+)$", block, re.M)
        if on and f'application.process.id = "{pid}"' in block:
            for endpoint in endpoints(kind):
                if endpoint.number == int(on[1]):
                    return endpoint.name
    return None


class Watch:
    """Notices when the server moves this process's streams to another device.

    Args:
        sink: whether there is a stream to a loudspeaker, `source`: from a microphone.
        named: whether the operator named the device: then any move is a loss; else the operator
            may move the stream where he likes, but not to nowhere.
    """

    def __init__(self, *, sink: bool, source: bool, named: bool) -> None:
        self._kinds = [kind for kind, used in (("sinks", sink), ("sources", source)) if used]
        self._named = named
        self._places: dict[str, str] = {}
        # A listener must not outlive a killed process, and waits for the next event if it may.
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._events = subprocess.Popen(
            [*tied, "pactl", "subscribe"],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._events.stdout is not None
        self._fd = self._events.stdout.fileno()
        os.set_blocking(self._fd, False)
        self._look = True

    def check(self) -> None:
        """Look where the streams are if the server said that anything changed.

        Raises:
            DeviceError: they are not where they were.
        """
        try:
            told = os.read(self._fd, 65536)
        except BlockingIOError:
            told = b""
        if _EVENT.search(told):
            self._look = True
        if not self._look:
            return
        self._look = False
        for kind in self._kinds:
            now = place(kind, os.getpid())
            before = self._places.setdefault(kind, now) if now else None
            if now is None or before is None:
                continue
            moved = before != now
            if now.startswith(NOWHERE) or (moved and self._named):
                raise DeviceError(
                    f"the sound server moved the stream from {before} to {now}: the device is gone"
                )
            self._places[kind] = now

    def close(self) -> None:
        """Stop listening."""
        self._events.kill()
        self._events.wait()
