"""Where the configuration is found, and which one is run.

The order is --config, $VOICED_CONFIG, ~/.config/voiced/voiced.toml, /etc/voiced/voiced.toml, and
what is built in. The last file that could be used is kept in the state folder; a file that is
broken at the start gives way to it, and everybody is told.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from voiced.control.config.model import AgentConfig, Config
from voiced.control.config.reader import read_config
from voiced.errors import ConfigError

LAST_GOOD = "last_good.toml"
MAX_BYTES = 1_000_000
"""A configuration file beyond this is something else."""

BUILT_IN = "built in"
"""Where a configuration comes from that no file holds."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and where it came from."""

    config: Config
    path: Path | None
    """The file; None = built in."""
    text: str
    """The file's text as read; "" = built in."""
    broken: tuple[str, ...] = ()
    """Problems of the file in whose place the last good one runs."""

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self.path.resolve().parent if self.path is not None else Path.cwd()

    @property
    def origin(self) -> str:
        """Where it came from, for people."""
        return BUILT_IN if self.path is None else str(self.path)


def find(argument: str, environment: Mapping[str, str]) -> Path | None:
    """Return the file to read; None = what is built in.

    Raises:
        ConfigError: a file that was named does not exist.
    """
    for name, source in ((argument, "--config"), (environment.get("VOICED_CONFIG", ""),
                                                  "$VOICED_CONFIG")):  # fmt: skip
        if name:
            path = Path(name).expanduser()
            if not path.is_file():
                raise ConfigError([f"{source} names {path}: there is no such file"])
            return path
    home = environment.get("XDG_CONFIG_HOME") or f"{_home(environment)}/.config"
    for path in (Path(home, "voiced", "voiced.toml"), Path("/etc/voiced/voiced.toml")):
        if path.is_file():
            return path
    return None


def parse(text: str, origin: str, settings: Sequence[str] = ()) -> Config:
    """Return the configuration in a TOML text, with `--set` values laid over it.

    Raises:
        ConfigError: with every problem there is.
    """
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{origin} is not valid TOML: {error}"]) from error
    problems: list[str] = []
    for setting in settings:
        problem = _lay_over(tables, setting)
        if problem:
            problems.append(problem)
    config, found = read_config(tables)
    if problems or found:
        raise ConfigError([*problems, *found], "" if origin == BUILT_IN else origin)
    return config


def read_text(path: Path) -> str:
    """Return a configuration file's text.

    Raises:
        ConfigError: it is no plain file, empty, too long, not readable or not UTF-8.
    """
    try:
        # O_NONBLOCK: a FIFO in this place must not hold up the start.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigError([f"{path} is not a plain file"])
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror or error}"]) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError([f"{path} is longer than {MAX_BYTES} bytes: it is no configuration"])
    if not raw.strip():
        # What a power cut leaves of a file that was being written, and an editor for a moment.
        raise ConfigError([f"{path} is empty: restore it, or remove it to run what is built in"])
    try:
        return raw.decode("utf-8-sig")  # some editors begin a text with a byte order mark
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError([f"{path} is not UTF-8 (line {line}); save it as UTF-8"]) from error


def load(path: Path | None, settings: Sequence[str] = (), *, strict: bool = False) -> Loaded:
    """Return the configuration to run.

    Args:
        path: the file, None for what is built in.
        settings: `--set` values.
        strict: never run the last good one in place of a broken one.

    Raises:
        ConfigError: it cannot be used, and there is no last good one.
    """
    if path is None:
        return Loaded(config=parse("", BUILT_IN, settings), path=None, text="")
    text = ""
    try:
        text = read_text(path)
        return Loaded(config=parse(text, str(path), settings), path=path, text=text)
    except ConfigError as error:
        kept = None if strict else _last_good(text, settings)
        if kept is None:
            raise
        try:
            good = read_text(kept)
            config = parse(good, str(kept), settings)
        except ConfigError:
            raise error from None
        meanwhile = (
            f"{path} cannot be used: what it said at the last good start runs until it is mended"
        )
        return Loaded(config=config, path=path, text=good, broken=(*error.problems, meanwhile))


def state_dir_of(config: Config, environment: Mapping[str, str]) -> Path:
    """Return the folder for state, traces and the ledger."""
    return _state_dir(config.storage.state_dir, environment)


def _state_dir(named: str, environment: Mapping[str, str]) -> Path:
    if named:
        return Path(named).expanduser()
    if environment.get("STATE_DIRECTORY"):
        # systemd gives a list where the unit names several folders.
        return Path(environment["STATE_DIRECTORY"].split(":")[0])
    home = environment.get("XDG_STATE_HOME") or f"{_home(environment)}/.local/state"
    return Path(home, "voiced")


def _home(environment: Mapping[str, str]) -> str:
    """Return the user's folder, without $HOME the account's (cron and some services have none)."""
    if environment.get("HOME"):
        return environment["HOME"]
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a number without an account, as in a container
        return ""


def _last_good(text: str, settings: Sequence[str]) -> Path | None:
    """Return the kept file; a broken file may still say where the state folder is."""
    tables: dict[str, Any] = {}
    with contextlib.suppress(tomllib.TOMLDecodeError, RecursionError):
        tables = tomllib.loads(text)
    for setting in settings:
        _lay_over(tables, setting)
    storage = tables.get("storage", {})
    named = storage.get("state_dir", "") if isinstance(storage, dict) else ""
    if not tables and not named:
        named = _named_in(text)
    kept = _state_dir(named if isinstance(named, str) else "", os.environ) / LAST_GOOD
    return kept if kept.is_file() else None


def _named_in(text: str) -> str:
    """Return the state_dir that a file which is no TOML names, as far as one line tells."""
    found = re.search(r"""^\s*state_dir\s*=\s*(?:"([^"\\]*)"|'([^']*)')""", text, re.MULTILINE)
    return "" if found is None else found[1] or found[2] or ""


def _lay_over(tables: dict[str, Any], setting: str) -> str:
    """Set one `KEY=VALUE` in the parsed tables; return what is wrong with it, "" if nothing."""
    key, equals, word = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        return f"--set {setting}: this must be KEY=VALUE, as agent.voice_agent.par.Volume=0.5"
    value = _value_of(word.strip())
    table: Any = tables
    if parts[0] == "agent" and len(parts) >= 3:
        table, parts = _agent_table(tables, parts[1]), parts[2:]
        if table is None:
            return f"--set {setting}: there is no agent of that name"
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return f"--set {setting}: {part} is a value, not a table"
    table[parts[-1]] = value
    return ""


def _agent_table(tables: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the table of an agent; the built-in agent gets one where the file has none."""
    agents = tables.setdefault("agent", [{"name": AgentConfig().name}])
    if not isinstance(agents, list):
        return None
    for agent in agents:
        if isinstance(agent, dict) and agent.get("name", AgentConfig().name) == name:
            return agent
    return None


def _value_of(word: str) -> Any:
    """Return a `--set` value: TOML where it is TOML, else the bare word."""
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return word
