"""What is kept across restarts: values written at run time, the mute, subscriptions' leases.

A kept value remembers what the configuration said for its key when it was written. Where the
configuration now says something else, its key was edited later and wins: the kept value is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from voiced.control.files import read_file
from voiced.control.journal import Replace
from voiced.control.osc.targets import SavedSubscription
from voiced.messages.network import Value

FILE = "state.json"
FOLDERS_KEPT = 64
"""Folders of traces that are remembered."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One value written at run time."""

    value: Value
    config: Value | None = None
    """What the configuration said for this key at that moment; None = nothing."""


class State(msgspec.Struct, kw_only=True):
    """The content of the state file."""

    version: int = 1
    muted: bool = False
    values: dict[str, dict[str, dict[str, Kept]]] = {}
    """Agent -> page -> name -> kept value."""
    subscriptions: list[SavedSubscription] = []
    """Of the OSC door, those without a lease."""
    folders: list[str] = []
    """Where Sessiontracedir ever had traces written, the last one last."""

    def wrote_into(self, folder: str) -> None:
        """Remember a folder of traces; the FOLDERS_KEPT last ones are."""
        others = [each for each in self.folders if each != folder]
        self.folders = [*others, folder][-FOLDERS_KEPT:]

    def keep(self, agent: str, page: str, name: str, value: Value, config: Value | None) -> None:
        """Keep a value; `config` is what the configuration says for it now."""
        pages = self.values.setdefault(agent, {})
        pages.setdefault(page, {})[name] = Kept(value=value, config=config)

    def forget(self, agent: str, page: str, name: str) -> bool:
        """Drop a kept value; tell whether there was one."""
        return self.values.get(agent, {}).get(page, {}).pop(name, None) is not None

    def providers(self, agent: str, name: str) -> list[str]:
        """Return the providers that a value of this name is kept for."""
        pages = self.values.get(agent, {})
        return [page for page, rows in pages.items() if page != "par" and name in rows]

    def values_of(
        self, agent: str, config: Mapping[tuple[str, str], Value]
    ) -> dict[tuple[str, str], Value]:
        """Return what is kept of an agent; drop what the configuration now overrules.

        Both are by (page, name).
        """
        kept = self.values.get(agent, {})
        for page, rows in kept.items():
            for name in [n for n, each in rows.items() if config.get((page, n)) != each.config]:
                del rows[name]
        return {
            (page, name): each.value for page, rows in kept.items() for name, each in rows.items()
        }

    def file(self, state_dir: Path) -> Replace:
        """Return the job that writes this."""
        content = msgspec.json.format(msgspec.json.encode(self), indent=1)
        return Replace(path=state_dir / FILE, content=content + b"\n")


def load_state(state_dir: Path) -> tuple[State, str]:
    """Return what is kept, and a sentence where the file could not be used.

    A damaged file is set aside under another name, never written over.
    """
    path = state_dir / FILE
    try:
        return msgspec.json.decode(read_file(path), type=State), ""
    except FileNotFoundError:
        return State(), ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        aside = path.with_suffix(".damaged.json")
        try:
            path.replace(aside)
        except OSError:
            return State(), f"{path} cannot be used ({error}); every value starts from the config"
        return State(), (
            f"{path} could not be read ({error}); it is now {aside.name}, every value starts from "
            "the config"
        )
