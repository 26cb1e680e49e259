"""A user's Python file, run by a whole daemon: its callbacks, its tools, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.stage import A, Stage
from tests.daemon.test_tools import call, given
from voiced.parameters import CALLBACKS

SETTINGS = ("agent.voice_agent.callback_limit=0.5", "agent.voice_agent.tool_rate=1000")


class Scripted(Stage):
    """A stage whose agent has a script; what it finds out it appends to a file beside it."""

    def __init__(self, folder: Path, source: str, par: str = "", **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.script_file = folder / "voice.py"
        self.script_file.write_text(source)
        par = f'Callbackdat = "{self.script_file}"\n{par}'
        super().__init__(folder, par, settings=SETTINGS, **more)

    def start(self) -> None:
        super().start()
        self.in_force(1)

    def save(self, source: str) -> None:
        """Save another version and wait until it is in force."""
        count = self.log.count("is in force")
        self.script_file.write_text(source)
        self.in_force(count + 1)

    def in_force(self, count: int) -> None:
        """Wait until a version was taken up so many times."""
        self.until(lambda: self.log.count("is in force") >= count, 30, "the script")

    def script_pid(self) -> int:
        """The scripts process."""
        return self.pid_of("scripts of voice_agent")

    def notes(self) -> list[Any]:
        """What the script has written down."""
        path = self.script_file.with_suffix(".notes")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, wanted: Any) -> None:
        """Wait until the script has written something down."""
        self.until(lambda: wanted in self.notes(), 30, f"the note {wanted}")


NOTE = """
import json, os, sys, time

def note(what):
    with open(os.path.splitext(__file__)[0] + ".notes", "a") as file:
        file.write(json.dumps(what) + "\\n")
"""
EVERY = NOTE + "".join(
    f"""
def {name}(info):
    note({{k: v for k, v in info.items() if k != "ownerComp"}})
"""
    for name in CALLBACKS
)


def test_every_callback_is_called_with_what_osc_tells(tmp_path: Path) -> None:
    with Scripted(tmp_path, EVERY) as stage:
        stage.put("Audioevents", 1)
        stage.put("Provider", "meter")
        since = stage.connect()
        stage.script(
            ["speech_started"], ["user_text", "u1", "good day", 1], ["affect", "u1", '{"joy": 1}'],
            ["speech_ended"], ["response_started", "r1"],
            ["assistant_text", "r1", "i1", "and to you"], ["tone", "r1", "i1", 100],
            ["tool_call", "c1", "lights", '{"on": true}'], ["trouble", "odd", "something odd"],
            ["response_done", "r1"],
        )  # fmt: skip
        stage.wait(f"{A}/cb/onToolResult", since=since)
        stage.quiet()
        stage.wait(f"{A}/cb/onAudioOut", since=since)
        stage.put("Systemprompt", "next")
        stage.put("Provider", "stage")
        stage.disconnect()
        ended = stage.wait(f"{A}/cb/onSessionEnd", since=since)
        stage.wait(f"{A}/cb/onProviderChange", since=since)
        stage.until(lambda: {n["callbackName"] for n in stage.notes()} == set(CALLBACKS), 30, "all")
        by_name = {n.pop("callbackName"): n for n in reversed(stage.notes())}
        for name, info in by_name.items():
            assert tuple(info) == tuple(a.name for a in CALLBACKS[name].arguments), name
        assert by_name["onToolCall"] == {
            "call_id": "c1", "name": "lights", "arguments": {"on": True},
        }  # fmt: skip
        assert by_name["onAffect"]["scores"] == {"joy": 1}
        texts = [n for n in stage.notes() if n["callbackName"] == "onUserText"]
        assert [(n["text"], n["final"]) for n in texts[1:]] == [("good day", True)]
        assert by_name["onSessionEnd"]["trace_file"] == ended.args[2]
        # What is over because voiced ends is told as well.
        stage.script_file.with_suffix(".notes").unlink()
        stage.connect()
        stage.stop()
        last = stage.notes()[-1]
        assert (last["callbackName"], last["end_reason"]) == ("onSessionEnd", "shutdown")


LIVELY = (
    NOTE
    + """
from typing import Literal

def onUserText(info):
    if info["final"]:
        agent.par.Volume = 0.4
        note(["volume", float(agent.par.Volume), agent.par.Volume.eval()])
        info["ownerComp"].par.Displayname = info["text"]
        op("voice_agent").par.Micgain.val = 9
    if info["text"] == "bye":
        agent.par.Disconnect.pulse()
    if info["text"] == "wrong":
        agent.par.Volumen = 1

def onStatus(info):
    note([info["status"], bool(agent.par.Active)])

@tool
def set_lights(color: Literal["red", "green"], level: float = 1.0):
    '''Turn the lights to a colour.

    Args:
        color: which one
    '''
    agent.par.Displayname = f"{color} {level}"
    return {"color": color, "level": level}

@tool(confirm=True)
def open_door():
    "Open the door"
    note("open")
    return "it is open"

@tool
def fail():
    "Fail"
    return 1 / 0

def onUsertext(info):
    pass
"""
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with Scripted(tmp_path_factory.mktemp("script"), LIVELY) as running:
        yield running


@pytest.fixture
def stage(one: Scripted) -> Iterator[Scripted]:
    one.forget_tape()
    one.script_file.with_suffix(".notes").unlink(missing_ok=True)
    one.connect()
    yield one
    one.rest()
    if one.script_file.read_text() != LIVELY:
        one.save(LIVELY)


def said(stage: Stage, text: str) -> int:
    """Let the visitor say something; return the place before."""
    since = stage.mark()
    stage.script(["user_text", f"u{since}", text, 1])
    return since


def test_a_callback_sets_parameters_and_fires_pulses(stage: Scripted) -> None:
    since = said(stage, "good day")
    stage.wait(f"{A}/par/Volume", pytest.approx(0.4), since=since)
    stage.wait(f"{A}/par/Displayname", "good day", since=since)
    # What is out of range is clamped, as at any door, and the script reads what is stored.
    stage.wait(f"{A}/par/Micgain", 4.0, since=since)
    stage.noted(["volume", 0.4, 0.4])
    said(stage, "bye")
    stage.state("disconnected", since)
    stage.par("Volume", 1.0)
    stage.par("Micgain", 1.0)


def test_a_slip_of_the_pen_is_told_with_the_line_and_what_was_meant(stage: Scripted) -> None:
    since = said(stage, "wrong")
    told = stage.wait(f"{A}/cb/onError", lambda source, code, _: source == "scripts", since=since)
    line = 1 + LIVELY.splitlines().index("        agent.par.Volumen = 1")
    assert told.args[1] == "raised"
    assert f"voice.py:{line}: AttributeError: there is no parameter Volumen." in told.args[2]
    assert "Did you mean Volume?" in told.args[2]
    assert "onUsertext is no callback. Did you mean onUserText?" in stage.log


def test_the_model_calls_functions_of_the_script(stage: Scripted) -> None:
    assert {"set_lights", "open_door", "fail"} <= set(stage.call("open").args[3])
    since = call(stage, "t1", "set_lights", color="red", level=0.5)
    assert given(stage, "t1") == ("set_lights", True, '{"color":"red","level":0.5}')
    stage.wait(f"{A}/par/Displayname", "red 0.5", since=since)
    call(stage, "t2", "set_lights", color="blue")
    _, ok, sentence = given(stage, "t2")
    assert not ok
    assert "the arguments do not fit" in sentence
    since = call(stage, "t3", "fail")
    _, ok, sentence = given(stage, "t3")
    assert not ok
    assert sentence == "fail failed: ZeroDivisionError: division by zero"
    told = stage.wait(f"{A}/cb/onError", lambda source, *_: source == "scripts", since=since)
    assert told.args[1] == "raised"
    assert told.args[2].startswith("fail failed: voice.py:")


def test_a_tool_that_is_not_taken_is_told_and_not_named_as_one(stage: Scripted) -> None:
    since, size = stage.mark(), len(stage.log)
    stage.save(LIVELY + '\n@tool\ndef end_conversation():\n    "Hang up"\n')
    told = stage.wait(f"{A}/cb/onError", lambda source, *_: source == "scripts", since=since)
    assert told.args[1] == "tool"
    assert told.args[2].startswith("end_conversation is not offered: ")
    assert "tools: set_lights, open_door, fail\n" in stage.log[size:]
    stage.save(LIVELY)
    assert "tool/unregister" not in stage.log


def test_a_function_that_needs_approval_runs_when_it_was_approved(stage: Scripted) -> None:
    call(stage, "d1", "open_door")
    stage.ask(f"{A}/par/Pendingtools", wanted=lambda text: text.startswith("d1 open_door"))
    stage.sync()
    assert "open" not in stage.notes()
    stage.send(f"{A}/tool/deny", "d1")
    assert not given(stage, "d1")[1]
    call(stage, "d2", "open_door")
    stage.ask(f"{A}/par/Pendingtools", wanted=lambda text: text.startswith("d2 open_door"))
    stage.send(f"{A}/tool/approve", "d2")
    assert given(stage, "d2") == ("open_door", True, "it is open")
    assert stage.notes().count("open") == 1


SPEAKS = """
def onUserText(info):
    print("heard", info["text"])
"""


def test_a_mended_file_prints_again_after_one_that_closed_its_output(stage: Scripted) -> None:
    stage.save("import sys\nsys.stdout.close()\nsys.stderr = None\n")
    stage.save(SPEAKS)
    said(stage, "the first words")
    stage.until(lambda: "voice.py: heard the first words" in stage.log, 10, "what it prints")


def test_a_file_that_hangs_is_given_up_when_it_is_saved_again(stage: Scripted) -> None:
    since = stage.mark()
    pid = stage.script_pid()
    stage.script_file.write_text("import os\nopen(__file__ + '.ran', 'w')\nwhile True: pass\n")
    ran = stage.script_file.with_name("voice.py.ran")
    stage.until(ran.exists, 10, "the file that hangs")
    count = stage.log.count("is in force")
    stage.script_file.write_text(SPEAKS)
    # Long before the half minute that a file may take.
    stage.until(lambda: stage.log.count("is in force") > count, 15, "the mended file")
    assert stage.script_pid() != pid
    told = stage.wait(f"{A}/cb/onError", lambda source, code, _: code == "load", since=since)
    assert "cannot be run" in told.args[2]
    said(stage, "the second words")
    stage.until(lambda: "voice.py: heard the second words" in stage.log, 10, "what it prints")
