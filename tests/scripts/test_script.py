"""A file as a module: what it defines, why it cannot be used, what its callbacks are given."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voiced.cli.callbacks import stub
from voiced.messages.scripts import PressPulse, SetParameter, Utter
from voiced.parameters import CALLBACKS
from voiced.scripts.agent import Agent
from voiced.scripts.script import (
    LARGEST,
    MODULE,
    ScriptError,
    info_of,
    load,
    raised,
    read,
    version_of,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "callbacks.md"


@pytest.fixture
def sent() -> list[Any]:
    return []


@pytest.fixture
def agent(sent: list[Any]) -> Agent:
    agent = Agent("voice_agent", sent.append)
    values = {"Volume": 0.5, "Active": False, "Maxreplayrows": 20, "Displayname": "Ada"}
    agent.know(values, frozenset({"Connect", "Sendtext"}))
    return agent


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop(MODULE, None)


def run(path: Path, source: str, agent: Agent) -> Any:
    path.write_text(source)
    return load(path, read(path), agent)


# --- parameters


def test_parameters_are_plain_values_that_know_themselves(agent: Agent, sent: list[Any]) -> None:
    par = agent.par
    assert par.Volume * 2 == 1.0
    assert par.Displayname.upper() == "ADA"
    assert par.Maxreplayrows.eval() == 20
    assert par["Volume"].val == 0.5
    assert not par.Active
    par.Volume = 0.25
    par.Active.val = True
    par["Displayname"] = par.Displayname + " L."
    assert sent == [
        SetParameter(name="Volume", value=0.25), SetParameter(name="Active", value=True),
        SetParameter(name="Displayname", value="Ada L."),
    ]  # fmt: skip
    assert par.Volume == 0.25
    agent.told("Volume", 0.75)
    assert f"{par.Volume:.2f}" == "0.75"
    assert type(SetParameter(name="Volume", value=par.Volume.eval()).value) is float


def test_a_text_is_no_number_before_control_has_taken_it(agent: Agent, sent: list[Any]) -> None:
    agent.par.Volume = "loud"
    assert sent == [SetParameter(name="Volume", value="loud")]
    assert agent.par.Volume * 2 == 1.0


def test_pulses_are_fired(agent: Agent, sent: list[Any]) -> None:
    agent.par.Connect.pulse()
    agent.par.Sendtext.pulse("good day")
    agent.par.Connect = 1
    agent.par.Connect = 0
    agent.say("good day")
    agent.note("it rains")
    assert sent == [
        PressPulse(name="Connect"), PressPulse(name="Sendtext", text="good day"),
        PressPulse(name="Connect"), Utter(text="good day", aloud=True),
        Utter(text="it rains", aloud=False),
    ]  # fmt: skip


def test_slips_of_the_pen_are_told(agent: Agent, sent: list[Any]) -> None:
    with pytest.raises(AttributeError, match=r"no parameter volume\. Did you mean Volume\?"):
        agent.par.volume = 1
    with pytest.raises(AttributeError, match="no parameter Conect"):
        agent.par.Conect.pulse()
    with pytest.raises(TypeError, match="Volume takes a number or a text, not list"):
        agent.par.Volume = [1]
    with pytest.raises(ValueError, match="characters at most"):
        agent.par.Displayname = "x" * 100_000
    with pytest.raises(ValueError, match="no number so large"):
        agent.par.Volume = 10**30
    with pytest.raises(RuntimeError, match="for tools"):
        agent.progress()
    assert sent == []


# --- the file


def test_what_a_file_defines(tmp_path: Path, agent: Agent) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'first'\n")
    source = (
        "import beside\n"
        "def onStatus(info): return beside.WORD\n"
        "def onAssistantTexts(info): pass\n"
        "onError = 5\n"
        "@tool\n"
        "def look() -> str:\n    'Look'\n    return beside.WORD\n"
        "assert op('voice_agent') is agent and op('/project/voice_agent') is agent\n"
    )
    script = run(tmp_path / "voice.py", source, agent)
    assert list(script.callbacks) == ["onStatus"]
    assert list(script.tools) == ["look"]
    assert script.remarks == ("onAssistantTexts is no callback. Did you mean onAssistantText?",)
    assert script.tools["look"].call("{}") == "first"
    # What it imports from its own folder is read anew with it.
    (tmp_path / "beside.py").write_text("WORD = 'second one'\n")
    assert run(tmp_path / "voice.py", source, agent).tools["look"].call("{}") == "second one"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def onStatus(info)\n", "voice.py:1: expected ':'"),
        ("x = 1\nraise KeyError('gone')\n", "voice.py:2: KeyError: 'gone'"),
        ("import sys\nsys.exit()\n", "voice.py:2: SystemExit"),
        ("x = 1\n\nimport no_such_module\n", "voice.py:3: ModuleNotFoundError: No module named"),
        ("@tool\ndef f(*a): pass\n", "a tool's arguments have names"),
        ("@tool\ndef f(): pass\n@tool\ndef f(): pass\n", "two tools are named f; rename one"),
        ("op('clock')\n", "belongs to voice_agent and knows no 'clock'"),
        ("x = '\0'\n", "null byte"),
        ("x = " + "(" * 1000 + ")" * 1000 + "\n", "too many nested parentheses"),
    ],
)
def test_why_a_file_cannot_be_used(
    tmp_path: Path, agent: Agent, source: str, sentence: str
) -> None:
    with pytest.raises(ScriptError, match=re.escape(sentence)):
        run(tmp_path / "voice.py", source, agent)
    assert MODULE not in sys.modules or sys.modules[MODULE].__dict__.get("__file__")


def test_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "voice.py"
    assert version_of(path) == ""
    with pytest.raises(ScriptError, match=r"there is no .*voiced callbacks stub"):
        read(path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ScriptError, match="no UTF-8"):
        read(path)
    path.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ScriptError, match="longer than"):
        read(path)
    before = version_of(path)
    path.write_bytes(b"#")
    assert version_of(path) != before
    path.unlink()
    path.mkdir()
    with pytest.raises(ScriptError, match="cannot be read: Is a directory"):
        read(path)


def test_where_it_was_raised_is_the_line_of_the_file(tmp_path: Path, agent: Agent) -> None:
    path = tmp_path / "voice.py"
    script = run(path, "import json\n\ndef onStatus(info):\n    json.loads('{')\n", agent)
    with pytest.raises(ValueError, match="Expecting") as error:
        script.callbacks["onStatus"]({})
    told = raised(error.value, path)
    assert told.startswith("voice.py:4: json.decoder.JSONDecodeError: Expecting")


def test_info_reads_what_osc_can_only_carry_as_text(agent: Agent) -> None:
    info = info_of("onToolCall", ("c1", "lights", '{"on": true}'), agent)
    assert info == {
        "ownerComp": agent, "callbackName": "onToolCall", "call_id": "c1", "name": "lights",
        "arguments": {"on": True},
    }  # fmt: skip
    assert info_of("onToolCall", ("c1", "lights", "no json"), agent)["arguments"] == "no json"
    assert info_of("onToolCall", ("c1", "lights", ""), agent)["arguments"] == {}
    assert info_of("onUserText", ("hello", 0, "1.1"), agent)["final"] is False


# --- what is written for users


@pytest.mark.parametrize("name", list(CALLBACKS))
def test_the_names_of_a_callback_are_as_many_as_its_tags(name: str) -> None:
    assert len(CALLBACKS[name].arguments) == len(CALLBACKS[name].sends)


def test_the_stub_defines_every_callback(tmp_path: Path, agent: Agent) -> None:
    text = stub("voice.py")
    script = run(tmp_path / "voice.py", text, agent)
    assert list(script.callbacks) == list(CALLBACKS)
    assert script.remarks == ()
    for name, address in CALLBACKS.items():
        said = script.callbacks[name].__doc__ or ""
        assert re.findall(r'info\["(\w+)"\]', said) == [a.name for a in address.arguments]
        script.callbacks[name]({})
    # Its tool is written out as well, and works once it is no comment any more.
    tool = re.sub(r"(?m)^# ?", "", text[text.index("# @tool") :])
    assert list(run(tmp_path / "tool.py", tool, agent).tools) == ["weather"]


def test_the_example_of_the_documentation_runs(
    tmp_path: Path, agent: Agent, sent: list[Any]
) -> None:
    example = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert example is not None
    agent.know({"Volume": 0.5, "Provider": "echo"}, frozenset({"Connect"}))
    script = run(tmp_path / "voice.py", example[1], agent)
    samples = {"s": "louder", "i": 1, "f": 0.5}
    for name, function in script.callbacks.items():
        args = tuple(samples[tag] for tag in CALLBACKS[name].sends)
        function(info_of(name, args, agent))
    assert SetParameter(name="Volume", value=0.7) in sent
    assert list(script.tools) == ["set_lights", "open_door"]
    assert script.tools["set_lights"].call('{"color": "red"}') == "the lights are red now"
