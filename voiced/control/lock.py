r"""The lock that `scripts/lock` writes, read for the part of it that some packages need.

A block is a pinned name, maybe a marker, its hashes, and in comments who wants it:

    click==8.5.1 ; sys_platform != 'win32' \\
        --hash=sha256:8bb5...
        # via huggingface-hub

pip is given whole blocks as they stand, so nothing but the lock decides versions, hashes, markers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import voiced
from voiced.messages.packages import canonical

NAME = "extras.txt"
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==\S+")
_WANTED_BY = re.compile(r"\s+#\s+(?:via\s+)?([A-Za-z0-9][A-Za-z0-9._-]*)")


class Block(NamedTuple):
    """One package of the lock."""

    text: str
    wanted_by: frozenset[str]


def find_lock() -> Path | None:
    """Return the lock: of the installed package, or of the sources that it is run from."""
    package = Path(voiced.__file__).parent
    places = (package / "requirements" / NAME, package.parent / "requirements" / NAME)
    return next((place for place in places if place.is_file()), None)


def blocks(text: str) -> dict[str, Block]:
    """Return what is locked, by canonical name (PEP 503)."""
    found: dict[str, Block] = {}
    name, lines = "", list[str]()
    wanted_by: set[str] = set()
    for line in [*text.splitlines(), "end==0"]:
        pinned = _PINNED.match(line)
        if pinned is not None:
            if name:
                found[name] = Block("\n".join(lines) + "\n", frozenset(wanted_by))
            name, lines, wanted_by = canonical(pinned[1]), [], set()
        elif by := _WANTED_BY.match(line):
            wanted_by.add(canonical(by[1]))
        if name and line.strip() and not line.lstrip().startswith("#"):
            lines.append(line)
    return found


def part_for(packages: Collection[str], locked: dict[str, Block]) -> dict[str, str] | list[str]:
    """Return the blocks of packages and of all that they need; or the names that are not locked."""
    wanted = {canonical(name) for name in packages}
    if strange := sorted(wanted - locked.keys()):
        return strange
    while True:
        more = {name for name, block in locked.items() if block.wanted_by & wanted} - wanted
        if not more:
            return {name: locked[name].text for name in sorted(wanted)}
        wanted |= more
