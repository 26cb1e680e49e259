"""SIGHUP: the configuration is read again, and what changed is done by the smallest means."""

from __future__ import annotations

from pathlib import Path

import msgspec

from voiced.control.config import RESTART, Config
from voiced.control.config.changes import changes
from voiced.control.config.values import first_values
from voiced.mind.inputs import Origin, SetTools, Write

CONFIG = Origin(kind="config")


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """What a new configuration asks for."""

    config: Config
    """To be in force from now on: keys that need a restart are as they were."""
    writes: list[tuple[str, Write | SetTools]]
    """(agent, first value that is not what it was, or its tools)."""
    audio: bool
    prices: bool
    osc: bool
    midi: bool
    restart: list[str]
    """Keys whose change counts from the next start on."""
    changed: list[str]
    """Every other key that changed."""


def reload(old: Config, new: Config, folder: Path) -> Reload:
    """Return what it takes to get from one configuration to the other.

    `folder` is the one that relative paths in both start from.
    """
    found = changes(old, new)
    restart = [change.key for change in found if change.applies == RESTART]
    config = _without_restart(old, new)
    writes: list[tuple[str, Write | SetTools]] = []
    for agent in config.agent:
        settings = agent.tools()
        if any(one.name == agent.name and one.tools() != settings for one in old.agent):
            writes.append((agent.name, SetTools(settings=settings)))
        before = first_values(old, agent.name, folder)
        after = first_values(config, agent.name, folder)
        for (page, name), value in after.items():
            if before.get((page, name)) != value:
                write = Write(name=name, value=value, origin=CONFIG, page=page)
                writes.append((agent.name, write))
    return Reload(
        config=config,
        writes=writes,
        audio=config.audio != old.audio or _channels(config) != _channels(old),
        prices=config.prices != old.prices,
        osc=config.osc != old.osc,
        midi=config.midi != old.midi,
        restart=restart,
        changed=[change.key for change in found if change.applies != RESTART],
    )


def _channels(config: Config) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(agent.input_channels, agent.output_channels) for agent in config.agent]


def _without_restart(old: Config, new: Config) -> Config:
    """Return the new configuration with what needs a restart as it was."""
    replace = msgspec.structs.replace
    virtual = replace(new.audio.virtual, speed=old.audio.virtual.speed)
    after = {agent.name: agent for agent in new.agent}
    return replace(
        new,
        osc=replace(new.osc, bind=old.osc.bind, port=old.osc.port),
        web=old.web,
        audio=replace(new.audio, backend=old.audio.backend, virtual=virtual),
        # Agents that are new wait for a restart, agents that are missing stay until then.
        agent=tuple(
            replace(after.get(agent.name, agent), on_start=agent.on_start) for agent in old.agent
        ),
        storage=replace(new.storage, state_dir=old.storage.state_dir),
    )
