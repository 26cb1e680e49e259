"""A sentence that names `voiced key set` names it so that it reaches this very daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiced.control.config import load, state_dir_of
from voiced.control.key_command import complete, completed, options_of
from voiced.messages.network import LegRefused

REFUSED = "xAI refused the key: set it with voiced key set xai"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "a home"
    (made / ".config" / "voiced").mkdir(parents=True)
    return made


def options(home: Path, text: str, path: Path, *settings: str, **more: str) -> str:
    """Return the options for a daemon started on a file with this text."""
    path.write_text(text)
    environment = {"HOME": str(home), **more}
    loaded = load(path, settings)
    return options_of(loaded, state_dir_of(loaded.config, environment), environment)


def test_where_the_command_finds_the_daemon_by_itself_it_stands_alone(home: Path) -> None:
    found = home / ".config" / "voiced" / "voiced.toml"
    assert options(home, "[osc]\nport = 0\n", found) == ""
    assert options(home, f'[storage]\nstate_dir = "{home}/elsewhere"\n', found) == ""
    # A user's own unit names the folder that is meant anyway.
    folder = str(home / ".local" / "state" / "voiced")
    assert options(home, "[osc]\nport = 0\n", found, STATE_DIRECTORY=folder) == ""


def test_a_file_or_a_folder_of_its_own_is_named(home: Path, tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    text = f'[storage]\nstate_dir = "{tmp_path}/state"\n'
    assert options(home, text, named) == f" --config {named}"
    # A shell does not have the variable that named the file.
    assert options(home, text, named, VOICED_CONFIG=str(named)) == f" --config {named}"
    over = f"storage.state_dir={tmp_path}/over"
    assert options(home, text, named, over) == f" --config {named} --state-dir {tmp_path}/over"
    # What is named does not change where the keys lie: nothing need be said.
    assert options(home, "[osc]\nport = 0\n", named) == ""
    spaced = home / "my file.toml"
    assert options(home, text, spaced) == f" --config '{spaced}'"


def test_the_system_units_keys_are_the_systems(home: Path, tmp_path: Path) -> None:
    given = options(
        home, "[osc]\nport = 0\n", tmp_path / "voiced.toml",
        CREDENTIALS_DIRECTORY="/run/credentials/voiced.service", STATE_DIRECTORY="/var/lib/voiced",
    )  # fmt: skip
    assert given == " --system"


def test_only_the_command_is_completed_and_only_once() -> None:
    assert complete(REFUSED, "") == REFUSED
    assert complete(REFUSED, " --system") == f"{REFUSED} --system"
    assert complete(f"{REFUSED} --system", " --system") == f"{REFUSED} --system"
    assert complete("voiced key set xai, then Connect", " -x").startswith("voiced key set xai -x,")
    assert complete("`voiced key set` takes it", " --system") == "`voiced key set` takes it"
    refused = LegRefused(agent="a", leg=1, code="invalid_key", sentence=REFUSED)
    assert completed(refused, " --system").sentence == f"{REFUSED} --system"
    assert completed(refused, "") is refused
