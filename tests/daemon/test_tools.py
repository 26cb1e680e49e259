"""A model calls tools that real sockets execute; a service that falls silent is exchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import Client
from tests.daemon.stage import A, Stage

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "color": {"type": "string", "enum": ["red", "green"]},
            "level": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["color", "level"],
    }
)
CONFIG_TOOLS = """
[[agent.tool]]
name = "set_lamp"
description = "Set a lamp"
args = {{ lamp = ["left", "right"], level = "0..1" }}
send = {{ host = "127.0.0.1", port = {port}, address = "/lamp/{{lamp}}", args = ["{{level}}"] }}
[[agent.tool]]
name = "ask_patch"
description = "Ask the patch"
send = {{ host = "127.0.0.1", port = {port}, address = "/ask", args = ["{{call_id}}"] }}
wait = 20.0
[[agent.tool]]
name = "open_door"
description = "Open the door"
confirm = true
send = {{ host = "127.0.0.1", port = {port}, address = "/door", args = [1] }}
"""


@pytest.fixture(scope="module")
def lamps() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, lamps: Client) -> Iterator[Stage]:
    par = CONFIG_TOOLS.format(port=lamps.port)
    settings = ("agent.voice_agent.tool_silence=1.0", "agent.voice_agent.tool_rate=1000")
    with Stage(tmp_path_factory.mktemp("tools"), par, settings=settings) as running:
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    one.forget_tape()
    one.connect()
    yield one
    one.rest()


@pytest.fixture
def patch(stage: Stage) -> Iterator[Client]:
    """A patch with a socket of its own, which offers the lights."""
    client = Client()
    offer(stage, client, "set_lights")
    yield client
    since = client.mark()
    client.send(stage.port, f"{A}/tool/unregister", "set_lights")
    client.wait(f"{A}/tool/unregistered", since=since)
    client.close()


def offer(stage: Stage, client: Client, name: str, *mode: str) -> None:
    since = client.mark()
    words = (name, "Turn the lights to a colour", SCHEMA, *mode)
    client.send(stage.port, f"{A}/tool/register", *words)
    client.wait(f"{A}/tool/registered", name, since=since)


def call(stage: Stage, call_id: str, name: str, **arguments: Any) -> int:
    """Let the model call a tool; return the place before."""
    since = stage.mark()
    stage.script(["tool_call", call_id, name, json.dumps(arguments)])
    stage.wait(f"{A}/cb/onToolCall", call_id, since=since)
    return since


def given(stage: Stage, call_id: str) -> tuple[str, bool, str]:
    """Wait for what the service is given for a call: name, ok, result."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = [each.args for each in stage.calls("tool") if each.args[0] == call_id]
        return bool(found)

    stage.until(there, 30, f"the result of {call_id}")
    assert len(found) == 1
    _, name, ok, result = found[0]
    return name, ok, result


def rows(stage: Stage, since: int, call_id: str) -> list[tuple[str, str, str]]:
    """Role, type and message of the rows of a call."""
    told = [m.args for m in stage.client.all(f"{A}/conv/row", since=since)]
    return [(r[1], r[5], r[2]) for r in told if json.loads(r[6]).get("call_id") == call_id]


def test_a_patch_executes_a_tool_that_it_registered_a_moment_ago(
    stage: Stage, patch: Client
) -> None:
    told = stage.call("tools").args[0]
    assert [name for name, _, _ in told][-1] == "set_lights"
    since = call(stage, "t1", "set_lights", color="red", level=1)
    asked = patch.wait(f"{A}/tool/call", "t1")
    assert asked.args[1] == "set_lights"
    assert json.loads(asked.args[2]) == {"color": "red", "level": 1}
    typed = patch.wait(f"{A}/tool/do/set_lights", "t1")
    assert typed.args == ("t1", "red", 1.0)
    patch.send(stage.port, f"{A}/tool/result", "t1", "the lights are red")
    assert given(stage, "t1") == ("set_lights", True, "the lights are red")
    result = stage.wait(f"{A}/cb/onToolResult", "t1", since=since)
    assert result.args == ("t1", "set_lights", 1, "the lights are red")
    stage.sync()
    assert rows(stage, since, "t1") == [
        ("tool", "tool_call", 'set_lights({"color": "red", "level": 1})'),
        ("tool", "tool_result", "the lights are red"),
    ]
    # To its executor alone: the target that hears everything has heard no call.
    assert not stage.client.all(f"{A}/tool/call")


def test_two_at_once_one_cancelled_by_the_visitor(stage: Stage, patch: Client) -> None:
    call(stage, "p1", "set_lights", color="red", level=0.5)
    call(stage, "p2", "set_lights", color="green", level=0.5)
    patch.wait(f"{A}/tool/call", "p2")
    stage.script(["tool_cancelled", "p1"])
    assert patch.wait(f"{A}/tool/cancelled", "p1").args == ("p1", "set_lights")
    patch.send(stage.port, f"{A}/tool/result", "p2", "green")
    assert given(stage, "p2") == ("set_lights", True, "green")
    since = patch.mark()
    patch.send(stage.port, f"{A}/tool/result", "p1", "too late")
    refused = patch.wait("/voiced/error", f"{A}/tool/result", since=since)
    assert refused.args[1] == "no_effect"
    assert not [each for each in stage.calls("tool") if each.args[0] == "p1"]


def test_a_silent_patch_and_a_closed_one_are_told_to_the_model(stage: Stage) -> None:
    client = Client()
    offer(stage, client, "set_lights")
    call(stage, "s1", "set_lights", color="red", level=0)
    name, ok, result = given(stage, "s1")
    assert (name, ok) == ("set_lights", False)
    assert "did not answer within 1 s" in result
    client.wait(f"{A}/tool/timeout", "s1")
    since = stage.mark()
    client.close()
    call(stage, "s2", "set_lights", color="red", level=0)
    assert "cannot be reached" in given(stage, "s2")[2]
    assert stage.wait(f"{A}/cb/onError", "tools", since=since).args[1] == "gone"
    # Whoever comes back on the same machine takes its place.
    again = Client()
    offer(stage, again, "set_lights")
    call(stage, "s3", "set_lights", color="red", level=0)
    again.wait(f"{A}/tool/call", "s3")
    again.send(stage.port, f"{A}/tool/error", "s3", "the bulb is broken")
    assert given(stage, "s3") == ("set_lights", False, "the bulb is broken")
    again.send(stage.port, f"{A}/tool/unregister", "set_lights")
    again.wait(f"{A}/tool/unregistered")
    again.close()


def test_arguments_that_do_not_fit_reach_nobody(stage: Stage, patch: Client) -> None:
    call(stage, "v1", "set_lights", color="blue", level=0)
    name, ok, result = given(stage, "v1")
    assert not ok
    assert 'must be one of ["red","green"]' in result
    call(stage, "v2", "set_lights", color="red", level=0)
    patch.wait(f"{A}/tool/call", "v2")
    assert not [m for m in patch.all(f"{A}/tool/call") if m.args[0] == "v1"]
    patch.send(stage.port, f"{A}/tool/result", "v2", "ok")
    given(stage, "v2")


def test_a_tool_of_the_configuration_sends_its_message(stage: Stage, lamps: Client) -> None:
    names = stage.call("open").args[3]
    assert names == ["end_conversation", "set_lamp", "ask_patch", "open_door"]
    call(stage, "k1", "set_lamp", lamp="left", level=0.25)
    assert lamps.wait("/lamp/left").args == (0.25,)
    assert given(stage, "k1") == ("set_lamp", True, "done")
    call(stage, "k2", "ask_patch")
    (call_id,) = lamps.wait("/ask").args
    lamps.send(stage.port, f"{A}/tool/result", call_id, 42)
    assert given(stage, "k2") == ("ask_patch", True, "42")


def test_the_door_opens_only_when_somebody_approves(stage: Stage, lamps: Client) -> None:
    call(stage, "d1", "open_door")
    stage.ask(f"{A}/par/Pendingtools", wanted="d1 open_door {}")
    assert not lamps.all("/door")
    stage.par("Denytools")
    assert "denied" in given(stage, "d1")[2]
    call(stage, "d2", "open_door")
    stage.send(f"{A}/tool/approve", "d2")
    lamps.wait("/door", 1)
    assert given(stage, "d2") == ("open_door", True, "done")
    assert len(lamps.all("/door")) == 1
    stage.put("Approvaltimeout", 1)
    call(stage, "d3", "open_door")
    assert "nobody approved" in given(stage, "d3")[2]
    stage.ask(f"{A}/par/Pendingtools", wanted="")


def test_slots_and_usetools_reach_the_open_leg(stage: Stage, patch: Client) -> None:
    stage.put("Tool0toolop", "set_lights")
    stage.put("Tool0mode", "enabled_nonblocking")
    stage.put("Tool", 1)

    def told() -> dict[str, bool]:
        return {name: blocking for name, blocking, _ in stage.calls("tools")[-1].args[0]}

    stage.until(lambda: told().get("set_lights") is False, 30, "the slot's mode")
    stage.put("Usetools", 0)
    stage.until(lambda: list(told()) == ["end_conversation"], 30, "no tools")
    call(stage, "u1", "set_lights", color="red", level=0)
    assert "no such tool" in given(stage, "u1")[2]


def test_text_is_shown_and_not_spoken(stage: Stage) -> None:
    stage.put("Outputtext", 1)
    since = call(stage, "x1", "output_text_content", text="https://example.org/ä")
    assert stage.wait(f"{A}/text", since=since).args == ("https://example.org/ä",)
    assert given(stage, "x1")[1]
    assert not stage.client.all(f"{A}/cb/onAssistantText", since=since)


def test_a_result_that_comes_behind_a_refresh_is_told_to_the_new_leg(
    stage: Stage, patch: Client
) -> None:
    since = call(stage, "r1", "set_lights", color="red", level=0.5)
    patch.wait(f"{A}/tool/call", "r1")
    stage.script(["closed", "1006"])
    stage.state("refreshing", since)
    patch.send(stage.port, f"{A}/tool/result", "r1", "it is red")
    note = stage.call("note").args[0]
    assert note.startswith("The tool set_lights, called before with")
    assert note.endswith("answered: it is red")
    assert not stage.calls("tool")


# --- a service that falls silent


def test_a_silent_service_is_exchanged_and_at_last_the_turn_is_given_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    source = stage.dropins / "provider_stage.py"
    text = source.read_text()
    impatient = text.replace("RESPONSE_TIMEOUT_S = 0.0", "RESPONSE_TIMEOUT_S = 1.0")
    assert impatient != text
    source.write_text(impatient)
    with stage:
        since = stage.connect()
        stage.par("Sendtext", "[]")
        for leg in (2, 3):
            stage.call("open", leg)
        told = stage.wait(f"{A}/cb/onError", lambda *args: "given up" in args[2], since=since).args
        assert told == (
            "provider", "stall",
            "Stage did not answer the typed text within 1 s; the turn is given up: "
            "say it again",
        )  # fmt: skip
        every = [m.args for m in stage.client.all(f"{A}/cb/onError", since=since)]
        assert [(source, code) for source, code, _ in every] == [("provider", "stall")] * 3
        assert len(stage.calls("end")) == 2
        assert [open.args[1] for open in stage.calls("open")] == ["", "act two", "act two"]
        # The session goes on, and a tool at work is no silence.
        stage.par("Sendtext", "hello")
        stage.wait(f"{A}/cb/onAssistantText", "you typed hello", since=since)
        client = Client()
        offer(stage, client, "set_lights")
        call(stage, "w1", "set_lights", color="red", level=0)
        client.wait(f"{A}/tool/call", "w1")
        before = stage.mark()
        for _ in range(4):
            stage.pass_by(24_000)
            client.send(stage.port, f"{A}/tool/progress", "w1")
        assert not stage.client.all(f"{A}/cb/onError", since=before)
        client.send(stage.port, f"{A}/tool/result", "w1", "done")
        assert "tool's result" in stage.wait(f"{A}/cb/onError", "provider", since=before).args[2]
        client.close()
