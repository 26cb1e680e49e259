"""The folders of profiles and skills: read at the start, when asked, and when something changes.

Files are somebody else's: each is opened without waiting, must be a plain file inside its folder
and of a size that fits, and whatever is wrong with one keeps the others from nothing. A folder may
lie on a slow disk, so it is read in a thread; the loop looks at most once a second whether anything
in it is newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from voiced.mind.inputs import FilesFound
from voiced.mind.profiles import File, parse

LOOK_S = 1.0
FIRST_S = 2.0
"""What the daemon's start waits for folders; a slower one is taken when it comes."""
LARGEST = 256 * 1024
"""Bytes of a file: a system prompt has 60 000 at most."""
MOST_FILES = 256
SUFFIX = ".json"


class Version(msgspec.Struct, frozen=True):
    """What tells one state of a file from the next."""

    file: str
    inode: int
    mtime_ns: int
    size: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder held when it was last looked at."""

    versions: tuple[Version, ...] = ()
    files: tuple[File, ...] = ()
    problem: str = ""
    """Why the folder cannot be read."""
    left_out: str = ""
    """What of it was not read."""


def read_folder(folder: Path, before: Listing) -> Listing:
    """Return what a folder holds; files that are as they were are not read again."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.name.endswith(SUFFIX) and not entry.name.startswith(".")
            )
        inside = folder.resolve()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        return Listing(problem=f"{folder} cannot be read: {why}; what was read before stays")
    versions = tuple(_version(folder, name) for name in names[:MOST_FILES])
    if versions == before.versions and not before.problem:
        return before
    known = dict(zip(before.versions, before.files, strict=True))
    files = tuple(known.get(each) or read_file(inside, each.file) for each in versions)
    more = len(names) - MOST_FILES
    left_out = f"{folder}: {MOST_FILES} files are read, {more} more are not" if more > 0 else ""
    return Listing(versions=versions, files=files, left_out=left_out)


def _version(folder: Path, name: str) -> Version:
    try:
        found = (folder / name).stat()
    except OSError:
        return Version(name, 0, 0, 0)
    return Version(name, found.st_ino, found.st_mtime_ns, found.st_size)


def read_file(folder: Path, name: str) -> File:
    """Return one file of a resolved folder, or why it cannot be used."""
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            return _damaged(name, "it points to a file outside of its folder")
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return _damaged(name, "it is no file")
            if found.st_size > LARGEST:
                return _damaged(name, f"it is larger than {LARGEST // 1024} KiB")
            with os.fdopen(fd, "rb", closefd=False) as file:
                content = file.read(LARGEST)
        finally:
            os.close(fd)
    except (OSError, RuntimeError, ValueError) as error:
        return _damaged(name, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    if not content.strip():
        return _damaged(name, "it is empty")
    try:
        return parse(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _damaged(name, "it is no text in UTF-8")


def _damaged(name: str, why: str) -> File:
    return File(file=name, problems=(why,))


class Folders:
    """Watches every folder that an agent names.

    Args:
        named: returns (agent, "profiles" or "skills", folder or "") of every agent.
        put: gives an agent what is in its folder.
    """

    def __init__(
        self,
        named: Callable[[], Iterable[tuple[str, str, str]]],
        put: Callable[[str, FilesFound], None],
    ) -> None:
        self._named, self._put = named, put
        self._listings: dict[str, Listing] = {}
        self._given: dict[tuple[str, str], tuple[str, Listing]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._wake, self._looked = asyncio.Event(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read every folder, and watch them from then on."""
        self._running = asyncio.create_task(self._run(), name="profiles")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._looked.wait()

    async def close(self) -> None:
        """Watch nothing any more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def scan(self, agent: str, what: str, *, asked: bool) -> None:
        """Look now; `asked` = answer even if nothing has changed."""
        if asked:
            self._asked.add((agent, what))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            await self._look()
            self._looked.set()
            # Between two looks, or for as long as no agent names a folder.
            wait_s = LOOK_S if self._listings else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _look(self) -> None:
        asked, self._asked = self._asked, set()
        named = list(self._named())
        listings = {
            folder: await asyncio.to_thread(
                read_folder, Path(folder), self._listings.get(folder, Listing())
            )
            for folder in dict.fromkeys(folder for _, _, folder in named if folder)
        }
        self._listings = listings
        for agent, what, folder in named:
            key, listing = (agent, what), listings.get(folder, Listing())
            given = self._given.get(key, ("", Listing()))
            if given == (folder, listing) and key not in asked:
                continue
            self._given[key] = (folder, listing)
            self._put(
                agent,
                FilesFound(
                    what=what, folder=folder, files=listing.files, problem=listing.problem,
                    left_out=listing.left_out, asked=key in asked,
                ),
            )  # fmt: skip
