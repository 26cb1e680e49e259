"""All errors at once, the sample true to the declaration, reloads by difference."""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.control.config import Config, find, load, parse, state_dir_of
from voiced.control.config.changes import applies_by_key, changes
from voiced.control.config.values import first_values, unknown_pages
from voiced.control.reload import reload
from voiced.errors import ConfigError
from voiced.messages.network import Catalogue, ProviderCard, ProviderParameter

SAMPLE = Path(__file__).resolve().parents[2] / "config" / "voiced.toml"


def problems_of(text: str, *settings: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, "test.toml", settings)
    return raised.value.problems


# --- the sample


def test_the_sample_is_the_built_in_configuration() -> None:
    assert parse(SAMPLE.read_text(), "sample") == Config()


def test_every_key_is_in_the_sample_with_its_mark() -> None:
    text = re.sub(r"^#(?=\S)", "", SAMPLE.read_text(), flags=re.MULTILINE)
    parse(text, "sample with every line in use")
    table, found = "", {}
    for line in text.splitlines():
        if header := re.match(r"\[\[?([a-z_]+(?:\.[a-z_]+)*)", line):
            table = header[1]
        elif entry := re.fullmatch(r"([a-z_]+) = .*?(?:#\s*\((.+?)\).*)?", line):
            key = f"{table}.{entry[1]}"
            if entry[2] or key not in found:
                found[key] = entry[2]
    declared = applies_by_key()
    assert declared.pop("agent.pages") == "next session"
    # Tables of any model's, any camera's name: their mark stands at the head.
    for named in ("prices", "cameras"):
        assert declared.pop(named) == "live"
        assert re.search(rf"^\[{named}\] +# \(live\)", text, re.MULTILINE)
        found = {key: mark for key, mark in found.items() if not key.startswith(f"{named}.")}
    assert found == declared


# --- mistakes


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = """
[osc]
prot = 1
bind = "0.0.0.0"
[audio]
backend = "virtul"
blocksize = { input = -1 }
[audio.virtual]
input = 3
[[agent]]
name = "voiced"
[agent.par]
Volme = 1.0
Volume = 3.0
Apikey = "secret"
Api_key = "secret"
Provider = "lokal"
Sessionstate = "active"
[agent.pars]
x = 1
[[agent]]
name = "b"
input_channels = []
[budget]
day_ends = "25:00"
[prices.openai_realtime."gpt-realtime-2.1"]
audio_inn = 1.0
audio_out = -1
text_in = "cheap"
[prices.xai_grok]
audio_minute = 0.08
"""
    told = "\n".join(problems_of(text, "audio", "agent.nobody.par.Volume=1"))
    for part in (
        "--set audio: this must be KEY=VALUE",
        "--set agent.nobody.par.Volume=1: there is no agent of that name",
        "osc.prot: there is no such key. Did you mean port?",
        'osc.bind = "0.0.0.0" needs allow',
        'audio.backend = "virtul": this must be one of portaudio, virtual. Did you mean virtual?',
        "audio.blocksize.input = -1: this must be a whole number from 0 to 8192",
        'audio.virtual.input = 3: this must be a text in "quotes" or a table',
        "agent.voiced.par.Volme = 1.0: there is no such parameter. Did you mean Volume?",
        "agent.voiced.par.Volume = 3.0: must be 0 to 1",
        "agent.voiced.par.Apikey = …: a key never stands in this file",
        "agent.voiced.par.Api_key = …: there is no such parameter. Did you mean Apikey?",
        "Did you mean local?",
        "agent.voiced.par.Sessionstate",
        "agent.voiced.pars: there is no such key. Did you mean par?",
        "agent.voiced: name must not be one of",
        "agent.b.input_channels = []: this list must not be empty",
        "budget: day_ends must be a time of day",
        "prices.openai_realtime.gpt-realtime-2.1.audio_inn: there is no such key. Did you mean "
        "audio_in?",
        "prices.openai_realtime.gpt-realtime-2.1.audio_out = -1: this must be a number from 0 to",
        'prices.openai_realtime.gpt-realtime-2.1.text_in = "cheap": this must be a number from 0',
        "prices.xai_grok.audio_minute = 0.08: this must be a table, [prices.xai_grok.audio_minute]",
    ):
        assert part in told, part
    assert "secret" not in told


def test_bad_toml_is_told_with_its_line() -> None:
    assert "line 2" in problems_of("[osc]\nport = \n")[0]


def test_two_agents_of_one_name_are_refused() -> None:
    assert "a" in problems_of('[[agent]]\nname = "a"\n[[agent]]\nname = "a"\n')[0]


def test_a_drop_in_provider_and_its_page_are_taken() -> None:
    text = '[[agent]]\nname = "a"\npar.Provider = "my_robot"\n[agent.my_robot]\nx = 1\n'
    config = parse(text, "t")
    assert config.agent[0].pages == {"my_robot": {"x": 1}}
    assert first_values(config, "a", Path("/etc")) == {
        ("par", "Provider"): "my_robot", ("my_robot", "x"): 1,
    }  # fmt: skip


TOML_VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [*{part for key in applies_by_key() for part in key.split(".")}, "Volume", "Talk", "x"]
)
TABLES = st.recursive(
    st.dictionaries(KEYS, TOML_VALUES, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | st.lists(inner, max_size=2) | TOML_VALUES),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(TABLES)
def test_any_tables_give_a_configuration_or_sentences(tables: dict[str, object]) -> None:
    from voiced.control.config import read_config

    config, problems = read_config(tables)
    assert isinstance(config, Config)
    assert all(isinstance(each, str) and each for each in problems)


# --- where it comes from


def test_the_order_of_places(tmp_path: Path) -> None:
    home = tmp_path / "home" / ".config" / "voiced"
    home.mkdir(parents=True)
    (home / "voiced.toml").write_text("")
    other = tmp_path / "other.toml"
    other.write_text("")
    environment = {"HOME": str(tmp_path / "home")}
    assert find("", environment) == home / "voiced.toml"
    assert find("", {**environment, "VOICED_CONFIG": str(other)}) == other
    assert find(str(other), {**environment, "VOICED_CONFIG": "/nowhere"}) == other
    with pytest.raises(ConfigError, match="no such file"):
        find(str(tmp_path / "absent.toml"), environment)


def test_the_state_folder(tmp_path: Path) -> None:
    environment = {"HOME": "/h", "STATE_DIRECTORY": "/var/lib/voiced:/var/lib/other"}
    assert state_dir_of(Config(), environment) == Path("/var/lib/voiced")
    assert state_dir_of(Config(), {"HOME": "/h"}) == Path("/h/.local/state/voiced")
    account = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert state_dir_of(Config(), {}) == account / ".local/state/voiced"
    named = parse('[storage]\nstate_dir = "/srv/x"', "t")
    assert state_dir_of(named, environment) == Path("/srv/x")


@pytest.mark.parametrize("broken", ["[osc]\nport = 'x'\n", "[osc\n", "\xff"])
def test_the_last_good_one_replaces_a_broken_one(tmp_path: Path, broken: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "last_good.toml").write_text("[audio]\nsamplerate = 44100\n")
    file = tmp_path / "voiced.toml"
    text = broken + f'\n[storage]\nstate_dir = "{state}"\n'
    file.write_bytes(text.encode("latin-1"))
    named = (f"storage.state_dir={state}",)
    loaded = load(file, named)
    assert loaded.config.audio.samplerate == 44100
    assert loaded.broken[:-1]
    assert loaded.broken[-1].startswith(
        f"{file} cannot be used: what it said at the last good start"
    )
    with pytest.raises(ConfigError):
        load(file, named, strict=True)
    if not broken.startswith("\xff"):
        assert load(file).config.audio.samplerate == 44100, "the broken file names the folder"


def test_a_fifo_and_a_folder_are_no_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(ConfigError):
            load(path, strict=True)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "voiced.toml"
    file.write_bytes(b"\xef\xbb\xbf[audio]\nsamplerate = 44100\n")
    assert load(file).config.audio.samplerate == 44100


@pytest.mark.parametrize("left", [b"", b"\n \n"])
def test_an_empty_file_is_a_lost_one_not_the_built_in_configuration(
    tmp_path: Path, left: bytes
) -> None:
    state, file = tmp_path / "state", tmp_path / "voiced.toml"
    state.mkdir()
    (state / "last_good.toml").write_text("[audio]\nsamplerate = 44100\n")
    file.write_bytes(left)
    loaded = load(file, [f"storage.state_dir={state}"])
    assert loaded.config.audio.samplerate == 44100
    assert "is empty" in loaded.broken[0]
    with pytest.raises(ConfigError, match="is empty"):
        load(file, strict=True)


def test_settings_reach_every_depth() -> None:
    config = parse(
        '[[agent]]\nname = "a"\n', "t",
        ["agent.a.par.Volume=0.5", "agent.a.par.Displayname=Ada", "audio.virtual.speed=8",
         "agent.a.input_channels=[3, 4]"],
    )  # fmt: skip
    assert config.agent[0].par == {"Volume": 0.5, "Displayname": "Ada"}
    assert config.agent[0].input_channels == (3, 4)
    assert config.audio.virtual.speed == 8.0


# --- reload


def test_a_reload_is_the_difference() -> None:
    old = parse('[[agent]]\nname = "a"\npar.Volume = 0.5\npar.Micgain = 2.0\n', "t")
    new = parse(
        '[osc]\nport = 1\nadmin = ["10.0.0.0/8"]\n[audio]\ninput = "front"\nbackend = "virtual"\n'
        '[[agent]]\nname = "a"\non_start = "wait"\npar.Volume = 0.75\npar.Micgain = 2.0\n'
        '[[agent]]\nname = "b"\n',
        "t",
    )
    assert {change.key: change.applies for change in changes(old, new)} == {
        "osc.port": "restart", "osc.admin": "live", "audio.input": "live",
        "audio.backend": "restart", "agent.a.on_start": "restart", "agent.a.par": "live",
        "agent.b": "restart",
    }  # fmt: skip
    wanted = reload(old, new, Path())
    assert [(agent, write.name, write.value) for agent, write in wanted.writes] == [
        ("a", "Volume", 0.75)
    ]
    assert (wanted.audio, wanted.osc, wanted.midi) == (True, True, False)
    assert sorted(wanted.restart) == ["agent.a.on_start", "agent.b", "audio.backend", "osc.port"]
    assert wanted.config.osc.port == old.osc.port
    assert wanted.config.osc.admin == ("10.0.0.0/8",)
    assert wanted.config.audio.backend == "portaudio"
    assert [agent.name for agent in wanted.config.agent] == ["a"]


def test_a_reload_of_the_same_is_nothing() -> None:
    config = parse(SAMPLE.read_text(), "sample")
    wanted = reload(config, parse(SAMPLE.read_text(), "sample"), Path())
    assert wanted.writes == wanted.restart == wanted.changed == []
    assert not any((wanted.audio, wanted.osc, wanted.midi))


def test_the_sample_is_toml_for_everybody() -> None:
    tomllib.loads(SAMPLE.read_text())


# --- what only shows later


def test_unknown_providers_and_keys_of_their_pages_are_told_once_they_are_known() -> None:
    config = parse(
        '[[agent]]\nname = "a"\n[agent.echo]\nDelay = 1\nDely = 2\nendpoint = "ws://127.0.0.1:1"\n'
        "[agent.ecko]\nx = 1\n",
        "t",
    )
    card = ProviderCard(
        name="echo", title="Echo", available=True,
        parameters=[ProviderParameter(name="Delay", tag="f", default=0.0)],
    )  # fmt: skip
    assert list(unknown_pages(config, Catalogue(providers=[card]))) == [
        "agent.a.echo.Dely: echo has no such parameter. Did you mean Delay?",
        "agent.a.ecko: there is no provider of this name. Did you mean echo?",
    ]


def test_folders_in_the_file_start_from_its_folder() -> None:
    config = parse('[defaults.par]\nSessiontracedir = "traces"\n[[agent]]\nname = "a"\n', "t")
    values = first_values(config, "a", Path("/srv/show"))
    assert values["par", "Sessiontracedir"] == "/srv/show/traces"
