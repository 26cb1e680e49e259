"""A tool outlives the connection that called it; its result comes late, and twice.

VOICED_TOOLS=all asks every service, a quarter of a minute each; else one does.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import CONFIG, Client, Daemon
from tests.daemon.test_tools_emulated import SCHEMA, SERVICES, A, running, said
from voiced.emulators.script import Call, Connection, Fault, Reply, Script
from voiced.emulators.server import Emulator
from voiced.emulators.services import emulator

ALL = os.environ.get("VOICED_TOOLS") == "all"
SPEED = 4.0
RED, GREEN = (Call(name="set_lights", arguments={"color": one}) for one in ("red", "green"))
EVENING = Script(
    connection=[
        Connection(reply=[Reply(says="One moment.", calls=[RED])]),
        Connection(
            reply=[
                Reply(says="I try again.", calls=[RED]),
                Reply(says="It is red now."),
                Reply(says="Green then.", calls=[GREEN]),
            ]
        ),
        Connection(
            reply=[
                Reply(says="Where were we?"),
                Reply(says="I see."),
            ]
        ),
    ]
)


class Evening:
    """A daemon, a service and a patch with a tool."""

    def __init__(self, daemon: Daemon, service: Emulator) -> None:
        self.daemon, self.service = daemon, service
        self.patch = Client()
        words = ("set_lights", "Turn the lights to a colour", SCHEMA)
        self.patch.send(daemon.port, f"{A}/tool/register", *words)
        self.patch.wait(f"{A}/tool/registered", "set_lights")

    def says(self, words: str) -> int:
        """Type something; return the place before, in what the patch hears."""
        since = self.patch.mark()
        self.daemon.send(f"{A}/par/Sendtext", words)
        return since

    def called(self, since: int) -> str:
        """Return the id of the patch's next call."""
        return str(self.patch.wait(f"{A}/tool/call", since=since).args[0])

    def answers(self, call: str, result: str) -> None:
        """Let the patch answer."""
        self.patch.send(self.daemon.port, f"{A}/tool/result", call, result)

    def refreshed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the service end the connection, and wait for the next one."""
        since = self.daemon.mark()
        ended = self.service.play(Fault(what="cap"))
        asyncio.run_coroutine_threadsafe(ended, loop).result(20)
        self.daemon.wait(
            f"{A}/conv/row", lambda *row: row[2].startswith("▶ Refreshed session"), since=since
        )

    def heard_of(self, words: str) -> None:
        """Wait until the newest connection's model knows these words."""
        self.daemon.until(lambda: words in known(self.service), 30, f"{words!r} at the service")


def known(service: Emulator) -> str:
    """Return all that the model of the newest connection was given in words."""
    session: Any = service.sessions[-1]
    talk = getattr(session, "conversation", None)
    if talk is None:  # Hume: its context is a setting
        return str(session.settings.context)
    return str([item.words for item in talk] if hasattr(talk, "calls") else talk.rows)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("provider", SERVICES if ALL else ["openai_realtime"])
def test_a_result_after_a_refresh_and_a_second_one(provider: str, tmp_path: Path) -> None:
    service = emulator(provider)(EVENING, speed=SPEED)
    agents = (
        f'[[agent]]\nname = "voice_agent"\ntool_silence = 200.0\n[agent.par]\n'
        f'Provider = "{provider}"\n[agent.{provider}]\nendpoint = "'
    )
    config = CONFIG.replace('output = ""', f'output = ""\nspeed = {SPEED}')
    with running(service) as loop:
        agents += f'{service.url}"\n'
        with Daemon(tmp_path, agents, config=config) as daemon:
            evening = Evening(daemon, service)
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "active")

            # The connection goes while the tool runs; the next one's model asks again.
            call = evening.called(evening.says("make it red please"))
            evening.refreshed(loop)
            evening.answers(call, "the lights are red")
            said(daemon, "It is red now.", 0)
            assert len(evening.patch.all(f"{A}/tool/do/set_lights")) == 1, "nothing runs twice"

            # Twice: refused, and the service hears nothing of it.
            since = evening.patch.mark()
            evening.answers(call, "the lights are blue")
            evening.patch.wait("/voiced/error", f"{A}/tool/result", since=since)

            # It goes again, and nobody asks: the model is told in words.
            call = evening.called(evening.says("and now green"))
            evening.refreshed(loop)
            said(daemon, "Where were we?", 0)
            evening.answers(call, "the lights are green")
            evening.heard_of("the lights are green")
            since = daemon.mark()
            evening.says("and now")
            said(daemon, "I see.", since)
            evening.patch.close()
            shown = {row.args[3]: row.args for row in daemon.client.all(f"{A}/conv/row")}.values()
        tools = [(row[5], json.loads(row[6])["call_id"]) for row in shown if row[1] == "tool"]
        calls = [call for kind, call in tools if kind == "tool_call"]
        assert len(calls) == 3, "an emulated service may use an id again with its next connection"
        assert sorted(calls) == sorted(call for kind, call in tools if kind == "tool_result")
        results = [record.results for record in service.records]
    print(provider, results)
    assert results[0] == []
    assert [result for _, result in results[1] if "lost" not in result] in (
        ["the lights are red"], ['{"output":"the lights are red"}'],
    ), "once; a session that is resumed is told of the call that was lost"  # fmt: skip
    assert not [result for _, result in results[2] if "lost" not in result]
    assert list(service.violations) == []
