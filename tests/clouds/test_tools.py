"""One evening with every kind of tool: a patch, a script, a server, a visitor, a goodbye.

The model calls a tool that a Pd patch executes and one of a published MCP server side by side;
then a Python function that somebody approves from the shell; then one that a visitor does not wait
for; then it says goodbye. VOICED_TOOLS=all asks every service, half a minute each.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests import analysis
from tests.clouds.rig import KEYS, WAIT_S, A, Cloud, environment
from tests.daemon.rig import ROOT
from tests.outside import pd
from tests.outside.crosstalk import shift_of
from voiced.emulators.mouth import tone

pytestmark = pytest.mark.skipif(bool(pd.MISSING), reason="needs pd: apt install puredata-core")
ALL = os.environ.get("VOICED_TOOLS") == "all"
PROVIDERS = sorted(KEYS) if ALL else ["openai_realtime"]
PATCH = Path(__file__).with_name("lights.pd")
TIME = shutil.which("mcp-server-time", path=str(Path(sys.executable).parent))
SPEED = 2.0
GOODBYE = "Goodbye and thank you for your visit."
VOICE = """
from pathlib import Path

@tool(confirm=True)
def open_door(door: int) -> str:
    "Open a door"
    with Path(__file__).with_suffix(".doors").open("a") as file:
        file.write(f"{door}\\n")
    return f"door {door} is open"
"""
SCRIPT = f"""
[[connection]]
heard = [{{ text = "Never mind." }}]
[[connection.reply]]
says = "One moment."
calls = [
    {{ name = "set_lights", arguments = {{ color = "red" }} }},
    {{ name = "get_current_time", arguments = {{ timezone = "Europe/Berlin" }} }},
]
[[connection.reply]]
says = "It is red, and it is late."
[[connection.reply]]
says = "I ask the keeper."
calls = [{{ name = "open_door", arguments = {{ door = 2 }} }}]
[[connection.reply]]
says = "The door is open."
[[connection.reply]]
says = "I count them."
calls = [
    {{ name = "get_current_time", arguments = {{ timezone = "Asia/Tokyo" }} }},
    {{ name = "count_stars" }},
]
[[connection.reply]]
says = "As you wish."
[[connection.reply]]
says = "{GOODBYE}"
calls = [{{ name = "end_conversation" }}]
[[connection.reply]]
says = "This is what nobody wants to hear after a goodbye."
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_evening_of_tools(tmp_path: Path, provider: str) -> None:
    assert TIME is not None, "mcp-server-time is in the test extras"
    (tmp_path / "voice.py").write_text(VOICE)
    port = free_port()
    server = f'[[agent.mcp]]\nname = "time"\ncommand = "{TIME}"\nallow = ["*"]\n'
    with (
        Cloud(
            tmp_path, provider, SCRIPT, speed=SPEED, par=['Callbackdat = "voice.py"'],
            more=server, keys=["tool_silence = 120.0"], options=["--voice=tone"],
        ) as cloud,
        pd.Pd(PATCH, messages=(f"offer {cloud.daemon.port} {port}",)) as patch,
    ):  # fmt: skip
        daemon = cloud.daemon
        for name in ("get_current_time", "open_door", "set_lights", "count_stars"):
            daemon.until(lambda name=name: f"{name} is offered" in daemon.log, WAIT_S, name)
        begun = cloud.connect()

        # A patch and a server, side by side.
        since = ask(cloud, "Turn the lights red, and tell me how late it is.")
        lights = patch.wait(r"lights: (\S+) red")[1]
        told = daemon.wait(f"{A}/cb/onToolResult", since=since).args
        assert told[1:3] == ("get_current_time", 1), "the patch has not answered yet"
        assert json.loads(told[3])["timezone"] == "Europe/Berlin"
        daemon.client.send(port, "/lights/done")
        said(cloud, "It is red, and it is late.", since)
        assert result(cloud, lights) == ("set_lights", 1, "the lights are red")

        # A script's function, once somebody has approved it.
        since = ask(cloud, "Open the second door.")
        told = daemon.wait(f"{A}/cb/onStatus", "approval", since=since).args
        door = str(daemon.wait(f"{A}/cb/onToolCall", since=since).args[0])
        assert shell(cloud, "get", "Pendingtools") == f'{door} open_door {{"door":2}}'
        assert not (tmp_path / "voice.doors").exists()
        shell(cloud, "pulse", f"{A}/tool/approve", door)
        said(cloud, "The door is open.", since)
        assert result(cloud, door) == ("open_door", 1, "door 2 is open")
        assert (tmp_path / "voice.doors").read_text() == "2\n"
        assert shell(cloud, "get", "Pendingtools") == ""

        # One whose result a visitor does not wait for; the other of the two is there already.
        since = ask(cloud, "Count the stars.")
        stars = patch.wait(r"stars: (\S+)")[1]
        tokyo = str(daemon.wait(f"{A}/cb/onToolResult", since=since).args[0])
        said(cloud, "I count them.", since, final=False)
        daemon.wait(f"{A}/sig/assistant_speaking", 1.0, WAIT_S, since=since)
        daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=WAIT_S)
        cloud.play("lv_0930.wav")
        cancelled = patch.wait(r"cancelled: (\S+) (\S+)")
        assert (cancelled[1], cancelled[2]) == (stars, "count_stars")
        said(cloud, "As you wish.", since)
        assert result(cloud, stars) == ("count_stars", 0, "cancelled")

        # The goodbye.
        since = ask(cloud, "Goodbye.")
        ended = daemon.wait(f"{A}/cb/onSessionEnd", deadline_s=WAIT_S, since=since).args
        assert ended[1] == "end_conversation"
        bye = str(daemon.wait(f"{A}/cb/onToolCall", since=since).args[0])
        daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=since)
        sessions = cloud.emulated.page("sessions")
        violations = cloud.violations()
        assert cloud.errors(begun) == []
        daemon.stop()
        rows = [message.args for message in daemon.client.all(f"{A}/conv/row")]

    assert violations == []
    calls = daemon.client.all(f"{A}/cb/onToolCall")
    berlin = str(calls[[c.args[1] for c in calls].index("get_current_time")].args[0])
    every = [lights, berlin, door, tokyo, stars, bye]
    assert sorted(str(call.args[0]) for call in calls) == sorted(every)
    pair = {call: ["tool_call", "tool_result"] for call in every}
    assert pairs((row[5], json.loads(row[6])) for row in rows if row[1] == "tool") == pair
    trace = json.loads(Path(ended[2]).read_text())
    assert pairs(
        (row["type"], json.loads(row["metadata"]))
        for row in trace["transcript"]
        if row["role"] == "tool"
    ) == pair  # fmt: skip

    # What the service was told of each.
    (session,) = sessions
    given = dict(session["results"])
    print(f"{provider}: {given}")
    assert len(given) == len(session["results"]), "each once"
    answered = {lights, berlin, door, tokyo}
    assert answered <= set(given) <= {*every}
    assert (stars in given) is (provider in LEFT_OPEN)
    if stars in given:
        assert given[stars] == "CANCELLED"
    heard_to_its_end(cloud.heard)


LEFT_OPEN = {"openai_realtime", "xai_grok"}
"""A call stays in their conversation: one without an output would be left open."""


def ask(cloud: Cloud, words: str) -> int:
    """Type something once nobody speaks; return the place before."""
    cloud.daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=WAIT_S)
    since = cloud.daemon.mark()
    cloud.daemon.send(f"{A}/par/Sendtext", words)
    return since


def said(cloud: Cloud, words: str, since: int, *, final: bool = True) -> None:
    """Wait until a reply ends with these words: for good, and they were heard; or so far."""
    cloud.daemon.wait(
        f"{A}/cb/onAssistantText",
        lambda text, is_final, _: str(text).endswith(words) and is_final >= final,
        WAIT_S, since=since,
    )  # fmt: skip
    if final:
        cloud.daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=WAIT_S)


def result(cloud: Cloud, call: str) -> tuple[str, int, str]:
    """Return name, ok and result of a call."""
    told = cloud.daemon.wait(f"{A}/cb/onToolResult", call)
    name, ok, text = told.args[1:]
    return str(name), int(ok), str(text)


def pairs(rows: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, list[str]]:
    """Return the types of the rows of each call, by its id."""
    found: dict[str, list[str]] = {}
    for kind, metadata in rows:
        found.setdefault(metadata["call_id"], []).append(kind)
    return found


def shell(cloud: Cloud, *words: str) -> str:
    """Run `voiced ...` as somebody at the machine does; return what it prints."""
    command = [sys.executable, "-m", "voiced.cli", *words, "--port", str(cloud.daemon.port)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def heard_to_its_end(path: Path) -> None:
    """Hold the last sound that was played against the goodbye as the service spoke it."""
    rate, samples = analysis.read_wav(path)
    said = analysis.unit(tone(GOODBYE, rate))
    said = said[: analysis.last_loud(said)]
    end = analysis.last_loud(samples[:, 0])
    assert end is not None
    played = analysis.unit(samples[end - len(said) - rate // 20 : end + rate // 20, 0])
    shift, likeness = shift_of(said, played)
    late_ms = (len(played) - rate // 20 - shift - len(said)) * 1000 / rate
    print(f"the goodbye: {len(said) / rate:.2f} s, likeness {likeness:.3f}, then {late_ms:.0f} ms")
    assert likeness > 0.95
    assert abs(late_ms) < 20


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
