"""Between the minds and the tools process: what is registered, what is answered, where keys go."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from voiced.control.config import parse
from voiced.control.tool_servers import ToolServers
from voiced.messages.framing import Message
from voiced.messages.network import NetworkTrouble
from voiced.messages.tools import (
    Answered,
    CallTool,
    CancelCall,
    Offered,
    OfferedTool,
    Progressed,
    Request,
    ServerTrouble,
    SetServers,
)
from voiced.mind.effects import DropCall, Refused, RunTool
from voiced.mind.inputs import (
    AgentInput,
    ExecutorGone,
    Origin,
    RegisterTool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)

NOTHING = '{"type":"object","properties":{}}'
CONFIG = """
[[agent]]
name = "a"
[[agent.mcp]]
name = "house"
command = "house"
env = {{ KEY = {{ file = "house.key" }}, MODE = "quiet" }}
allow = ["*"]
confirm = {confirm}
wait = 3.0
[[agent.tool]]
name = "next_show"
description = "When"
args = {{ hall = "text" }}
[agent.tool.http]
url = "http://127.0.0.1:1/{{hall}}"
method = "POST"
headers = {{ Authorization = {{ variable = "TOKEN", before = "Bearer " }} }}
"""
HOUSE = Origin(kind="mcp", id="house")


class Process:
    """The tools process as control sees it; unlike the real one it is there at once."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    restart = start

    def send(self, message: Message) -> bool:
        if self.running:
            self.sent.append(message)
        return self.running


class Room:
    """One agent's configuration, and what its mind is told."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.process = folder, Process()
        self.told: list[AgentInput] = []
        self.servers = ToolServers(
            self.process,  # type: ignore[arg-type]
            lambda agent, item: self.told.append(item),
            environment,
            lambda: {"voice-key"},
        )

    def key(self, text: str, mode: int = 0o600) -> None:
        path = self.folder / "house.key"
        path.write_text(text)
        path.chmod(mode)

    def configure(self, text: str = CONFIG, *, confirm: bool = False) -> SetServers:
        config = parse(text.format(confirm=str(confirm).lower()), "t")
        self.servers.configure(config, self.folder)
        (wanted,) = self.servers.greeting()
        assert isinstance(wanted, SetServers)
        return wanted

    def offer(self, *names: str) -> None:
        tools = [OfferedTool(name=name, description=name, schema=NOTHING) for name in names]
        self.servers.take(Offered(agent="a", server="house", tools=tools))

    def run(self, call_id: str, name: str, executor: Origin = HOUSE, arguments: str = "{}") -> None:
        effect = RunTool(
            executor=executor, call_id=call_id, name=name, arguments=arguments, values=()
        )
        self.servers.perform("a", effect)

    def troubles(self) -> list[str]:
        return [each.sentence for each in self.told if isinstance(each, NetworkTrouble)]

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.told if isinstance(each, kind)]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path, TOKEN="planted-2")
    made.key("planted-1\n")
    return made


def test_keys_go_where_they_are_for_and_nowhere_else(room: Room) -> None:
    (server,) = room.configure().servers
    assert server.environment == {"KEY": "planted-1", "MODE": "quiet"}
    assert server.secrets == ["planted-1"]
    assert "planted" not in repr(server)
    room.run("1", "next_show", Origin(kind="http", id="next_show"), '{"hall": "x", "n": 1}')
    (request,) = room.process.sent
    assert isinstance(request, Request)
    assert (request.url, request.body) == ("http://127.0.0.1:1/x", '{"n":1}')
    assert request.headers == {"Authorization": "Bearer planted-2"}
    assert "planted" not in repr(request)
    assert room.troubles() == []


@pytest.mark.parametrize(
    ("text", "mode", "part"),
    [
        ("planted-1", 0o644, "can be read by others; it is not used before `chmod 600"),
        ("", 0o600, "holds no key"),
        ("voice-key", 0o600, "that is the key of a voice service, which no tool is given"),
    ],
)
def test_a_key_that_cannot_be_used_leaves_its_server_out(
    room: Room, text: str, mode: int, part: str
) -> None:
    room.key(text, mode)
    assert room.configure().servers == []
    (sentence,) = room.troubles()
    assert sentence.startswith("the MCP server house is left out: ")
    assert part in sentence


def test_a_key_that_is_missing(tmp_path: Path) -> None:
    room = Room(tmp_path)
    assert room.configure().servers == []
    file, variable = sorted(room.troubles(), reverse=True)
    assert file.endswith(f"there is no key file {tmp_path}/house.key")
    assert variable == "next_show cannot be asked: the environment variable TOKEN holds no key"
    room.run("1", "next_show", Origin(kind="http", id="next_show"))
    (answer,) = room.of(ToolAnswer)
    assert (answer.ok, answer.result) == (
        False, "next_show: a key for it is missing; go on without it",
    )  # fmt: skip


def test_what_is_offered_is_registered_by_what_changed(room: Room) -> None:
    room.configure()
    room.offer("one", "two")
    assert [each.tool.name for each in room.of(RegisterTool)] == ["one", "two"]
    tool = room.of(RegisterTool)[0].tool
    assert (tool.executor, tool.silence_s, tool.confirm) == (HOUSE, 3.0, False)
    room.told.clear()
    room.offer("two", "three")
    assert [each.name for each in room.of(UnregisterTool)] == ["one"]
    assert [each.tool.name for each in room.of(RegisterTool)] == ["three"]
    # The operator's word counts for what is there already.
    room.told.clear()
    room.configure(confirm=True)
    assert [(each.tool.name, each.tool.confirm) for each in room.of(RegisterTool)] == [
        ("two", True), ("three", True),
    ]  # fmt: skip
    room.told.clear()
    room.configure('[[agent]]\nname = "a"\n')
    assert {each.name for each in room.of(UnregisterTool)} == {"two", "three"}
    assert not room.process.running
    room.offer("four")
    assert not room.of(RegisterTool)


def test_a_tool_that_cannot_be_offered_is_told_once(room: Room) -> None:
    room.configure()
    for _ in range(2):
        room.offer("hang_up", "good")
        room.servers.perform(
            "a", Refused(origin=HOUSE, name="tool/register", code="denied", sentence="it is taken")
        )
    assert [each.tool.name for each in room.of(RegisterTool)] == ["good"]
    left_out, refused = room.troubles()
    assert "hang_up is left out: hang_up is taken by voiced or by a voice service" in left_out
    assert refused == "the MCP server house: it is taken"


def test_an_answer_counts_once_and_not_after_it_was_dropped(room: Room) -> None:
    room.configure()
    for name in ("1", "2"):
        room.run(name, "one")
    assert [each.call_id for each in room.process.sent if isinstance(each, CallTool)] == ["1", "2"]
    room.servers.perform("a", DropCall(executor=HOUSE, call_id="2", name="one", late=True))
    assert room.process.sent[-1] == CancelCall(agent="a", call_id="2", late=True)
    for name in ("1", "1", "2", "3"):
        room.servers.take(Progressed(agent="a", call_id=name))
        room.servers.take(Answered(agent="a", call_id=name, ok=True, result=name))
    assert [each.call_id for each in room.of(ToolAnswer)] == ["1"]
    assert [each.call_id for each in room.of(ToolProgress)] == ["1"]
    assert room.of(ToolAnswer)[0].origin == HOUSE


def test_a_process_that_is_gone_answers_at_once(room: Room) -> None:
    room.configure()
    room.run("1", "one")
    room.process.stop()
    for _ in range(2):
        room.servers.exited("tools was killed", False)
    assert [each.origin for each in room.of(ExecutorGone)] == [
        HOUSE, Origin(kind="http", id="next_show"),
    ] * 2  # fmt: skip
    assert room.troubles() == ["tools was killed"]
    room.run("2", "one")
    (answer,) = room.of(ToolAnswer)
    assert (answer.ok, answer.result) == (
        False, "one: it is not running now; go on without it",
    )  # fmt: skip


def test_calls_of_others_and_words_of_strangers_are_left_alone(room: Room) -> None:
    room.configure()
    room.run("1", "lights", Origin(kind="osc", id="127.0.0.1:1"))
    room.run("2", "lights", Origin(kind="config", id="127.0.0.1:1"))
    room.servers.take(ServerTrouble(agent="a", server="elsewhere", sentence="x"))
    assert room.process.sent == []
    assert room.told == []


def test_missing_packages_are_named_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for _ in range(2):
        room.configure()
    (sentence,) = room.troubles()
    assert sentence.endswith(
        f"need mcp and httpx2: {shlex.quote(sys.executable)} -m pip install 'voiced[mcp]'"
    )
    assert not room.process.running
