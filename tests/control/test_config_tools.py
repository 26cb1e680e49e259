"""Tools of the configuration: what the model is told, and the message a call becomes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage

from voiced.control.config import parse
from voiced.control.config.tools import SendConfig, message, schema_of
from voiced.control.config_tools import ConfigTools
from voiced.control.reload import reload
from voiced.errors import ConfigError
from voiced.messages.network import NetworkTrouble
from voiced.mind import effects
from voiced.mind.inputs import AgentInput, Origin, SetTools, ToolAnswer

LIGHTS = """
[[agent]]
name = "a"
{more}
[[agent.tool]]
name = "set_lights"
description = "Turn the lights to a colour"
args = {{ color = ["red", "green"], level = "0..1", steps = "integer 1..8", say = "text", on = "boolean" }}
wait = {wait}
confirm = true
[agent.tool.send]
host = "{host}"
port = 8000
address = "/lights/{{color}}"
args = ["{{level}}", "{{steps}}", "{{say}}", "{{on}}", 5, 0.5, true, "as {{color}}", "{{call_id}}"]
"""  # noqa: E501


def lights(wait: float = 0.0, host: str = "127.0.0.1", more: str = "") -> str:
    return LIGHTS.format(wait=wait, host=host, more=more)


def problem_of(tool: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse('[[agent]]\nname = "a"\n[[agent.tool]]\n' + tool, "t")
    return "\n".join(raised.value.problems)


# --- what the model is told


def test_a_tool_becomes_a_schema() -> None:
    settings = parse(lights(), "t").agent[0].tools()
    (tool,) = settings.tools
    assert (tool.name, tool.confirm, tool.answers, tool.mode) == (
        "set_lights", True, False, "enabled",
    )  # fmt: skip
    assert tool.executor == Origin(kind="config", id="127.0.0.1:8000")
    assert json.loads(tool.schema) == {
        "type": "object",
        "properties": {
            "color": {"type": "string", "enum": ["red", "green"]},
            "level": {"type": "number", "minimum": 0, "maximum": 1},
            "steps": {"type": "integer", "minimum": 1, "maximum": 8},
            "say": {"type": "string"},
            "on": {"type": "boolean"},
        },
        "required": ["color", "level", "steps", "say", "on"],
        "additionalProperties": False,
    }
    waiting = parse(lights(wait=2.5), "t").agent[0].tools().tools[0]
    assert (waiting.answers, waiting.silence_s) == (True, 2.5)


def test_what_counts_for_all_tools() -> None:
    more = 'tool_silence = 3.0\ntool_rate = 5\ntool_confirm = ["*"]'
    settings = parse(lights(more=more), "t").agent[0].tools()
    assert (settings.silence_s, settings.rate, settings.confirm) == (3.0, 5, ("*",))


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (["a"], {"type": "string", "enum": ["a"]}),
        ([1, 2.5], {"type": "number", "enum": [1, 2.5]}),
        ("-1.5..2", {"type": "number", "minimum": -1.5, "maximum": 2.0}),
        ("integer -3..3", {"type": "integer", "minimum": -3, "maximum": 3}),
        ("text", {"type": "string"}),
        ("number", {"type": "number"}),
        ({"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 3}),
    ],
)
def test_the_forms_of_an_argument(form: Any, schema: dict[str, Any]) -> None:
    assert schema_of("x", form) == schema


@pytest.mark.parametrize(
    "form", [[], ["a", 1], [True], "words", "1..0", "integer 0.5..2", "0...1", 3, None, [["a"]]]
)
def test_what_is_no_form_says_what_is(form: Any) -> None:
    with pytest.raises(ValueError, match=r'args\.x must be a list of words as \["red", "green"\]'):
        schema_of("x", form)


SEND = 'send = { port = 8000, address = "/x" }'


@pytest.mark.parametrize(
    ("tool", "part"),
    [
        ('description = "d"\n' + SEND, "agent.a.tool[0].name is missing"),
        ('name = "x"\n' + SEND, "agent.a.tool.x.description is missing"),
        ('name = "x"\ndescription = "d"', "x: it needs send or http, and not both"),
        ('name = "x y"\ndescription = "d"\n' + SEND, "is no name for a tool"),
        ('name = "hang_up"\ndescription = "d"\n' + SEND, "is taken"),
        ('name = "x"\ndescription = ""\n' + SEND, "needs a description"),
        ('name = "x"\ndescription = "d"\nargs = { a = "wrds" }\n' + SEND, "args.a must be"),
        ('name = "x"\ndescription = "d"\nargs = { a = { pattern = "x" } }\n' + SEND, ".pattern"),
        ('name = "x"\ndescription = "d"\nwait = -1\n' + SEND, "wait = -1"),
        ('name = "x"\ndescription = "d"\nmode = "on"\n' + SEND, "mode"),
        ('name = "x"\ndescription = "d"\nsend = { port = 0, address = "/x" }', "port = 0"),
        ('name = "x"\ndescription = "d"\nsend = { port = 1, address = "x" }', 'begins with "/"'),
        ('name = "x"\ndescription = "d"\nsend = { port = 1, address = "/a b" }', "no spaces"),
        ('name = "x"\ndescription = "d"\nsend = { port = 1, address = "/{b}" }',
         "send uses {b}, which is no argument; there are call_id"),
        ('name = "x"\ndescription = "d"\nsend = { port = 1, address = "/x", args = [[1]] }',
         "args holds texts and numbers"),
        ('name = "x"\ndescription = "d"\nsend = { port = 1, address = "/x", prt = 1 }',
         "Did you mean port?"),
    ],
)  # fmt: skip
def test_a_tool_with_a_mistake_is_told_with_its_name(tool: str, part: str) -> None:
    assert part in problem_of(tool)


def test_all_that_is_wrong_with_a_tool_is_told_and_nothing_that_only_follows() -> None:
    tool = 'name = "x y"\ndescription = "d"\nsend = { port = 1, address = "/{b}/{c}" }'
    told = problem_of(tool)
    assert "{b}" in told
    assert "{c}" in told
    assert "is no name for a tool" in told
    told = problem_of('name = "x"\ndescription = "d"\nsend = { port = 1, address = "x" }')
    assert "it needs send or http" not in told


def test_two_tools_of_one_name_are_refused() -> None:
    one = '[[agent.tool]]\nname = "x"\ndescription = "d"\n' + SEND + "\n"
    with pytest.raises(ConfigError) as raised:
        parse('[[agent]]\nname = "a"\n' + one + one, "t")
    assert "two tools are named x" in raised.value.problems[0]


def test_a_reload_brings_the_tools_that_changed() -> None:
    old, new = parse(lights(), "t"), parse(lights(wait=1.0), "t")
    found = reload(old, new, Path("/"))
    assert found.writes == [("a", SetTools(settings=new.agent[0].tools()))]
    assert found.changed == ["agent.a.tool"]
    assert reload(new, new, Path("/")).writes == []


# --- what a call becomes

VALUES = {"color": "red", "level": 0.25, "steps": 3, "say": "hey you", "on": 1, "call_id": "c7"}


def test_a_call_becomes_a_message_with_typed_arguments() -> None:
    send = parse(lights(), "t").agent[0].tool[0].send
    found = OscMessage(message(send, VALUES))
    assert found.address == "/lights/red"
    assert list(found.params) == [0.25, 3, "hey you", 1, 5, 0.5, 1, "as red", "c7"]
    assert [type(each) for each in list(found.params)[:2]] == [float, int]


@pytest.mark.parametrize(
    "word", ["", "a b", "a/b", "*", "#", "a?", "{x}", "[1]", "a,b", "ä", "a\0"]
)
def test_no_word_of_the_model_becomes_another_address(word: str) -> None:
    send = SendConfig(port=1, address="/lights/{color}/set")
    with pytest.raises(ValueError, match="cannot stand in an OSC address"):
        message(send, {"color": word})


@given(st.text(max_size=20))
def test_an_address_keeps_its_segments_whatever_is_said(word: str) -> None:
    try:
        packet = message(SendConfig(port=1, address="/a/{x}/b"), {"x": word})
    except ValueError:
        return
    segments = OscMessage(packet).address.split("/")
    assert segments == ["", "a", word, "b"]


def test_a_call_too_long_for_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 4096 bytes"):
        message(SendConfig(port=1, address="/a", args=("{x}",)), {"x": "y" * 5000})


# --- run

Put = list[tuple[str, AgentInput]]


class Rig:
    """Runs configured tools on a loop; records what is sent and told."""

    def __init__(self, text: str) -> None:
        self.sent: list[tuple[tuple[str, int], bytes]] = []
        self.put: Put = []
        self._text = text

    def run(self, **values: Any) -> None:
        asyncio.run(self._run({**VALUES, **values}))

    async def _run(self, values: dict[str, Any]) -> None:
        told = asyncio.Event()

        def send(where: tuple[str, int], packet: bytes) -> None:
            self.sent.append((where, packet))
            told.set()

        def put(agent: str, item: AgentInput) -> None:
            self.put.append((agent, item))
            told.set()

        tools = ConfigTools(asyncio.get_running_loop(), send, put)
        tools.configure(parse(self._text, "t"))
        effect = effects.RunTool(
            executor=Origin(kind="config", id="x"), call_id=values.pop("call_id"),
            name="set_lights", arguments="{}", values=tuple(values.values()),
        )  # fmt: skip
        tools.perform("a", effect)
        tools.perform("a", effects.ShowText(text="not for it"))
        tools.perform("a", _elsewhere(effect))
        async with asyncio.timeout(10):
            await told.wait()
            await asyncio.sleep(0)


def _elsewhere(effect: effects.RunTool) -> effects.RunTool:
    return effects.RunTool(
        executor=Origin(kind="osc", id="127.0.0.1:1"), call_id="x", name=effect.name,
        arguments="{}", values=effect.values,
    )  # fmt: skip


def test_it_is_sent_to_its_host() -> None:
    rig = Rig(lights())
    rig.run()
    ((where, packet),) = rig.sent
    assert where == ("127.0.0.1", 8000)
    assert OscMessage(packet).params[0] == 0.25
    assert rig.put == []


def test_a_host_by_name_is_found() -> None:
    rig = Rig(lights(host="localhost"))
    rig.run()
    assert rig.sent[0][0] in (("127.0.0.1", 8000), ("::1", 8000))


def test_what_cannot_be_sent_is_told_to_the_operator_and_to_a_model_that_waits() -> None:
    rig = Rig(lights())
    rig.run(color="a/b")
    assert rig.sent == []
    ((agent, trouble),) = rig.put
    assert isinstance(trouble, NetworkTrouble)
    assert (agent, trouble.source, trouble.code) == ("a", "tools", "unsent")
    waits = Rig(lights(wait=3.0))
    waits.run(color="a/b")
    answer = waits.put[1][1]
    assert isinstance(answer, ToolAnswer)
    assert (answer.call_id, answer.ok) == ("c7", False)
    assert "cannot stand in an OSC address" in answer.result
