"""The shell command against a real daemon: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.rig import ROOT, Daemon
from voiced import __version__, cli
from voiced.cli import LATER, VERBS
from voiced.cli.link import shown
from voiced.errors import ExitCode

CLOSED = "1"
"""A port that nobody listens on."""


def voiced(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voiced.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def say(daemon: Daemon):
    def run(verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return voiced(verb, "--port", str(daemon.port), *words)

    return run


def test_a_value_is_set_and_read_back(say) -> None:
    assert say("set", "Volume", "0.3").returncode == ExitCode.DONE
    told = say("get", "Volume")
    assert (told.returncode, told.stdout) == (ExitCode.DONE, "0.3\n")
    assert say("get", "/voice_agent/par/Volume").stdout == "0.3\n"
    assert say("get", "--agent", "voice_agent", "par/Volume").stdout == "0.3\n"


def test_a_number_counts_the_profiles_and_options_stand_below_a_parameter(say) -> None:
    assert "an index from 0 on: there are 0" in say("set", "Profile", "1").stderr
    assert say("set", "Displayname", "1").returncode == ExitCode.DONE
    assert say("get", "Displayname").stdout == "1\n"
    assert say("get", "Provider/options").stdout.split()[0] == "local"


def test_what_was_stored_instead_is_printed(say) -> None:
    told = say("set", "Volume", "7")
    assert (told.returncode, told.stdout) == (ExitCode.DONE, "1\n")


def test_forgetting_lets_the_configuration_count_again(say, daemon: Daemon) -> None:
    say("set", "Maxreplayrows", "33")
    say("set", "Provider", "local")
    assert say("set", "--forget", "Maxreplayrows").returncode == ExitCode.DONE
    assert say("get", "Maxreplayrows").stdout == "20\n", "the row's default"
    assert say("set", "--forget", "Provider").returncode == ExitCode.DONE
    assert say("get", "Provider").stdout == "echo\n", "the file's word"
    say("set", "Displayname", "Pythia")
    assert say("set", "--all").returncode == ExitCode.DONE
    assert say("get", "Displayname").stdout == "\n"
    state = daemon.state_dir / "state.json"

    def nothing_kept() -> bool:
        kept = json.loads(state.read_text())["values"].get("voice_agent", {}).get("par", {})
        return "Displayname" not in kept and "Maxreplayrows" not in kept

    daemon.until(nothing_kept, 10.0, "a state file without them")
    assert say("set", "--forget", "Sessionstate").returncode == ExitCode.FAILED


def test_a_forgotten_model_comes_back_with_no_provider(say, daemon: Daemon) -> None:
    for provider in ("local", "openai_realtime"):
        say("set", "Provider", provider)
        say("set", "Model", f"of-{provider}")
    assert say("set", "--all").returncode == ExitCode.DONE
    for provider in ("local", "openai_realtime"):
        say("set", "Provider", provider)
        assert say("get", "Model").stdout == "\n"
    assert say("set", "--all").returncode == ExitCode.DONE
    state = daemon.state_dir / "state.json"
    daemon.until(lambda: "of-" not in state.read_text(), 10.0, "a state file without them")


def test_text_stays_text(say) -> None:
    say("set", "Systemprompt", "007 and 1.0")
    assert say("get", "Systemprompt").stdout == "007 and 1.0\n"
    say("set", "Displayname", "007")
    assert say("get", "Displayname").stdout == "007\n"


def test_a_refusal_is_the_daemons_own_sentence(say) -> None:
    told = say("set", "Costbudget", "99")
    assert told.returncode == ExitCode.FAILED
    assert "Costbudget" in told.stderr
    assert say("get", "Volumee").returncode == ExitCode.FAILED
    assert "Volume" in say("get", "Volumee").stderr


@pytest.mark.parametrize("name", ["Apikey", "/voice_agent/par/Apikey"])
def test_a_key_on_the_command_line_is_not_passed_on(say, daemon: Daemon, name: str) -> None:
    since = daemon.mark()
    done = say("set", name, "a-key-0123456789")
    assert done.returncode == ExitCode.FAILED
    assert "voiced key set" in done.stderr
    assert "0123456789" not in done.stdout + done.stderr
    assert daemon.ask("/voice_agent/par/Apikey/set") == (0,)
    assert not daemon.client.all("/voiced/error", since=since)


def test_help_comes_with_the_value(say) -> None:
    told = say("get", "--origin", "Volume").stdout
    assert "address  /voice_agent/par/Volume\n" in told
    assert "range    0 to 1\n" in told
    assert "applies  at once\n" in told


def test_pulses_fire(say, daemon: Daemon) -> None:
    since = daemon.mark()
    assert say("pulse", "Connect").returncode == ExitCode.DONE
    daemon.wait("/voice_agent/cb/onSessionStart", since=since)
    told = say("status", "--json")
    report = json.loads(told.stdout)
    assert report["agents"]["voice_agent"]["Sessionstate"] == "active"
    assert report["agents"]["voice_agent"]["Provider"] == "echo"
    assert told.returncode == ExitCode.DONE
    assert "voice_agent: active" in say("status").stdout
    assert say("pulse", "Disconnect").returncode == ExitCode.DONE
    daemon.wait("/voice_agent/cb/onSessionEnd", since=since)


def test_only_pulses_are_fired(say) -> None:
    told = say("pulse", "Volume")
    assert told.returncode == ExitCode.FAILED
    assert "Volume is no pulse" in told.stderr


def test_a_pulse_that_has_nothing_to_do_says_so(say) -> None:
    assert "lacks no packages" in say("pulse", "Installdependencies").stderr


@pytest.mark.parametrize(
    ("number", "text"),
    [(-40.0, "-40"), (100.0, "100"), (0.30000001192092896, "0.3"), (0.0, "0"), (2.5, "2.5"),
     (44100.0, "44100"), (1, "1"), ("7.0", "7.0")],
)  # fmt: skip
def test_numbers_are_shown_as_a_person_writes_them(number: float, text: str) -> None:
    assert shown(number) == text


def test_a_running_daemon_has_its_ports_rightly(daemon: Daemon, tmp_path: Path) -> None:
    config = tmp_path / "voiced.toml"
    config.write_text(f'[osc]\nport = {daemon.port}\n[audio]\nbackend = "virtual"\n')
    told = voiced("check", "--config", str(config), env={"HOME": str(tmp_path)})
    assert f"voiced {__version__} answers at 127.0.0.1:{daemon.port}" in told.stdout


def test_watching_shows_what_happens(daemon: Daemon) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "voiced.cli", "watch", "--port", str(daemon.port), "/*/par/Micgain"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("/voice_agent/par/Micgain\t"), "the dump"
        daemon.send("/voice_agent/par/Micgain", 2.5)
        assert watching.stdout.readline() == "/voice_agent/par/Micgain\t2.5\n"
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == ExitCode.DONE
    finally:
        watching.kill()
        watching.communicate()


@pytest.mark.parametrize(
    "words",
    [("get", "Volume"), ("set", "Volume", "1"), ("pulse", "Stop"), ("status",), ("watch",)],
)
def test_without_a_daemon_it_says_so(words: tuple[str, ...]) -> None:
    told = voiced(*words, "--port", CLOSED)
    assert told.returncode == ExitCode.UNAVAILABLE
    assert "voiced run" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    told = voiced(verb, "--help")
    assert told.returncode == 0
    assert f"usage: voiced {verb}" in told.stdout


@pytest.mark.parametrize("verb", sorted(LATER))
def test_what_comes_later_says_so(verb: str) -> None:
    told = voiced(verb)
    assert told.returncode == ExitCode.UNAVAILABLE
    assert "comes" in told.stderr


@pytest.mark.parametrize("words", [(), ("nonsense",), ("set",), ("get",), ("get", "--port", "x")])
def test_wrong_usage(words: tuple[str, ...]) -> None:
    told = voiced(*words)
    assert told.returncode == ExitCode.USAGE
    assert "usage: voiced" in told.stdout + told.stderr


def test_a_full_disk_is_told_in_a_sentence() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        told = subprocess.run(
            [sys.executable, "-m", "voiced.cli", "addresses"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert told.returncode == 1
    assert told.stderr == "voiced: output: No space left on device\n"


def test_ctrl_c_while_it_still_starts_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)
    assert cli.main(["run"]) == 0


def test_help_imports_no_verb() -> None:
    code = (
        "import sys, voiced.cli\n"
        "try: voiced.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'msgspec', 'voiced.control', 'asyncio') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.endswith("[]\n")


def test_addresses_tell_the_whole_table() -> None:
    from voiced.parameters import ADDRESSES, ROWS

    report = json.loads(voiced("addresses", "--json").stdout)
    assert [row["name"] for row in report["parameters"]] == list(ROWS)
    assert len(report["addresses"]) == len(ADDRESSES)
    plain = voiced("addresses").stdout
    assert "/<agent>/par/Volume" in plain
    assert "/voiced/ping" in plain


def test_a_broken_configuration_is_checked_line_by_line(tmp_path: Path) -> None:
    config = tmp_path / "voiced.toml"
    config.write_text('[osc]\nprot = 9\n[audio]\nbackend = "virtual"\nsamplerate = "fast"\n')
    told = voiced("check", "--config", str(config), env={"HOME": str(tmp_path)})
    assert told.returncode == ExitCode.CONFIG
    bad = [line for line in told.stdout.splitlines() if line.startswith("FAIL config")]
    assert len(bad) == 2
    assert all(" -> " in line for line in bad), "each failing line ends with its fix"
    assert any("port" in line for line in bad)


def test_a_good_configuration_passes(tmp_path: Path) -> None:
    config = tmp_path / "voiced.toml"
    config.write_text('[osc]\nport = 0\n[audio]\nbackend = "virtual"\n[storage]\n'
                      f'state_dir = "{tmp_path}/state"\n')  # fmt: skip
    told = voiced("check", "--config", str(config), "--json", env={"HOME": str(tmp_path)})
    findings = json.loads(told.stdout)
    assert told.returncode == ExitCode.DONE, findings
    matters = {finding["matter"] for finding in findings}
    assert {"config", "devices", "midi", "keys", "ports", "folders", "disk", "clock"} <= matters


def test_the_sample_configuration_of_the_readme_is_one() -> None:
    from voiced.control.config import parse

    text = (ROOT / "README.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```toml\n")[1:]]
    assert len(blocks) >= 2
    for block in blocks:
        tomllib.loads(block)
        parse(block, "README.md")


def test_the_readme_names_real_addresses() -> None:
    import re

    from voiced.parameters import ADDRESSES, ROWS

    text = "".join(
        (ROOT / page).read_text()
        for page in ("README.md", "integrations/touchdesigner.md", "integrations/max.md")
    )
    for name in re.findall(r"/voice_agent/par/(\w+)", text):
        assert name in ROWS, name
    known = {one.address.replace("<agent>", "voice_agent") for one in ADDRESSES}
    for address in re.findall(r"(?<![\w./*~])(/voice(?:_agent|d)/(?!par/)[\w/]+)", text):
        assert address.rstrip("/") in known, address


def test_a_shell_holds_talk_until_a_shell_lets_go(say, daemon: Daemon) -> None:
    assert say("set", "Talk", "1").returncode == ExitCode.DONE
    assert say("get", "Talk").stdout == "1\n", "the command has ended, its hold has not"
    since = daemon.mark()
    daemon.send("/voice_agent/par/Talk", 0)
    daemon.wait("/voice_agent/par/Talk", 1, since=since)
    assert say("set", "Talk", "0").returncode == ExitCode.DONE
    assert say("get", "Talk").stdout == "0\n"


def test_a_stopped_engine_is_a_failure_to_status(say, daemon: Daemon) -> None:
    assert say("pulse", "Shutdown").returncode == ExitCode.DONE
    told = say("status")
    assert told.returncode == ExitCode.FAILED
    assert "stopped: pulse Initialize" in told.stdout
    refused = say("pulse", "Connect")
    assert refused.returncode == ExitCode.FAILED
    assert "pulse Initialize" in refused.stderr
    say("pulse", "Initialize")
    daemon.ask("/voice_agent/par/Enginestatus", wanted="ready")
    assert say("status").returncode == ExitCode.DONE


def test_a_mute_is_shouted_by_status(say) -> None:
    assert say("set", "/voiced/mute", "1").returncode == ExitCode.DONE
    assert "MUTED" in say("status").stdout
    assert say("set", "/voiced/mute", "0").returncode == ExitCode.DONE
    assert "MUTED" not in say("status").stdout


def test_providers_shows_drop_ins_and_why_one_cannot_be_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    broken = tmp_path / "provider_broken.py"
    broken.write_text("SAMPLE_RATE_IN = 'fast'\n")
    broken.chmod(0o644)
    told = voiced("providers", "--json", "--folder", str(tmp_path))
    assert told.returncode == ExitCode.DONE
    cards = {card["name"]: card for card in json.loads(told.stdout)}
    assert cards["echo"]["available"]
    assert not cards["broken"]["available"]
    assert "SAMPLE_RATE_IN" in cards["broken"]["reason"]
    assert "not available: " in voiced("providers", "--folder", str(tmp_path)).stdout
    config = tmp_path / "voiced.toml"
    config.write_text('[defaults]\npar = { Providersfolder = "." }\n')
    config.chmod(0o644)
    assert "broken" in voiced("providers", "--config", str(config)).stdout


def test_devices_lists_or_says_that_there_is_none() -> None:
    told = voiced("devices", "--json")
    if told.returncode == ExitCode.DONE:
        assert all(device["inputs"] + device["outputs"] for device in json.loads(told.stdout))
    else:
        assert told.returncode in (ExitCode.UNAVAILABLE, ExitCode.FAILED)
        assert len((told.stdout + told.stderr).split()) > 5
    assert "Traceback" not in told.stderr
