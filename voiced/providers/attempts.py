"""Which drop-ins did not let the process live that loaded them: remembered on disk, over its end.

A module that ends or hangs its process does so at every start. What is being loaded is written down
before, and crossed out after; what stands there at a later start took its process with it. Once may
have been a power cut, so a file is left out from the second time on, until it is saved anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

NAME = "dropins.json"
ENOUGH = 2
"""Loads of one version of a file that nothing was heard of again."""

logger = logging.getLogger(__name__)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Loads of a file that did not come back."""

    version: str
    """Of the file: its time of change in ns, and its size."""
    count: int


class Attempts:
    """What is known of the drop-ins of one daemon.

    Args:
        folder: the state folder; None = nothing is remembered.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / NAME
        self._open: dict[str, Attempt] = {}
        if self._path is not None:
            try:
                self._open = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Attempt])
            except FileNotFoundError:
                pass
            except (OSError, msgspec.MsgspecError) as error:
                logger.warning("! %s cannot be read: %s", self._path, type(error).__name__)

    def flaw_of(self, file: Path) -> str:
        """Return why a file is better not loaded; "" = nothing is known against it."""
        known = self._open.get(str(file))
        if known is None or known.count < ENOUGH or known.version != _version(file):
            return ""
        return (
            f"the process that loads it ended or hung, {known.count} times: it is left out until "
            "the file is saved anew"
        )

    @contextmanager
    def loading(self, file: Path) -> Iterator[None]:
        """Remember a file for as long as it is being loaded."""
        key, version = str(file), _version(file)
        known = self._open.get(key)
        count = known.count if known is not None and known.version == version else 0
        self._open[key] = Attempt(version=version, count=count + 1)
        self._write()
        # Not in a `finally`: what is thrown past everybody who catches ends the process as well.
        yield
        del self._open[key]
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self._open))
            os.replace(fresh, self._path)
        except OSError as error:
            logger.warning("! %s cannot be written: %s", self._path, error.strerror)


def _version(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"
