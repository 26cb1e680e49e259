"""API keys: where they are found. They are read here and given to the network process alone.

For each server, in this order: a systemd credential, a key file that only its owner may read, an
environment variable. A key is never logged, never put in a state file and never read back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

SERVERS = {
    "gemini": "GEMINI_API_KEY",
    "openai": "OPENAI_API_KEY",
    "xai": "XAI_API_KEY",
    "hume": "HUME_API_KEY",
}
"""Key server -> environment variable."""
MAX_KEY = 4096
"""Bytes of a key file; more is no key."""


class FoundKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key and where it came from."""

    server: str
    key: str
    source: str
    """"credential", "file" or "environment"."""

    def __repr__(self) -> str:
        return f"FoundKey(server={self.server!r}, source={self.source!r}, key=…)"


def find_keys(state_dir: Path, environment: Mapping[str, str]) -> tuple[list[FoundKey], list[str]]:
    """Return the keys there are, one a server, and a sentence for each file that was refused.

    A credential is `$CREDENTIALS_DIRECTORY/keys_<server>` (or `<server>`), a key file is
    `<state_dir>/keys/<server>`, mode 0600.
    """
    found: list[FoundKey] = []
    problems: list[str] = []
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    for server, variable in SERVERS.items():
        places: list[tuple[str, Path]] = []
        if credentials:
            places += [("credential", Path(credentials, f"keys_{server}"))]
            places += [("credential", Path(credentials, server))]
        places += [("file", state_dir / "keys" / server)]
        for source, path in places:
            key = _read_key(path, source, problems)
            if key:
                found.append(FoundKey(server=server, key=key, source=source))
                break
        else:
            if key := environment.get(variable, "").strip():
                found.append(FoundKey(server=server, key=key, source="environment"))
    return found, problems


def _read_key(path: Path, source: str, problems: list[str]) -> str:
    """Return the key in a file, "" where there is none or it is refused."""
    try:
        # O_NONBLOCK: a FIFO in this place must not hold up the start.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.append(f"key file {path} cannot be read: {error.strerror}")
        return ""
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            problems.append(f"key file {path} is not a plain file; it is not used")
            return ""
        # A credential's mode is systemd's business: its folder is private to the service.
        if source == "file" and status.st_mode & 0o077:
            problems.append(
                f"key file {path} can be read by others; it is not used before `chmod 600 {path}`"
            )
            return ""
        raw = os.read(fd, MAX_KEY + 1)
    finally:
        os.close(fd)
    key = raw.decode("ascii", "replace").strip()
    if len(raw) > MAX_KEY or "�" in key or any(c.isspace() for c in key):
        problems.append(f"key file {path} holds no key: one line of letters and digits is wanted")
        return ""
    return key


def scrubbed(environment: Mapping[str, str], *, keep_keys: bool) -> dict[str, str]:
    """Return the environment of a child: without keys, and without what is systemd's to us."""
    private = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"}
    return {
        name: value
        for name, value in environment.items()
        if name not in private and (keep_keys or not name.endswith("_API_KEY"))
    }
