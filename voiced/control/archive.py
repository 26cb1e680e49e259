"""Past conversations on disk: what there is, what can be read of it, what is forgotten.

Works on the folders alone, with or without a running daemon. A session's files share its stem:
`<stem>.json` the trace, `<stem>.journal.jsonl` while it runs or where it broke off, `<stem>.wav`,
`<stem>.flac`, `<stem>.part2.wav`, ... and the folder `<stem>.turns` its recordings.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

import msgspec

from voiced.control.files import lines_of
from voiced.control.traces import (
    FOLDER,
    JOURNAL,
    TRACE,
    UNREADABLE,
    Trace,
    read_trace,
    trace_of,
)

DAY_S = 86_400.0
_STEM = re.compile(r"\d{8}_\d{6}_.+_[0-9a-f]{8}")
_RECORDED = re.compile(r"(\.part\d+)?\.(wav|flac)|\.turns")
"""What may follow a stem in a recording's name."""
_ENDING = re.compile(rf"({_RECORDED.pattern}|{re.escape(TRACE)})$")


class Standing(Enum):
    """How a session stands, as its files tell."""

    ENDED = "ended"
    RUNNING = "running"
    BROKEN_OFF = "broken off"
    """Its journal was never closed, and no daemon runs that would."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation on disk."""

    path: Path
    """Of its trace or journal."""
    standing: Standing
    trace: Trace

    @property
    def stem(self) -> str:
        """Its Sessionid."""
        return stem_of(self.path)


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """A file that should be a conversation and is none."""

    path: Path
    sentence: str


def stem_of(path: Path) -> str:
    """Return the Sessionid that a trace's or journal's name holds."""
    return path.name.removesuffix(JOURNAL).removesuffix(TRACE)


def agent_folders(state_dir: Path) -> list[Path]:
    """Return the agents' own folders of the state folder."""
    try:
        return sorted(each for each in (state_dir / FOLDER).iterdir() if each.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def conversations(folder: Path, *, running: bool) -> Iterator[Past | Damaged]:
    """Yield what a folder holds, oldest first by name; nothing of it stops the rest.

    Args:
        folder: of one agent, or a Sessiontracedir.
        running: whether a daemon runs on it: a journal is then a running session's.
    """
    try:
        names = sorted(each.name for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    journals = {name.removesuffix(JOURNAL) for name in names if name.endswith(JOURNAL)}
    for name in names:
        path = folder / name
        if name.endswith(JOURNAL):
            standing = Standing.RUNNING if running else Standing.BROKEN_OFF
            yield _read(path, standing)
        elif name.endswith(TRACE) and not name.startswith(".") and stem_of(path) not in journals:
            yield _read(path, Standing.ENDED)


def _read(path: Path, standing: Standing) -> Past | Damaged:
    try:
        if standing is Standing.ENDED:
            return Past(path=path, standing=standing, trace=read_trace(path))
        trace = trace_of(stem_of(path), lines_of(path), standing.value)
        return Past(path=path, standing=standing, trace=trace)
    except UNREADABLE as error:
        return Damaged(
            path=path,
            sentence=f"{path} is no whole trace ({error}); mend it, or move it out of the folder",
        )
    except OSError as error:
        why = error.strerror or error
        return Damaged(path=path, sentence=f"{path} cannot be read: {why}")


def files_of(folder: Path, stem: str) -> list[Path]:
    """Return everything that is written of a session: recordings first, its trace last."""
    known = [folder / f"{stem}{JOURNAL}", folder / f"{stem}{TRACE}"]
    return [*recordings_of(folder, stem), *(path for path in known if path.exists())]


def recordings_of(folder: Path, stem: str) -> list[Path]:
    """Return the recordings of a session; the folder of its turns is one of them."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for name in names:
        visible = name.removeprefix(".").removesuffix(".part")
        if visible.startswith(stem) and _RECORDED.fullmatch(visible[len(stem) :]):
            found.append(folder / name)
    return found


def erase(paths: Iterable[Path]) -> None:
    """Remove files and folders; one that is gone already is no trouble.

    Raises:
        OSError: one cannot be removed; those after it stay.
    """
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a recorder leaves hidden when it dies with its daemon.

    Raises:
        OSError: something cannot be removed.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        visible = name.removeprefix(".").removesuffix(".part")
        hidden = name.startswith(".") and not visible.endswith(TRACE)
        if hidden and _session_of(visible):
            (folder / name).unlink(missing_ok=True)


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What retention took away."""

    traces: int = 0
    recordings: int = 0


def expire(folder: Path, before: float, kept: frozenset[str]) -> Removed:
    """Remove the sessions of a folder whose files are all older than `before`, Unix seconds.

    Sessions in `kept`, and those with a journal, stay; so does what has not a session's name.

    Raises:
        OSError: something cannot be removed; the rest of the folder was looked at before.
    """
    doomed: dict[str, list[Path]] = {}
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return Removed()
    journals = {name.removesuffix(JOURNAL) for name in names if name.endswith(JOURNAL)}
    for name in names:
        found = _session_of(name)
        if found and found not in kept and found not in journals:
            doomed.setdefault(found, []).append(folder / name)
    traces = recordings = 0
    for paths in doomed.values():
        if any(path.lstat().st_mtime >= before for path in paths):
            continue
        erase(paths)
        traces += sum(path.name.endswith(TRACE) for path in paths)
        recordings += sum(not path.name.endswith(TRACE) for path in paths)
    return Removed(traces=traces, recordings=recordings)


def _session_of(name: str) -> str:
    """Return the Sessionid that a trace's or recording's name begins with, "" where it has none."""
    ending = _ENDING.search(name)
    stem = name[: ending.start()] if ending else ""
    return stem if _STEM.fullmatch(stem) else ""
