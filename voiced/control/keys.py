"""API keys: where they are found and kept. They are read here, for the network process alone.

For each server, in this order: a systemd credential, a key file that only its owner may read, an
environment variable. A key is never logged, never put in a state file and never read back.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from voiced.control.files import replace_file
from voiced.errors import VoicedError

SERVERS = {
    "gemini": "GEMINI_API_KEY",
    "openai": "OPENAI_API_KEY",
    "xai": "XAI_API_KEY",
    "hume": "HUME_API_KEY",
}
"""Key server -> environment variable."""
MAX_KEY = 4096
"""Bytes of a key file; more is no key."""
_KEY_VARIABLE = "_API_KEY"
"""What the name of a variable with a key ends with, whoever's it is."""
_SHORTEST = 8
"""Characters from which a value is taken for a key wherever it stands: "1" means many things."""
_SERVER = re.compile(r"[a-z][a-z0-9_]{0,31}")


class FoundKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key and where it came from."""

    server: str
    key: str
    source: str
    """"credential", "file" or "environment"."""
    place: str = ""
    """The file or the variable that holds it."""

    def __repr__(self) -> str:
        return f"FoundKey(server={self.server!r}, source={self.source!r}, key=…)"


def find_keys(state_dir: Path, environment: Mapping[str, str]) -> tuple[list[FoundKey], list[str]]:
    """Return the keys there are, one a server, and a sentence for each file that was refused."""
    found, problems = all_keys(state_dir, environment)
    first: dict[str, FoundKey] = {}
    for key in found:
        first.setdefault(key.server, key)
    return list(first.values()), problems


def all_keys(state_dir: Path, environment: Mapping[str, str]) -> tuple[list[FoundKey], list[str]]:
    """Return every key there is, of each server the one that counts first; and what was refused.

    A credential is `$CREDENTIALS_DIRECTORY/keys_<server>` (or `<server>`), a key file is
    `<state_dir>/keys/<server>`, mode 0600. Drop-ins may have servers of other names; their keys are
    found in files.
    """
    found: list[FoundKey] = []
    problems: list[str] = []
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    for server in dict.fromkeys([*SERVERS, *_others(state_dir, credentials)]):
        places: list[tuple[str, Path]] = []
        if credentials:
            places += [("credential", Path(credentials, f"keys_{server}"))]
            places += [("credential", Path(credentials, server))]
        places += [("file", key_file(state_dir, server))]
        for source, path in places:
            if key := read_key(path, source, problems):
                found.append(FoundKey(server=server, key=key, source=source, place=str(path)))
        variable = SERVERS.get(server, "")
        if variable and (key := environment.get(variable, "").strip()):
            found.append(FoundKey(server=server, key=key, source="environment", place=variable))
    return found, problems


def key_file(state_dir: Path, server: str) -> Path:
    """Return where the key of a server is kept."""
    return state_dir / "keys" / server


def _others(state_dir: Path, credentials: str) -> list[str]:
    """Return servers beyond the known ones that there are files for."""
    try:
        kept = sorted(os.listdir(state_dir / "keys"))
    except OSError:
        kept = []
    try:
        given = sorted(os.listdir(credentials)) if credentials else []
    except OSError:
        given = []
    given = [name.removeprefix("keys_") for name in given if name.startswith("keys_")]
    return [name for name in [*kept, *given] if is_server(name)]


def is_server(name: str) -> bool:
    """Tell whether a word can be the name of a key server."""
    return _SERVER.fullmatch(name) is not None


def flaw_of(key: str) -> str:
    """Return why a text cannot be a key, "" if it can; the text is not in it."""
    if not key:
        return "nothing was given"
    if len(key) > MAX_KEY:
        return f"it is longer than {MAX_KEY} characters"
    if key[0] in "\"'":
        return "it begins with a quotation mark: leave that out"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "it must be one line of letters, digits and signs without a space"
    return ""


def keep_key(path: Path, key: str) -> None:
    """Write a key file, 0600, in a folder that only its owner may enter.

    Raises:
        VoicedError: the text is no key, or the folder is somebody else's.
    """
    if flaw := flaw_of(key):
        raise VoicedError(f"this is no key: {flaw}")
    _own(path.parent)
    replace_file(path, key.encode() + b"\n")
    path.parent.chmod(0o700)


def forget_key(path: Path) -> bool:
    """Remove a key file; False = there was none.

    Raises:
        VoicedError: the folder is somebody else's.
    """
    _own(path.parent)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _own(folder: Path) -> None:
    """Refuse a folder of another account: its links could lead anywhere, or it reads no file."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    owner = place.stat().st_uid
    if place in (folder, folder.parent) and owner != os.geteuid():
        raise VoicedError(
            f"{place} belongs to another account (uid {owner}): run this as that account, as with "
            f"sudo -u '#{owner}'"
        )


def read_key(path: Path, source: str, problems: list[str]) -> str:
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
        raw = os.read(fd, MAX_KEY + 2)
    finally:
        os.close(fd)
    key = raw.decode("ascii", "replace").strip()
    if flaw_of(key):
        problems.append(f"key file {path} holds no key: one line of letters and digits is wanted")
        return ""
    return key


def scrubbed(
    environment: Mapping[str, str], keys: Iterable[str] = (), variables: Collection[str] = ()
) -> dict[str, str]:
    """Return the environment of a child: without keys, and without what is systemd's to us.

    The network process, too, has its keys by its channel alone: an environment can be read from
    outside for as long as the process lives.

    Args:
        environment: this process's own.
        keys: those that are known: a variable of any name that holds one goes as well.
        variables: further ones that hold keys.
    """
    private = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"}
    named = {name for name in environment if name in variables or name.endswith(_KEY_VARIABLE)}
    # A key that another one of its server comes before is a key all the same.
    held = {*keys, *(environment[name].strip() for name in named)}
    held = {key for key in held if len(key) >= _SHORTEST}
    return {
        name: value
        for name, value in environment.items()
        if name not in private and name not in named and value.strip() not in held
    }
