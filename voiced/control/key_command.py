"""How this very daemon's sentences name the command that gives it a key.

Network says `voiced key set xai`, which finds the folder that a daemon of the same account keeps
its state in by itself. One that was started otherwise completes the command, so that it works as it
stands there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from voiced.control.config import Config, Loaded, find, parse, read_text, state_dir_of
from voiced.errors import ConfigError
from voiced.messages.framing import Message

_COMMAND = re.compile(r"voiced key set [a-z][a-z0-9_]*(?! --)\b")
_SYSTEM_CREDENTIALS = "/run/credentials/"
"""Where the system's own manager keeps them; a user's keeps them elsewhere."""
_OF_THE_SERVICE = ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "VOICED_CONFIG")
"""Variables that a shell may not have."""

T = TypeVar("T", bound=Message)


def options_of(loaded: Loaded, state_dir: Path, environment: Mapping[str, str]) -> str:
    """Return what `voiced key` must be told besides, to reach this daemon from a plain shell.

    Args:
        loaded: what runs.
        state_dir: where it keeps its state.
        environment: the daemon's own.

    Returns:
        Options with a space before each; "" = none.
    """
    if environment.get("CREDENTIALS_DIRECTORY", "").startswith(_SYSTEM_CREDENTIALS):
        return " --system"
    shell = {name: v for name, v in environment.items() if name not in _OF_THE_SERVICE}
    if _folder(None, shell) == state_dir.resolve():
        return ""
    named = ""
    if loaded.path is not None:
        path = loaded.path.resolve()
        named = f" --config {shlex.quote(str(path))}"
        if _folder(path, shell) == state_dir.resolve():
            return named
    return f"{named} --state-dir {shlex.quote(str(state_dir.resolve()))}"


def _folder(named: Path | None, shell: Mapping[str, str]) -> Path | None:
    """Return the state folder that the command would find; None where the file cannot be used."""
    try:
        path = named or find("", shell)
        config = Config() if path is None else parse(read_text(path), str(path))
    except ConfigError:
        return None
    return state_dir_of(config, shell).resolve()


def complete(sentence: str, options: str) -> str:
    """Return a sentence that names the command with its options."""
    return _COMMAND.sub(lambda found: found.group() + options, sentence) if options else sentence


def completed(message: T, options: str) -> T:
    """Return a message whose sentence names the command with its options."""
    sentence = getattr(message, "sentence", "")
    if not isinstance(sentence, str) or (whole := complete(sentence, options)) == sentence:
        return message
    return msgspec.structs.replace(message, sentence=whole)


def options_for(config: str) -> str:
    """Return the options that name a configuration file as another verb was given it."""
    return f" --config {shlex.quote(config)}" if config else ""
