"""`voiced check` on folders of profiles and skills."""

from __future__ import annotations

import json
from pathlib import Path

from voiced.cli import profiles
from voiced.cli.finding import Finding, Verdict
from voiced.control.config import Config, parse
from voiced.providers.registry import Registry

CONFIG = """
[[agent]]
name = "plain"
[[agent]]
name = "a"
[agent.par]
Profilesfolder = "p"
Skillsfolder = "s"
Profile = "night,nihgt"
"""


def config(folder: Path, **files: dict[str, object]) -> Config:
    for what in ("p", "s"):
        (folder / what).mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "p" / f"{name}.json").write_text(json.dumps(content))
    return parse(CONFIG, "t")


def found(folder: Path, settings: Config) -> list[Finding]:
    return list(profiles.findings(settings, folder, folder / "state"))


def test_what_is_wrong_with_the_files_and_with_what_is_chosen(tmp_path: Path) -> None:
    settings = config(
        tmp_path,
        night={"local": {"speed": 1.5}, "openai_realtime": {"Voice": "cedar"}},
        bad={"local": {"spee": 1}, "Volume": 2},
    )
    (tmp_path / "s" / "kind.json").write_text('{"Systemprompt": "Be kind."}')
    wrong, unknown, good, skills = found(tmp_path, settings)
    assert wrong.verdict is unknown.verdict is Verdict.BAD
    assert "a: bad.json cannot be used: local.spee" in wrong.sentence
    assert "Volume = 2: must be from 0 to 1" in wrong.sentence
    assert "Did you mean night?" in unknown.sentence
    assert (good.verdict, good.sentence) == (Verdict.GOOD, "a: night")
    assert (skills.verdict, skills.sentence) == (Verdict.GOOD, "a: kind")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    settings = config(tmp_path)
    (tmp_path / "p").rmdir()
    (wrong,) = found(tmp_path, settings)
    assert "cannot be read" in wrong.sentence
    assert "Profilesfolder" in wrong.fix


def test_who_names_no_folder_is_not_asked(tmp_path: Path) -> None:
    assert found(tmp_path, parse('[[agent]]\nname = "a"\n', "t")) == []


def test_each_profile_is_looked_at_as_it_would_lie(tmp_path: Path) -> None:
    settings = config(
        tmp_path,
        night={"Provider": "openai_realtime", "Systemprompt": "You watch."},
        bad={"Volum": 1},
    )
    registry = Registry()
    registry.scan("")
    cards = registry.catalogue().providers
    plain, night = profiles.dressed(settings.agent[1], settings, tmp_path, tmp_path, cards)
    assert (plain[0], plain[1].provider) == ("a", "local")
    assert (night[0], night[1].provider) == ("a with night", "openai_realtime")
    assert night[1].for_leg()["Systemprompt"] == "You watch."
    assert [name for name, _ in profiles.dressed(settings.agent[0], settings, tmp_path, tmp_path,
                                                 cards)] == ["plain"]  # fmt: skip
