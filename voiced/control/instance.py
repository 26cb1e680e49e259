"""The daemon that runs on a state folder, as others on this machine find it: its lock, run.json."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

LOCK_FILE = "lock"
"""Held for as long as the daemon lives; its process id is in it."""
RUN_FILE = "run.json"
"""There from when the doors are open, and signals are taken, to the end."""


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """`<state_dir>/run.json`: what a shell on this machine needs to find the daemon."""

    pid: int
    version: str
    osc_host: str
    osc_port: int
    web_port: int = 0
    """0 = the web door is not open."""
    children: dict[str, int]
    """Name -> process id, of those that run."""
    ready: list[str]
    """Names of the children that said Hello."""


def running(state_dir: Path) -> RunFile | None:
    """Return the daemon that runs on a state folder with its doors open, None if there is none.

    What a killed one left counts for nothing: it holds no lock.
    """
    try:
        found = msgspec.json.decode((state_dir / RUN_FILE).read_bytes(), type=RunFile)
        fd = os.open(state_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        if os.pread(fd, 32, 0).strip() != str(found.pid).encode():
            return None
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return found
    finally:
        os.close(fd)
    return None


def is_held(state_dir: Path) -> bool:
    """Tell whether a daemon holds the state folder, from its start to its very end."""
    try:
        fd = os.open(state_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # A process that is gone holds nothing; asked first, so that nobody's start meets this
        # program's own short hold.
        holder = os.pread(fd, 32, 0).strip()
        if not holder.isdigit() or not _lives(int(holder)):
            return False
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Somebody else's: it lives.
    return True
