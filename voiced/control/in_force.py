"""The configuration that counts now: what was read last, less what waits for a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from voiced.control.config import Config, Loaded
from voiced.control.config.values import first_values, folders_named
from voiced.control.reload import Reload, reload
from voiced.messages.network import Value


class InForce:
    """The configuration in force.

    Args:
        loaded: as the daemon started with it.
        reread: reads it anew; ConfigError where it cannot be used.
        state_dir: a root of what parameters may name, whatever the configuration says.
    """

    def __init__(self, loaded: Loaded, reread: Callable[[], Loaded], state_dir: Path) -> None:
        self._loaded, self._reread, self._state_dir = loaded, reread, state_dir

    @property
    def loaded(self) -> Loaded:
        """Where it came from, and what was broken there."""
        return self._loaded

    @property
    def config(self) -> Config:
        """What it says."""
        return self._loaded.config

    @property
    def folder(self) -> Path:
        """What relative paths start from."""
        return self._loaded.folder

    def first_values(self, agent: str) -> dict[tuple[str, str], Value]:
        """Return an agent's first values by (page, name)."""
        return first_values(self.config, agent, self.folder)

    def roots(self) -> list[Path]:
        """Return every folder that a parameter's file may be in."""
        named = [self.folder / Path(root).expanduser() for root in self.config.storage.roots]
        named += folders_named(self.config, self.folder)
        # What is built in has no folder: the working directory may be "/".
        return [self._state_dir, *([self.folder] if self._loaded.path else []), *named]

    def choose_device(self, direction: str, name: str) -> None:
        """Have another "input" or "output" device until the configuration is read again."""
        audio = msgspec.structs.replace(self.config.audio, **{direction: name})
        config = msgspec.structs.replace(self.config, audio=audio)
        self._loaded = msgspec.structs.replace(self._loaded, config=config)

    def read_again(self) -> tuple[Loaded, Reload]:
        """Read it again; return what was read, and what it takes to follow it.

        Raises:
            ConfigError: it cannot be used; what was in force still is.
        """
        fresh = self._reread()
        wanted = reload(self.config, fresh.config, fresh.folder)
        self._loaded = msgspec.structs.replace(fresh, config=wanted.config)
        return fresh, wanted
