"""What comes before the daemon and after it: configuration, the one-instance lock, logging."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import faulthandler
import fcntl
import logging
import os
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from voiced.control.config import LAST_GOOD, Loaded, find, load, state_dir_of
from voiced.control.daemon import Daemon
from voiced.control.files import make_private_folder, replace_file
from voiced.control.instance import LOCK_FILE
from voiced.control.sdnotify import Notify
from voiced.errors import ConfigError, ExitCode, VoicedError
from voiced.lane.seam import hide_memory
from voiced.messages.secrets import Redacted, Secrets

log = logging.getLogger("voiced")


def run(config: str = "", settings: Sequence[str] = (), *, strict: bool = False) -> ExitCode:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C.

    Args:
        config: the configuration file; "" = where one is found.
        settings: `KEY=VALUE` over the file's.
        strict: never run the last good configuration in place of a broken one.
    """
    faulthandler.enable()
    # It reads the keys; what it starts inherits that there is no core of it.
    hide_memory()
    secrets = Secrets()
    sys.stdout, sys.stderr = Redacted(sys.stdout, secrets), Redacted(sys.stderr, secrets)
    _log_to_stderr()
    try:
        loaded = load(find(config, os.environ), settings, strict=strict)
    except ConfigError as error:
        for problem in error.problems:
            log.error("! %s", problem)
        log.error(
            "! %s cannot be used: mend what is listed above", error.file or "the configuration"
        )
        return ExitCode.CONFIG
    state_dir = state_dir_of(loaded.config, os.environ)
    try:
        with _only_instance(state_dir):
            if loaded.path is not None and not loaded.broken:
                _keep(loaded, state_dir)
            return _in_a_loop(_serve(loaded, config, settings, state_dir, secrets))
    except _Unusable as error:
        log.error("! %s", error)
        return error.status


def _keep(loaded: Loaded, state_dir: Path) -> None:
    """Keep the configuration for a start with a broken one; a full disk is no reason not to run."""
    try:
        replace_file(state_dir / LAST_GOOD, loaded.text.encode())
    except OSError as error:
        log.warning(
            "! the configuration cannot be kept in %s: %s; it runs all the same",
            state_dir, error.strerror or error,
        )  # fmt: skip


def _in_a_loop(serving: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    """Run the daemon in a loop of its own; a name still being resolved is not waited for."""
    loop = asyncio.new_event_loop()
    try:
        status = loop.run_until_complete(serving)
    finally:
        loop.close()
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        # The system's resolver may take ten seconds more, and Python's exit would join it.
        logging.shutdown()
        sys.stderr.flush()
        os._exit(status)
    return status


async def _serve(
    loaded: Loaded, config: str, settings: Sequence[str], state_dir: Path, secrets: Secrets
) -> ExitCode:
    def reread() -> Loaded:
        return load(find(config, os.environ), settings, strict=True)

    loop = asyncio.get_running_loop()
    daemon = Daemon(loop, loaded, state_dir, os.environ, Notify(os.environ), reread, secrets)
    return await daemon.serve()


class _Unusable(VoicedError):
    """The state folder cannot be used by this process."""

    def __init__(self, sentence: str, status: ExitCode) -> None:
        super().__init__(sentence)
        self.status = status


@contextlib.contextmanager
def _only_instance(state_dir: Path) -> Iterator[None]:
    """Hold the state folder's lock; the kernel lets go of it however this process ends."""
    try:
        make_private_folder(state_dir)
        fd = _lock_file(state_dir)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise _Unusable(
            f"the state folder {state_dir} cannot be used: {why}; make it "
            "writable, or set storage.state_dir",
            ExitCode.FAILED,
        ) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = ""
            with contextlib.suppress(IsADirectoryError):  # See `_lock_file`.
                holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise _Unusable(
                f"another voiced (process {holder or 'unknown'}) runs on {state_dir}: stop it, or "
                "give this one a storage.state_dir of its own",
                ExitCode.UNAVAILABLE,
            ) from None
        with contextlib.suppress(OSError):  # On a full or read-only disk nobody reads who holds it.
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _lock_file(state_dir: Path) -> int:
    """Open what is locked; on a disk that became read-only, whatever can be opened there.

    Raises:
        OSError: nothing can.
    """
    path = state_dir / LOCK_FILE
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return os.open(path if path.exists() else state_dir, os.O_RDONLY | os.O_CLOEXEC)


def _log_to_stderr() -> None:
    """Log lines go to stderr: systemd's journal, or the terminal."""
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="%(message)s",
    )
    # What it logs on its own carries addresses and content.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
