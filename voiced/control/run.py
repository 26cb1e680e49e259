"""What comes before the daemon and after it: configuration, the one-instance lock, logging."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from voiced.control.config import LAST_GOOD, Loaded, find, load, state_dir_of
from voiced.control.daemon import Daemon
from voiced.control.journal import make_private_folder, replace_file
from voiced.control.sdnotify import Notify
from voiced.errors import ConfigError, ExitCode, VoicedError

log = logging.getLogger("voiced")

LOCK_FILE = "lock"


def run(config: str = "", settings: Sequence[str] = (), *, strict: bool = False) -> ExitCode:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C.

    Args:
        config: the configuration file; "" = where one is found.
        settings: `KEY=VALUE` over the file's.
        strict: never run the last good configuration in place of a broken one.
    """
    faulthandler.enable()
    _log_to_stderr()
    try:
        loaded = load(find(config, os.environ), settings, strict=strict)
    except ConfigError as error:
        for problem in error.problems:
            log.error("! %s", problem)
        log.error("! the configuration cannot be used: mend what is listed above")
        return ExitCode.CONFIG
    state_dir = state_dir_of(loaded.config, os.environ)
    try:
        with _only_instance(state_dir):
            if loaded.path is not None and not loaded.broken:
                replace_file(state_dir / LAST_GOOD, loaded.text.encode())
            return asyncio.run(_serve(loaded, settings, state_dir))
    except _Taken as error:
        log.error("! %s", error)
        return ExitCode.UNAVAILABLE
    except OSError as error:
        log.error(
            "! the state folder %s cannot be used: %s; make it writable, or set storage.state_dir",
            state_dir, error.strerror or error,
        )  # fmt: skip
        return ExitCode.FAILED


async def _serve(loaded: Loaded, settings: Sequence[str], state_dir: Path) -> ExitCode:
    loop = asyncio.get_running_loop()

    def reread() -> Loaded:
        fresh = load(loaded.path, settings, strict=True)
        if fresh.path is not None:
            replace_file(state_dir / LAST_GOOD, fresh.text.encode())
        return fresh

    daemon = Daemon(loop, loaded, state_dir, os.environ, Notify(os.environ), reread)
    return await daemon.serve()


class _Taken(VoicedError):
    """Another daemon runs on the same state folder."""


@contextlib.contextmanager
def _only_instance(state_dir: Path) -> Iterator[None]:
    """Hold the state folder's lock; the kernel lets go of it however this process ends."""
    make_private_folder(state_dir)
    path = state_dir / LOCK_FILE
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise _Taken(
                f"another voiced (process {holder or 'unknown'}) runs on {state_dir}: stop it, or "
                "give this one a storage.state_dir of its own"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _log_to_stderr() -> None:
    """Log lines go to stderr: systemd's journal, or the terminal."""
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="%(message)s",
    )
    # What it logs on its own carries addresses and content.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
