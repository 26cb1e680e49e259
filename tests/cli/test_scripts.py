"""What `voiced check` says of Callbackdat and of tool_confirm, without running the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from voiced.cli import check
from voiced.cli.finding import Verdict
from voiced.cli.scripts import findings
from voiced.control.config import parse

CONFIG = """
[[agent]]
name = "a"
tool_confirm = ["{confirm}"]
[agent.par]
Callbackdat = "voice.py"
"""
SCRIPT = """
raise SystemExit("this file was run")

@tool(confirm=False)
def open_door() -> str:
    "Open the door."

@tool(name="fog")
def blow() -> str:
    "Blow fog."
"""


def told(folder: Path, confirm: str = "open_door", more: str = "") -> list[tuple[Verdict, str]]:
    config = parse(CONFIG.format(confirm=confirm) + more, "t")
    return [(one.verdict, one.sentence) for one in findings(config, folder)]


def test_a_good_file_is_named_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "voice.py").write_text(SCRIPT)
    for name in ("open_door", "fog", "*", "end_conversation"):
        assert told(tmp_path, name) == [(Verdict.GOOD, f"a: {tmp_path}/voice.py")]


def test_a_file_that_is_not_there_or_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    ((verdict, sentence),) = told(tmp_path)
    assert verdict is Verdict.BAD
    assert "voiced callbacks stub" in sentence
    (tmp_path / "voice.py").write_text("\ndef onUserText(info)\n    pass\n")
    ((verdict, sentence),) = told(tmp_path)
    assert verdict is Verdict.BAD
    assert sentence.startswith("voice.py:2: ")


def test_a_name_that_makes_nothing_wait_is_told_with_the_one_that_was_meant(
    tmp_path: Path,
) -> None:
    (tmp_path / "voice.py").write_text(SCRIPT)
    _, (verdict, sentence) = told(tmp_path, "open_dor")
    assert verdict is Verdict.NOTE
    assert sentence.startswith("a: tool_confirm names open_dor")
    assert sentence.endswith("Did you mean open_door?")
    server = '[[agent.mcp]]\nname = "m"\ncommand = "m"\nallow = ["open"]\nprefix = "x_"\n'
    assert len(told(tmp_path, "x_open", server)) == 1
    assert len(told(tmp_path, "x_close", server)) == 2
    # What a server of "*" brings is not known before it runs.
    assert len(told(tmp_path, "x_close", server.replace('"open"', '"*"'))) == 1
    assert len(told(tmp_path, "open_dor", server.replace('"open"', '"*"'))) == 2


def test_a_midi_system_that_is_not_there_is_told_in_whole_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "no MIDI: there is no ALSA sequencer (modprobe snd-seq), and no JACK server runs\n"
    answer = subprocess.CompletedProcess([], 1, stdout=said)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: answer)
    config = parse('[[midi.bind]]\nmessage = "program_change"\naddress = "/*/par/Profile"\n', "t")
    (one,) = check._midi(config)
    assert one.sentence == "no MIDI: there is no ALSA sequencer, and no JACK server runs"
    assert one.fix == "modprobe snd-seq"
