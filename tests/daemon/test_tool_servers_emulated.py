"""Cloud voices call a registry's server and a patch at the same time; a visitor cancels a call.

VOICED_TOOLS=all asks every service, which takes a quarter of a minute each.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.clouds.rig import VISITORS
from tests.daemon.rig import CONFIG, ROOT, Client, Daemon
from tests.daemon.test_tools_emulated import SCHEMA, SERVICES, A, running, said
from voiced.emulators.script import Call, Connection, Reply, Script
from voiced.emulators.services import emulator

SPEED = 4.0
LIGHTS = Call(name="set_lights", arguments={"color": "red"})
TIME = Call(name="get_current_time", arguments={"timezone": "Europe/Berlin"})
ALL = os.environ.get("VOICED_TOOLS") == "all"
EVENING = Script(
    connection=[
        Connection(
            reply=[
                Reply(says="One moment.", calls=[LIGHTS, TIME]),
                Reply(says="It is red, and it is late."),
            ]
        )
    ]
)


@pytest.mark.parametrize("provider", SERVICES if ALL else ["openai_realtime"])
def test_a_server_and_a_patch_in_parallel(provider: str, tmp_path: Path) -> None:
    program = shutil.which("mcp-server-time", path=str(Path(sys.executable).parent))
    assert program is not None
    service = emulator(provider)(EVENING, speed=SPEED)
    with running(service):
        agents = (
            f'[[agent]]\nname = "voice_agent"\n[agent.par]\nProvider = "{provider}"\n'
            f'[agent.{provider}]\nendpoint = "{service.url}"\n'
            f'[[agent.mcp]]\nname = "time"\ncommand = "{program}"\nallow = ["*"]\n'
        )
        config = CONFIG.replace('output = ""', f'output = ""\nspeed = {SPEED}')
        settings = ("agent.voice_agent.tool_silence=60.0",)
        with Daemon(tmp_path, agents, config=config, settings=settings) as daemon:
            daemon.until(lambda: "get_current_time is offered" in daemon.log, 30, "the time")
            patch = Client()
            words = ("set_lights", "Turn the lights to a colour", SCHEMA)
            patch.send(daemon.port, f"{A}/tool/register", *words)
            patch.wait(f"{A}/tool/registered", "set_lights")
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "active")
            daemon.send(f"{A}/par/Sendtext", "make it red and tell me the time")
            call_id = patch.wait(f"{A}/tool/call").args[0]
            # The server has answered while the patch has not.
            told = daemon.wait(f"{A}/cb/onToolResult", lambda _, name, *__: name == TIME.name).args
            assert told[2] == 1
            assert json.loads(told[3])["timezone"] == "Europe/Berlin"
            patch.send(daemon.port, f"{A}/tool/result", call_id, "the lights are red")
            said(daemon, "It is red, and it is late.", 0)
            patch.close()
            rows = {r[3]: r for r in (m.args for m in daemon.client.all(f"{A}/conv/row"))}
            tools = [(r[5], json.loads(r[6])["call_id"]) for r in rows.values() if r[1] == "tool"]
            assert {kind for kind, _ in tools} == {"tool_call", "tool_result"}
            calls = sorted(one for kind, one in tools if kind == "tool_call")
            assert calls == sorted(one for kind, one in tools if kind == "tool_result")
            assert len(calls) == 2
            errors = [m.args for m in daemon.client.all(f"{A}/cb/onError")]
            assert not [error for error in errors if error[0] == "tools"]
        assert list(service.violations) == []


NEVER = Call(name="never", arguments={})
INTERRUPTED = Script(
    connection=[
        Connection(
            reply=[
                Reply(says="One moment.", calls=[NEVER, TIME]),
                Reply(says="I am listening."),
                Reply(says="Let me see.", calls=[Call(name="cancelled", arguments={})]),
                Reply(says="It was cancelled."),
            ]
        )
    ]
)


@pytest.mark.timeout(180)
def test_a_visitor_who_speaks_cancels_a_call_at_its_server(tmp_path: Path) -> None:
    if not ALL:
        pytest.skip("VOICED_TOOLS=all lets a visitor speak, which takes half a minute")
    program = shutil.which("mcp-server-time", path=str(Path(sys.executable).parent))
    service = emulator("gemini_live")(INTERRUPTED, speed=SPEED)
    with running(service):
        agents = (
            '[[agent]]\nname = "voice_agent"\n[agent.par]\nProvider = "gemini_live"\n'
            f'[agent.gemini_live]\nendpoint = "{service.url}"\n'
            f'[[agent.mcp]]\nname = "time"\ncommand = "{program}"\nallow = ["*"]\n'
            f'[[agent.mcp]]\nname = "house"\ncommand = "{sys.executable}"\n'
            f'args = ["{ROOT}/tests/tools/stdio_server.py", "good"]\nallow = ["*"]\n'
        )
        config = CONFIG.replace('output = ""', f'output = ""\nspeed = {SPEED}')
        settings = ("agent.voice_agent.tool_silence=400.0",)
        with Daemon(tmp_path, agents, config=config, settings=settings) as daemon:
            for name in ("get_current_time", "cancelled"):
                daemon.until(lambda name=name: f"{name} is offered" in daemon.log, 30, name)
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "active")
            daemon.send(f"{A}/par/Sendtext", "what time is it")
            daemon.wait(f"{A}/cb/onToolResult", lambda _, name, *__: name == TIME.name)
            # The other call is at its server; the visitor does not wait for it.
            daemon.send("/voiced/audio/play", "voice_agent", str(VISITORS / "lv_0930.wav"))
            told = daemon.wait(f"{A}/cb/onToolResult", lambda _, name, *__: name == "never", 60)
            assert told.args[2:] == (0, "cancelled")
            said(daemon, "I am listening.", 0)
            daemon.send(f"{A}/par/Sendtext", "was it cancelled")
            asked = daemon.wait(f"{A}/cb/onToolResult", lambda _, name, *__: name == "cancelled")
            assert len(json.loads(asked.args[3])) == 1, "the server was told"
            said(daemon, "It was cancelled.", 0)
        assert list(service.violations) == []
