"""Each cloud voice calls a patch's tool, loses the end of a reply, falls silent, and goes on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.rig import CONFIG, Client, Daemon
from voiced.emulators.script import Call, Connection, Fault, Reply, Script
from voiced.emulators.server import Emulator
from voiced.emulators.services import emulator

A = "/voice_agent"
SPEED = 10.0
"""The service's silence of 30 s lasts 3."""
SERVICES = ("openai_realtime", "gemini_live", "hume_evi", "xai_grok")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"color": {"type": "string", "enum": ["red", "green"]}},
        "required": ["color"],
    }
)
LIGHTS = Call(name="set_lights", arguments={"color": "red"})
NO_END_OF_WORDS = {"hume_evi"}
"""Whose words have no end but the reply's: without it nobody knows whether more was to come."""
EVENING = Script(
    connection=[
        Connection(
            reply=[
                Reply(says="One moment.", calls=[LIGHTS]),
                Reply(says="It is red now."),
            ],
            fault=[Fault(what="lost_done", reply=2)],
        ),
        Connection(
            reply=[Reply(says="This one never comes to its end at all.")],
            fault=[Fault(what="stall", reply=1, audio_ms=300)],
        ),
        Connection(reply=[Reply(says="I am here again.")]),
    ]
)  # fmt: skip


@contextmanager
def running(service: Emulator) -> Iterator[asyncio.AbstractEventLoop]:
    """Run a stand-in on a loop of its own."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def run() -> None:
        async with service:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


@pytest.mark.parametrize("provider", SERVICES)
def test_a_tool_a_lost_end_and_a_silence(provider: str, tmp_path: Path) -> None:
    service = emulator(provider)(EVENING, speed=SPEED)
    with running(service):
        agents = (
            f'[[agent]]\nname = "voice_agent"\n[agent.par]\nProvider = "{provider}"\n'
            f'[agent.{provider}]\nendpoint = "{service.url}"\n'
        )
        config = CONFIG.replace('output = ""', f'output = ""\nspeed = {SPEED}')
        with Daemon(tmp_path, agents, config=config) as daemon:
            patch = Client()
            words = ("set_lights", "Turn the lights to a colour", SCHEMA)
            patch.send(daemon.port, f"{A}/tool/register", *words)
            patch.wait(f"{A}/tool/registered", "set_lights")
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "active")
            _conversation(daemon, patch, asked_again=provider in NO_END_OF_WORDS)
            patch.close()
        assert list(service.violations) == []


def _conversation(daemon: Daemon, patch: Client, *, asked_again: bool) -> None:
    daemon.send(f"{A}/par/Sendtext", "make it red please")
    call_id, name, arguments = patch.wait(f"{A}/tool/call").args
    assert (name, json.loads(arguments)) == ("set_lights", {"color": "red"})
    assert patch.wait(f"{A}/tool/do/set_lights").args == (call_id, "red")
    patch.send(daemon.port, f"{A}/tool/result", call_id, "the lights are red")
    said(daemon, "It is red now.", 0)
    # The end of that reply is lost. It was heard whole, so it is not asked for again.
    lost = daemon.wait(f"{A}/cb/onError", "provider").args
    assert lost[1] == "stall"
    daemon.wait(f"{A}/conv/row", lambda *row: row[2].startswith("▶ Refreshed session"))
    if not asked_again:
        daemon.ask(f"{A}/sig/phase", wanted=1.0)
        daemon.send(f"{A}/par/Sendtext", "and now")
    said(daemon, "I am here again.", 0)
    assert len(daemon.client.all(f"{A}/cb/onError")) == 2

    rows = {row[3]: row for row in (m.args for m in daemon.client.all(f"{A}/conv/row"))}
    calls = [(r[5], json.loads(r[6])["call_id"]) for r in rows.values() if r[1] == "tool"]
    assert calls == [("tool_call", call_id), ("tool_result", call_id)]
    spoken = "".join(r[2] for r in rows.values() if r[1] == "assistant")
    assert spoken.count("It is red") == 1
    assert {m.args[1] for m in daemon.client.all(f"{A}/cb/onError")} == {"stall"}


def said(daemon: Daemon, words: str, since: int) -> None:
    daemon.wait(f"{A}/cb/onAssistantText", lambda text, *_: str(text).endswith(words), since=since)
