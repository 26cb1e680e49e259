"""MCP servers as they are, and as they should not be: each costs itself alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from voiced.messages.tools import (
    LONGEST_RESULT,
    Answered,
    CallTool,
    CancelCall,
    FromTools,
    McpServer,
    Offered,
    Progressed,
    ServerTrouble,
)
from voiced.tools import pipe, server
from voiced.tools.server import Server, offered_name

T = TypeVar("T")
STDIO = Path(__file__).with_name("stdio_server.py")
WAIT_S = 30.0
NONSENSE = int(os.environ.get("VOICED_NONSENSE", "4"))
"""Servers that answer with anything, each in its own way."""


class Heard:
    """What a server's keeper told control."""

    def __init__(self) -> None:
        self.messages: list[FromTools] = []
        self._more = asyncio.Event()

    def send(self, message: FromTools) -> None:
        self.messages.append(message)
        self._more.set()

    async def wait(self, kind: type[T], wanted: Callable[[T], bool] = lambda _: True) -> T:
        async with asyncio.timeout(WAIT_S):
            while True:
                for message in self.messages:
                    if isinstance(message, kind) and wanted(message):
                        return message
                self._more.clear()
                await self._more.wait()

    def all(self, kind: type[T]) -> list[T]:
        return [message for message in self.messages if isinstance(message, kind)]


class Kept(Heard):
    """A server that is kept running."""

    def __init__(self, wanted: McpServer) -> None:
        super().__init__()
        self.server = Server(wanted, self.send)

    def begin(self, call_id: str, tool: str, **given: Any) -> None:
        asked = CallTool(
            agent="a", call_id=call_id, server="s", tool=tool, arguments=json.dumps(given)
        )
        self.server.call(asked)

    async def answered(self, call_id: str) -> tuple[bool, str]:
        answer = await self.wait(Answered, lambda each: each.call_id == call_id)
        return answer.ok, answer.result

    async def call(self, call_id: str, tool: str, **given: Any) -> tuple[bool, str]:
        self.begin(call_id, tool, **given)
        return await self.answered(call_id)


def stdio(mode: str, **more: Any) -> McpServer:
    settings: dict[str, Any] = {"allow": ["*"], **more}
    return McpServer(agent="a", name="s", command=[sys.executable, str(STDIO), mode], **settings)


@asynccontextmanager
async def kept(wanted: McpServer) -> AsyncIterator[Kept]:
    one = Kept(wanted)
    task = asyncio.create_task(one.server.run())
    try:
        yield one
    finally:
        one.server.stop()
        async with asyncio.timeout(WAIT_S):
            await task


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 2 * WAIT_S))  # type: ignore[arg-type]


def test_a_server_is_listed_and_called() -> None:
    async def scene() -> None:
        async with kept(stdio("strays")) as one:
            tools = {tool.name: tool for tool in (await one.wait(Offered)).tools}
            assert tools["echo"].description == "Does echo"
            assert json.loads(tools["echo"].schema)["required"] == ["word"]
            assert "add_tool" in tools  # A slash is in no service's names.
            assert await one.call("1", "echo", word="hällo\nyou") == (True, "hällo\nyou")
            assert await one.call("2", "fails") == (False, "no such place")
            assert await one.call("3", "refused") == (False, "out of order")
            ok, result = await one.call("4", "odd")
            assert not ok
            assert "no usable result" in result
            assert await one.call("5", "picture") == (
                True,
                "here it is\n(an image of type image/png was left out: only words can be given)",
            )
            assert await one.call("6", "nonsense") == (
                False, "the MCP server s has no tool nonsense any more",
            )  # fmt: skip
            assert not one.all(ServerTrouble)

    run(scene)


def test_calls_run_at_the_same_time_and_one_is_cancelled() -> None:
    async def scene() -> None:
        async with kept(stdio("good")) as one:
            await one.wait(Offered)
            one.begin("slow", "slow")
            one.begin("never", "never")
            one.begin("steps", "steps")
            await one.wait(Progressed, lambda each: each.call_id == "steps")
            one.server.cancel(CancelCall(agent="a", call_id="never", late=False))
            assert await one.call("1", "echo", word="x") == (True, "x")
            assert await one.answered("slow") == (True, "at last")
            assert await one.answered("steps") == (True, "three steps")
            # The server was told of the cancelled one, and nobody is answered.
            ok, told = await one.call("2", "cancelled")
            assert len(json.loads(told)) == 1
            assert [each.call_id for each in one.all(Answered)].count("never") == 0

    run(scene)


def test_ten_megabytes_are_cut_with_a_sentence() -> None:
    async def scene() -> None:
        async with kept(stdio("good")) as one:
            await one.wait(Offered)
            ok, result = await one.call("1", "huge", mb=10)
            assert ok
            assert len(result) == LONGEST_RESULT
            assert result.endswith("z ... (cut: the result was longer)")
            # More than a message may have: the server's end, and its own alone.
            ok, result = await one.call("2", "huge", mb=20)
            assert (ok, result) == (
                False, "the MCP server s ended during the call; go on without it",
            )  # fmt: skip
            told = await one.wait(ServerTrouble)
            assert "a line of more than 16 MB" in told.sentence

    run(scene)


def test_a_list_that_changes_is_offered_anew() -> None:
    async def scene() -> None:
        async with kept(stdio("good")) as one:
            await one.wait(Offered)
            assert await one.call("1", "add_tool", word="another") == (True, "added")
            now = await one.wait(Offered, lambda each: any(t.name == "another" for t in each.tools))
            assert len(now.tools) == len(one.all(Offered)[0].tools) + 1

    run(scene)


def test_what_is_not_allowed_is_not_offered() -> None:
    async def scene() -> None:
        async with kept(stdio("good", allow=["echo", "eco"], prefix="my_")) as one:
            offered = await one.wait(Offered)
            assert [tool.name for tool in offered.tools] == ["my_echo"]
            told = await one.wait(ServerTrouble)
            assert told.sentence.startswith("the MCP server s: it has no tool eco; it has echo, ")
            assert await one.call("1", "my_echo", word="x") == (True, "x")
            ok, _ = await one.call("2", "die")
            assert not ok
            assert await one.call("3", "my_echo", word="y") == (True, "y")

    run(scene)


def test_a_server_that_dies_is_started_again_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BACKOFF_S", (0.0,))

    async def scene() -> None:
        async with kept(stdio("good")) as one:
            await one.wait(Offered)
            one.begin("other", "never")
            lost = "the MCP server s ended during the call; go on without it"
            for number in range(3):
                assert await one.call(f"{number}", "die") == (False, lost)
                while True:  # Until the next one is up.
                    ok, result = await one.call(f"again{number}", "echo", word="back")
                    if ok:
                        break
                    assert "is not running now" in result
                    one.messages[:] = [m for m in one.messages if not isinstance(m, Answered)]
                    await asyncio.sleep(0.01)
            (told,) = one.all(ServerTrouble)
            assert told.sentence == "the MCP server s: it ended (status 7); it is tried again"
            # The same list: the model need not be told.
            assert len(one.all(Offered)) == 1

    run(scene)


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        ("exits", "it ended (status 1): ModuleNotFoundError: no module named show"),
        ("endless", "a line of more than 16 MB"),
        ("noise", "what it writes is not the protocol"),
        ("flood", "it sends more than 1000 messages a second"),
        ("silent", "it did not answer within 1 s"),
    ],
)
def test_a_hostile_server_is_tried_again_and_its_tools_are_withdrawn(
    mode: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BACKOFF_S", (0.0,))
    monkeypatch.setattr(server, "WITHDRAWN_AFTER", 2)
    monkeypatch.setattr(server, "START_S", 1.0 if mode == "silent" else 30.0)

    async def scene() -> None:
        async with kept(stdio(mode)) as one:
            told = await one.wait(ServerTrouble)
            assert part in told.sentence
            assert (await one.wait(Offered)).tools == []
            assert len(one.all(ServerTrouble)) == 1
            ok, result = await one.call("1", "echo", word="x")
            assert not ok
            assert result == "the MCP server s is not running now; go on without it"

    run(scene)


def test_nonsense_ends_no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BACKOFF_S", (0.0,))
    monkeypatch.setattr(server, "LIST_S", 0.5)
    monkeypatch.setattr(server, "START_S", 3.0)

    async def one(seed: int) -> None:
        async with kept(stdio(f"nonsense{seed}", environment={"N": str(seed)})) as one:
            for number in range(4):
                await one.wait(Offered)
                one.begin(f"{number}", "echo", word="x")
                one.server.cancel(CancelCall(agent="a", call_id=f"{number - 1}", late=True))
            await one.wait(ServerTrouble)

    async def scene() -> None:
        # Whatever is raised beyond the keeper is raised here.
        await asyncio.gather(*(one(seed) for seed in range(NONSENSE)))

    run(scene)


def test_a_server_that_hangs_as_a_whole_is_found_by_a_late_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "LIST_S", 1.0)
    monkeypatch.setattr(server, "BACKOFF_S", (0.0,))

    async def scene() -> None:
        async with kept(stdio("good")) as one:
            await one.wait(Offered)
            one.begin("2", "never")
            one.begin("1", "stop")
            await one.wait(Progressed)
            one.server.cancel(CancelCall(agent="a", call_id="1", late=True))
            told = await one.wait(ServerTrouble)
            assert "it did not list its tools within 1 s; it is tried again" in told.sentence
            assert (await one.answered("2"))[0] is False

    run(scene)


def test_a_program_that_is_not_there() -> None:
    async def scene() -> None:
        wanted = McpServer(agent="a", name="s", command=["no-such-program"], allow=["*"])
        async with kept(wanted) as one:
            told = await one.wait(ServerTrouble)
            assert "there is no program no-such-program: install it" in told.sentence

    run(scene)


def test_a_server_has_no_environment_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "planted-1")
    wanted = stdio("good", environment={"TOKEN": "planted-2", "MODE": "x"}, secrets=["planted-2"])

    async def scene() -> None:
        async with kept(wanted) as one:
            await one.wait(Offered)
            ok, told = await one.call("1", "environment")
            assert ok
            found = json.loads(told)
            assert set(found) - {"LC_CTYPE"} <= {
                "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "TZ",
                "TMPDIR", "TOKEN", "MODE",
            }  # fmt: skip
            assert (found["TOKEN"], found["MODE"]) == ("…", "x")

    run(scene)


def test_what_a_server_started_ends_with_it() -> None:
    async def scene() -> None:
        async with kept(stdio("tree")) as one:
            tools = (await one.wait(Offered)).tools
            (child,) = (int(t.name[6:]) for t in tools if t.name.startswith("child_"))
            os.kill(child, 0)
        async with asyncio.timeout(WAIT_S):
            while _alive(child):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(scene)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_is_found_from_its_folder_on(tmp_path: Path) -> None:
    program = tmp_path / "here.sh"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {STDIO} good\n")
    program.chmod(0o700)

    async def scene() -> None:
        wanted = McpServer(
            agent="a", name="s", command=["./here.sh"], folder=str(tmp_path), allow=["echo"]
        )
        async with kept(wanted) as one:
            assert [tool.name for tool in (await one.wait(Offered)).tools] == ["echo"]

    run(scene)


@pytest.mark.parametrize(
    ("name", "offered"),
    [("a", "a"), ("a.b/c d", "a_b_c_d"), ("1st", "_1st"), ("größe", "gr__e"), ("-x", "_-x")],
)
def test_names_that_services_take(name: str, offered: str) -> None:
    assert offered_name(name) == offered


def test_the_limits_lie_in_order() -> None:
    assert LONGEST_RESULT < pipe.LONGEST_LINE
