"""Profiles and skills in folders of a running daemon, switched and edited from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.stage import A, Stage

PROFILES = {
    "night": {"Systemprompt": "You watch.", "Volume": 0.25, "stage": {"Cue": 2, "Cast": "ghosts"}},
    "day": {"Systemprompt": "You guide.", "Skillscomp": "short", "Model": "tragedy"},
    "loud": {"Volume": 0.75},
    "bad": {"Volum": 1, "stage": {"Cue": 3}, "Costbudget": 9},
}
SKILLS = {"short": {"Systemprompt": "Be short."}}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    par = [f'{what}folder = "{folder(tmp_path, what)}"' for what in ("Profiles", "Skills")]
    for what, files in (("Profiles", PROFILES), ("Skills", SKILLS)):
        for name, content in files.items():
            (folder(tmp_path, what) / f"{name}.json").write_text(json.dumps(content))
    with Stage(tmp_path, "\n".join(par)) as running:
        yield running


def folder(tmp_path: Path, what: str) -> Path:
    path = tmp_path / what.lower()
    path.mkdir(exist_ok=True)
    return path


def opened(stage: Stage, count: int) -> dict[str, Any]:
    """Return what the service was given with its count-th session."""
    return dict(stage.call("open", count).args[0])


def test_a_switch_by_osc_is_in_the_next_session_and_lifts_off_again(stage: Stage) -> None:
    assert stage.ask(f"{A}/par/Profile/options") == ("day", "loud", "night")
    assert stage.ask(f"{A}/par/Skillscomp/options") == ("short",)
    stage.put("Volume", 0.5)
    stage.connect()
    assert opened(stage, 1)["Systemprompt"] == ""
    since = stage.mark()
    stage.par("Profile", "night", "day")
    stage.wait(f"{A}/cb/onStatus", lambda word, name: (word, name) == ("pending", "Profile"),
               since=since)  # fmt: skip
    assert stage.ask(f"{A}/par/Volume") == (0.5,)
    stage.par("Restart")
    second = opened(stage, 2)
    assert second["Systemprompt"] == "You guide.\n\nBe short."
    assert (second["Cue"], second["Cast"], second["Model"]) == (2.0, "ghosts", "tragedy")
    stage.ask(f"{A}/par/Volume", wanted=0.25)
    stage.state("active", since)

    since = stage.mark()
    stage.par("Profile", "loud")
    stage.par("Applyprofiles")
    stage.wait(f"{A}/par/Volume", 0.75, since=since)
    assert stage.call("update").args[0] == {"Cue": 0.5}
    assert stage.ask(f"{A}/stage/Cast") == ("",)
    stage.par("Profile", "")
    stage.wait(f"{A}/par/Volume", 0.5, since=since)
    stage.par("Restart")
    third = opened(stage, 3)
    assert {n: third[n] for n in ("Systemprompt", "Cue", "Cast", "Model")} == {
        "Systemprompt": "", "Cue": 0.5, "Cast": "", "Model": "",
    }  # fmt: skip


def test_a_profile_is_never_kept_as_the_operators_own(stage: Stage) -> None:
    stage.par("Micgain", 2.0)
    stage.par("Profile", "loud,day")
    stage.connect()
    stage.ask(f"{A}/par/Volume", wanted=0.75)
    assert stage.stop(signal.SIGTERM) == 0
    kept = json.loads((stage.state_dir / "state.json").read_text())["values"]["voice_agent"]
    assert set(kept["par"]) == {"Micgain", "Profile", "Active"}
    assert "stage" not in kept

    stage.on_start("last")
    stage.start()
    again = opened(stage, 2)
    assert (again["Systemprompt"], again["Model"]) == ("You guide.\n\nBe short.", "tragedy")
    stage.ask(f"{A}/par/Volume", wanted=0.75)
    stage.par("Profile", "")
    stage.ask(f"{A}/par/Volume", wanted=1.0)


def test_files_are_read_again_when_they_change_and_the_damaged_are_told(stage: Stage) -> None:
    folder = stage.folder / "profiles"
    told = stage.wait(f"{A}/cb/onError", lambda source, code, _: (source, code) == (
        "profiles", "damaged"))  # fmt: skip
    for words in ("bad.json", "Did you mean Volume?", "stage.Cue = 3: must be from 0 to 2",
                  "Costbudget: a profile sets no budgets"):  # fmt: skip
        assert words in told.args[2]
    assert len(stage.client.all(f"{A}/cb/onError")) == 1

    since = stage.mark()
    (folder / "bad.json").write_text('{"Volume": 0.125}')
    (folder / "night.json").write_text('{"Volume": 0.375, "Volume": 0.5}')
    (folder / "new.json").write_text("{}")
    stage.wait(f"{A}/cb/onStatus", lambda word, what: word == "profiles" and "new" in what,
               since=since)  # fmt: skip
    assert stage.ask(f"{A}/par/Profile/options") == ("bad", "day", "loud", "new", "night")
    twice = stage.wait(f"{A}/cb/onError", "profiles", since=since)
    assert "night.json cannot be used: Volume stands there twice" in twice.args[2]
    stage.par("Profile", "night")
    stage.par("Applyprofiles")
    stage.ask(f"{A}/par/Volume", wanted=0.25)  # as it was last good

    since = stage.mark()
    (folder / "night.json").write_text('{"Volume": 0.375}')
    _read_again(stage, since)
    assert stage.ask(f"{A}/par/Volume") == (0.25,)
    stage.connect()
    stage.ask(f"{A}/par/Volume", wanted=0.375)

    since = stage.mark()
    stage.par("Scanprofiles")
    _read_again(stage, since)
    assert stage.refused(f"{A}/par/Profile", "later", _wrong(stage)) != ""
    assert stage.ask(f"{A}/par/Profile") == ("nihgt",)


def _read_again(stage: Stage, since: int) -> None:
    stage.wait(f"{A}/cb/onStatus", lambda word, what: word == "profiles" and " in /" in what,
               since=since)  # fmt: skip


def _wrong(stage: Stage) -> int:
    since = stage.mark()
    stage.par("Profile", "nihgt")
    assert "Did you mean night?" in stage.refused(f"{A}/par/Profile", "later", since)
    return since


def test_a_folder_of_anything_harms_nothing(stage: Stage) -> None:
    since = stage.mark()
    folder = stage.state_dir / "show"
    folder.mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "huge.json").write_bytes(b" " * (1 << 20))
    (folder / "deep.json").write_text("[" * 200_000)
    (folder / "binary.json").write_bytes(bytes(range(256)))
    (folder / "out.json").symlink_to("/etc/hostname")
    (folder / "empty.json").write_text("")
    (folder / "good.json").write_text('{"Volume": 0.5}')
    stage.par("Profilesfolder", str(folder))
    stage.wait(f"{A}/cb/onStatus", lambda word, what: word == "profiles" and "good" in what,
               since=since)  # fmt: skip
    assert stage.ask(f"{A}/par/Profile/options") == ("good",)
    damaged = {m.args[2].split(".json")[0] for m in stage.client.all(f"{A}/cb/onError", since=since)
               if m.args[:2] == ("profiles", "damaged")}  # fmt: skip
    assert damaged == {"pipe", "huge", "deep", "binary", "out", "empty"}
    since = stage.mark()
    stage.par("Profilesfolder", "/etc")
    assert stage.refused(f"{A}/par/Profilesfolder", "denied", since)
    shutil.rmtree(folder)
    gone = stage.wait(f"{A}/cb/onError", lambda source, code, _: code == "folder", since=since)
    assert "cannot be read" in gone.args[2]
    assert stage.ask(f"{A}/par/Profile/options") == ("good",)
