"""Tools by OSC: who registers is called where it registered from, and nobody else is."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest

from tests.osc.fake import FakeSurface, Running
from tests.osc.wire import Udp, built
from voiced.mind import effects
from voiced.mind.inputs import (
    DecideTool,
    ExecutorGone,
    Origin,
    RegisterTool,
    Tool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)

A = "/voice_agent"
SCHEMA = json.dumps({"type": "object", "properties": {"color": {"type": "string"}}})


def origin_of(udp: Udp) -> Origin:
    return Origin("osc", f"127.0.0.1:{udp.port}")


def registered(udp: Udp, name: str = "set_lights", *mode: str) -> list[object]:
    udp.send(f"{A}/tool/register", name, "Turn the lights to a colour", SCHEMA, *mode)
    return udp.until(f"{A}/tool/registered")[-1][1]


def put(surface: FakeSurface, kind: type) -> list[object]:
    return [item for _, _, item in surface.puts if isinstance(item, kind)]


def until(reached: Callable[[], object], what: str) -> None:
    """Wait for what another thread does: it tells nobody."""
    deadline = time.monotonic() + 5
    while not reached():
        assert time.monotonic() < deadline, what


def run(door: Running, executor: Origin, call_id: str = "c1") -> None:
    effect = effects.RunTool(
        executor=executor, call_id=call_id, name="set_lights",
        arguments='{"color":"red","level":0.5}', values=("red", 0.5, 3),
    )  # fmt: skip
    door.call(lambda: door.surface.perform("voice_agent", effect))


def test_registering_makes_the_sender_the_executor(udp: Udp, surface: FakeSurface) -> None:
    assert registered(udp) == ["set_lights", "enabled"]
    (item,) = put(surface, RegisterTool)
    assert item == RegisterTool(
        tool=Tool(
            name="set_lights", description="Turn the lights to a colour", schema=SCHEMA,
            executor=origin_of(udp),
        ),
        origin=origin_of(udp),
    )  # fmt: skip
    assert registered(udp, "quick", "enabled_nonblocking") == ["quick", "enabled_nonblocking"]


def test_what_is_refused_is_not_told_as_registered_though_an_older_one_is_there(udp: Udp) -> None:
    registered(udp)
    for schema, mode in [("{", "enabled"), (SCHEMA, "sometimes")]:
        udp.send(f"{A}/tool/register", "set_lights", "Turn the lights to a colour", schema, mode)
        assert [said for said in udp.done() if said[0].endswith("/registered")] == []


def test_no_schema_means_no_arguments(udp: Udp, surface: FakeSurface) -> None:
    udp.send(f"{A}/tool/register", "blink", "Blink once", "")
    udp.until(f"{A}/tool/registered")
    (item,) = put(surface, RegisterTool)
    assert isinstance(item, RegisterTool)
    assert json.loads(item.tool.schema) == {"type": "object", "properties": {}}


def test_a_call_goes_to_its_executor_alone(door: Running, udp: Udp, surface: FakeSurface) -> None:
    registered(udp)
    with Udp(door.port) as other:
        other.send("/voiced/subscribe", "/*", 60)
        other.until("/voiced/dump/done")
        run(door, origin_of(udp))
        heard = udp.until(f"{A}/tool/do/set_lights")
        assert heard == [
            (f"{A}/tool/call", ["c1", "set_lights", '{"color":"red","level":0.5}']),
            (f"{A}/tool/do/set_lights", ["c1", "red", 0.5, 3]),
        ]
        assert not [said for said in other.done() if "/tool/" in said[0]]


def test_the_reply_port_counts_for_calls(door: Running, udp: Udp) -> None:
    with Udp(door.port) as ear:
        udp.send("/voiced/replyport", ear.port)
        udp.send(f"{A}/tool/register", "set_lights", "d", SCHEMA)
        ear.until(f"{A}/tool/registered")
        run(door, origin_of(udp))
        assert ear.until(f"{A}/tool/do/set_lights")[-1][1][0] == "c1"


def test_an_executor_is_told_what_is_not_wanted_any_more(door: Running, udp: Udp) -> None:
    registered(udp)
    for late, word in ((False, "cancelled"), (True, "timeout")):
        effect = effects.DropCall(
            executor=origin_of(udp), call_id="c1", name="set_lights", late=late
        )
        door.call(lambda effect=effect: door.surface.perform("voice_agent", effect))
        assert udp.until(f"{A}/tool/{word}")[-1][1] == ["c1", "set_lights"]


def test_a_long_call_comes_in_parts_over_udp(door: Running, udp: Udp) -> None:
    registered(udp)
    effect = effects.RunTool(
        executor=origin_of(udp), call_id="c1", name="set_lights",
        arguments=json.dumps({"text": "x" * 6000}), values=("y",),
    )  # fmt: skip
    door.call(lambda: door.surface.perform("voice_agent", effect))
    heard = udp.until(f"{A}/tool/do/set_lights")
    parts = [said[1] for said in heard if said[0] == f"{A}/conv/more"]
    first = next(said[1] for said in heard if said[0] == f"{A}/tool/call")
    assert [part[:3] for part in parts] == [["tool/call", 1, 2]]
    assert json.loads(first[2] + parts[0][3]) == {"text": "x" * 6000}


@pytest.mark.parametrize(
    ("word", "args", "item"),
    [
        ("result", ("c1", "it is red"), ("c1", True, "it is red")),
        ("result", ("c1",), ("c1", True, "done")),
        ("result", ("c1", 0.5), ("c1", True, "0.5")),
        ("result", ("c1", 3), ("c1", True, "3")),
        ("result", (7, True), ("7", True, "1")),
        ("error", ("c1", "no bulb"), ("c1", False, "no bulb")),
        ("error", ("c1",), ("c1", False, "it failed")),
    ],
)
def test_answers_in_whatever_form_a_patch_sends_them(
    udp: Udp, surface: FakeSurface, word: str, args: tuple[object, ...],
    item: tuple[str, bool, str],
) -> None:  # fmt: skip
    udp.send(f"{A}/tool/{word}", *args)
    udp.done()
    call_id, ok, result = item
    assert put(surface, ToolAnswer) == [
        ToolAnswer(call_id=call_id, ok=ok, result=result, origin=origin_of(udp))
    ]


def test_progress_and_decisions(udp: Udp, surface: FakeSurface) -> None:
    udp.send(f"{A}/tool/progress", "c1", "half way")
    udp.send(f"{A}/tool/approve", "c1")
    udp.send(f"{A}/tool/deny", "c2")
    udp.done()
    assert put(surface, ToolProgress) == [
        ToolProgress(call_id="c1", text="half way", origin=origin_of(udp))
    ]
    assert put(surface, DecideTool) == [
        DecideTool(call_id="c1", approve=True, origin=origin_of(udp)),
        DecideTool(call_id="c2", approve=False, origin=origin_of(udp)),
    ]


@pytest.mark.parametrize(
    ("word", "args", "code"),
    [
        ("register", (), "bad_type"),
        ("register", ("a", "b", "c", "enabled", "e"), "bad_type"),
        ("register", ("a", "b", 3), "bad_type"),
        ("register", ("a", "b", "x" * 5000), "too_long"),
        ("unregister", (), "bad_type"),
        ("result", (), "bad_type"),
        ("result", ("a", "b", "c"), "bad_type"),
        ("result", ("a", None), "bad_type"),
        ("approve", ("a", "b"), "bad_type"),
        ("call", ("a", "b", "c"), "read_only"),
        ("do/set_lights", ("a",), "read_only"),
        ("registerr", ("a",), "unknown_address"),
    ],
)
def test_what_is_no_message_of_a_tool_is_refused(
    udp: Udp, surface: FakeSurface, word: str, args: tuple[object, ...], code: str
) -> None:
    assert udp.refused(f"{A}/tool/{word}", *args) == code
    assert not surface.puts


def test_a_tool_that_is_too_long_is_to_be_sent_by_tcp(udp: Udp) -> None:
    udp.send(f"{A}/tool/register", "a", "b", "x" * 5000)
    assert udp.until("/voiced/error")[-1][1][2].endswith(": send it by TCP")
    udp.send(f"{A}/par/Systemprompt", "x" * 5000)
    assert "/append" in udp.until("/voiced/error")[-1][1][2]


def test_the_list_names_everybody(udp: Udp, surface: FakeSurface) -> None:
    registered(udp)
    udp.send(f"{A}/tool/list")
    heard = udp.until(f"{A}/tool/list/done")
    assert heard[-2:] == [
        (
            f"{A}/tool/listed",
            ["set_lights", "enabled", f"osc {origin_of(udp).id}", SCHEMA,
             "Turn the lights to a colour"],
        ),
        (f"{A}/tool/list/done", [1]),
    ]  # fmt: skip
    udp.send(f"{A}/tool/unregister", "set_lights")
    assert udp.until(f"{A}/tool/unregistered")[-1][1] == ["set_lights"]
    assert put(surface, UnregisterTool)
    udp.send(f"{A}/tool/list")
    assert udp.until(f"{A}/tool/list/done")[-1][1] == [0]


# --- gone


def test_a_closed_port_is_told_at_once(door: Running, surface: FakeSurface) -> None:
    with Udp(door.port) as patch:
        registered(patch)
        origin = origin_of(patch)
    run(door, origin)
    gone = ExecutorGone(origin=origin, for_good=False)
    until(lambda: gone in put(surface, ExecutorGone), "nobody was told that the patch is gone")


def test_an_unknown_executor_is_gone(door: Running, surface: FakeSurface) -> None:
    origin = Origin("osc", "127.0.0.1:1")
    run(door, origin)
    until(lambda: put(surface, ExecutorGone), "nobody was told")
    assert put(surface, ExecutorGone) == [ExecutorGone(origin=origin, for_good=False)]


def test_a_closed_connection_takes_its_tools_along(door: Running, surface: FakeSurface) -> None:
    def framed(packet: bytes) -> bytes:
        return len(packet).to_bytes(4, "big") + packet

    with socket.create_connection(("127.0.0.1", door.port)) as patch:
        ip, port = patch.getsockname()
        long = json.dumps({"properties": {"a": {"description": "x" * 9000}}})
        patch.sendall(framed(built(f"{A}/tool/register", "big", "d", long)))
        size = int.from_bytes(patch.recv(4, socket.MSG_WAITALL), "big")
        assert b"/tool/registered" in patch.recv(size, socket.MSG_WAITALL)
        origin = Origin("osc", f"tcp/{ip}:{port}")
        run(door, origin)
        size = int.from_bytes(patch.recv(4, socket.MSG_WAITALL), "big")
        assert b"/tool/call" in patch.recv(size, socket.MSG_WAITALL)
    gone = ExecutorGone(origin=origin, for_good=True)
    until(lambda: gone in put(surface, ExecutorGone), "the connection's end was not told")
    run(door, origin)
    gone = ExecutorGone(origin=origin, for_good=False)
    until(lambda: gone in put(surface, ExecutorGone), "a call went to a closed connection")


def test_shown_text_goes_to_everybody(door: Running, udp: Udp) -> None:
    udp.send("/voiced/subscribe", f"{A}/text", 60)
    udp.until("/voiced/dump/done")
    shown = effects.ShowText(text="https://example.org")
    door.call(lambda: door.surface.perform("voice_agent", shown))
    assert udp.until(f"{A}/text")[-1][1] == ["https://example.org"]
