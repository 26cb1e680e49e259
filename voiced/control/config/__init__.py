"""The configuration: declared once, read with all errors at once, reloaded by what changed."""

from __future__ import annotations

from voiced.control.config.load import LAST_GOOD, Loaded, find, load, parse, read_text, state_dir_of
from voiced.control.config.model import (
    LIVE,
    NEXT_SESSION,
    RESTART,
    AgentConfig,
    AudioConfig,
    Blocks,
    BudgetConfig,
    Config,
    MidiConfig,
    StorageConfig,
    VirtualConfig,
    WebConfig,
)
from voiced.control.config.reader import check_value, read_config

__all__ = [
    "LAST_GOOD",
    "LIVE",
    "NEXT_SESSION",
    "RESTART",
    "AgentConfig",
    "AudioConfig",
    "Blocks",
    "BudgetConfig",
    "Config",
    "Loaded",
    "MidiConfig",
    "StorageConfig",
    "VirtualConfig",
    "WebConfig",
    "check_value",
    "find",
    "load",
    "parse",
    "read_config",
    "read_text",
    "state_dir_of",
]
