"""A model calls tools of MCP servers and of a web server; whatever these do, the voice goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import ROOT, Client, alive
from tests.daemon.stage import A, Stage
from tests.daemon.test_tools import call, given, offer, rows

STDIO = ROOT / "tests" / "tools" / "stdio_server.py"
ENDS = [signal.SIGKILL, signal.SIGSTOP][: int(os.environ.get("VOICED_KILLS", "1"))]
"""With VOICED_KILLS=2 it hangs too, which takes ten seconds to be noticed."""
KEY_FILE, KEY_VARIABLE = "planted-5801", "planted-5802"
SERVERS = """
[[agent.mcp]]
name = "time"
command = "{time}"
args = ["--local-timezone", "Europe/Berlin"]
allow = ["get_current_time"]
[[agent.mcp]]
name = "house"
command = "{python}"
args = ["{stdio}", "good"]
env = {{ HOUSE_KEY = {{ file = "house.key" }} }}
allow = ["*"]
[[agent.mcp]]
name = "broken"
command = "{python}"
args = ["{stdio}", "exits"]
allow = ["*"]
[[agent.mcp]]
name = "keyless"
command = "{python}"
args = ["{stdio}", "good"]
env = {{ OPENAI_API_KEY = {{ variable = "OPENAI_API_KEY" }} }}
allow = ["*"]
[[agent.tool]]
name = "next_show"
description = "When the next show begins"
args = {{ hall = ["large", "small"] }}
http = {{ url = "{web}/halls/{{hall}}", headers = {{ Authorization = {{ variable = "SHOW_TOKEN", before = "Bearer " }} }} }}
"""  # noqa: E501


class Web(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]] = []
    release = threading.Event()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        if self.path.endswith("small"):
            self.release.wait(30)
        body = json.dumps({"at": "20:00", "you": self.headers.get("Authorization")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Web.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, web: str) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("servers")
    key = folder / "house.key"
    key.write_text(KEY_FILE + "\n")
    key.chmod(0o600)
    time = shutil.which("mcp-server-time", path=str(Path(sys.executable).parent))
    assert time is not None
    par = SERVERS.format(time=time, python=sys.executable, stdio=STDIO, web=web)
    settings = (
        "agent.voice_agent.tool_silence=2.0",
        "agent.voice_agent.tool_rate=1000",
        'agent.voice_agent.tool_confirm=["picture"]',
    )
    keys = {"SHOW_TOKEN": KEY_VARIABLE}
    ready = ("audio", "network", "tools")
    with Stage(folder, par, settings=settings, environment=keys, ready=ready) as running:
        offered(running, "get_current_time", "echo", "next_show")
        yield running


def offered(stage: Stage, *names: str) -> None:
    """Wait until the model may call these."""

    def there() -> bool:
        since = stage.mark()
        stage.send(f"{A}/tool/list")
        stage.wait(f"{A}/tool/list/done", since=since)
        listed = {m.args[0] for m in stage.client.all(f"{A}/tool/listed", since=since)}
        return set(names) <= listed

    stage.until(there, 30, f"tools {names}")


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    one.forget_tape()
    one.connect()
    yield one
    one.rest()


def errors(stage: Stage, since: int = 0) -> list[tuple[Any, ...]]:
    return [m.args for m in stage.client.all(f"{A}/cb/onError", since=since)]


def test_a_server_from_the_registry_tells_the_time(stage: Stage) -> None:
    since = call(stage, "t1", "get_current_time", timezone="Europe/Berlin")
    name, ok, result = given(stage, "t1")
    assert (name, ok) == ("get_current_time", True)
    assert json.loads(result)["timezone"] == "Europe/Berlin"
    stage.sync()
    assert [row[1] for row in rows(stage, since, "t1")] == ["tool_call", "tool_result"]
    # Arguments are checked before anything runs.
    call(stage, "t2", "get_current_time", zone="Europe/Berlin")
    assert given(stage, "t2")[1:] == (False, "the arguments do not fit: $.timezone is missing")
    # What the server has beside it was not allowed.
    call(stage, "t3", "convert_time")
    assert given(stage, "t3")[1] is False


def test_a_web_server_and_a_patch_at_the_same_time(stage: Stage) -> None:
    patch = Client()
    offer(stage, patch, "set_lights")
    call(stage, "w1", "next_show", hall="large")
    call(stage, "w2", "set_lights", color="red", level=1)
    call(stage, "w3", "echo", word="both")
    patch.wait(f"{A}/tool/call", "w2")
    patch.send(stage.port, f"{A}/tool/result", "w2", "red")
    assert given(stage, "w1") == ("next_show", True, '{"at": "20:00", "you": "Bearer …"}')
    assert given(stage, "w2") == ("set_lights", True, "red")
    assert given(stage, "w3") == ("echo", True, "both")
    assert ("/halls/large", f"Bearer {KEY_VARIABLE}") in Web.asked
    since = patch.mark()
    patch.send(stage.port, f"{A}/tool/unregister", "set_lights")
    patch.wait(f"{A}/tool/unregistered", since=since)
    patch.close()


def test_a_silent_one_is_given_up_and_a_cancelled_one_is_not_answered(stage: Stage) -> None:
    call(stage, "s1", "next_show", hall="small")
    call(stage, "s2", "never")
    call(stage, "before", "cancelled")
    assert given(stage, "before")[2] == "[]", "what was called before it has reached the server"
    stage.script(["tool_cancelled", "s2"])
    name, ok, result = given(stage, "s1")
    assert (ok, result) == (False, "next_show did not answer within 2 s; go on without it")
    call(stage, "s3", "cancelled")
    assert len(json.loads(given(stage, "s3")[2])) == 1
    assert not [each for each in stage.calls("tool") if each.args[0] == "s2"]


def test_a_marked_tool_waits_for_approval(stage: Stage) -> None:
    since = call(stage, "a1", "picture")
    stage.wait(f"{A}/par/Pendingtools", lambda text: "a1 picture" in text, since=since)
    stage.send(f"{A}/tool/approve", "a1")
    name, ok, result = given(stage, "a1")
    assert ok
    assert result.startswith("here it is\n(an image of type image/png was left out")


def test_what_is_wrong_is_told_once(one: Stage) -> None:
    told = [sentence for source, _, sentence in errors(one) if source == "tools"]
    broken = [sentence for sentence in told if "the MCP server broken" in sentence]
    assert broken == [
        "the MCP server broken: it ended (status 1): ModuleNotFoundError: no module named show; "
        "it is tried again"
    ]
    keyless = [sentence for sentence in told if "the MCP server keyless" in sentence]
    assert keyless == [
        "the MCP server keyless is left out: that is the key of a voice service, which no tool is "
        "given"
    ]


def test_a_server_that_dies_and_a_result_of_ten_megabytes(stage: Stage) -> None:
    call(stage, "d1", "huge", mb=10)
    name, ok, result = given(stage, "d1")
    assert ok
    assert result.endswith("z ... (cut: the result was longer)")
    since = stage.mark()
    call(stage, "d2", "die")
    assert given(stage, "d2")[1:] == (
        False, "the MCP server house ended during the call; go on without it",
    )  # fmt: skip
    stage.wait(f"{A}/cb/onError", "tools", since=since)
    # The others do not notice.
    call(stage, "d3", "get_current_time", timezone="UTC")
    assert given(stage, "d3")[1] is True
    back(stage, "d4")


def back(stage: Stage, call_id: str) -> None:
    """Call until the house answers again, not more often than calls are allowed."""
    for attempt in range(20):
        offers = stage.log.count("server house offers")
        one = f"{call_id}.{attempt}"
        call(stage, one, "echo", word="back")
        _name, ok, result = given(stage, one)
        if ok:
            assert result == "back"
            return
        assert "is not running now" in result
        with contextlib.suppress(AssertionError):
            stage.until(
                lambda offers=offers: stage.log.count("server house offers") > offers,
                3.0, "the house",
            )  # fmt: skip
    raise AssertionError("it did not come back")


@pytest.mark.parametrize("number", ENDS)
def test_a_tools_process_that_dies_or_hangs(stage: Stage, number: signal.Signals) -> None:
    pid = stage.pid_of("tools")
    name = f"k{number.value}"
    call(stage, f"{name}.1", "never")
    since = stage.mark()
    os.kill(pid, number)
    # At once, or when its silence has lasted.
    assert given(stage, f"{name}.1")[1] is False
    stage.speak("r1", 1000)
    stage.quiet()
    told = stage.wait(
        f"{A}/cb/onError", lambda source, code, _: (source, code) == ("tools", "lost"), since=since
    )
    assert "tools" in told.args[2]
    stage.wait_for_successor("tools", pid)
    back(stage, f"{name}.2")


def test_no_key_of_a_tool_is_anywhere(one: Stage) -> None:
    pids = {name: int(pid) for name, pid in one.run_file()["children"].items()}
    for name, pid in pids.items():
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert KEY_VARIABLE not in environment, name
        assert KEY_FILE not in Path(f"/proc/{pid}/cmdline").read_text()
    house = [pid for pid in below(pids["tools"]) if f"HOUSE_KEY={KEY_FILE}" in environ(pid)]
    assert len(house) == 1
    for pid in (house[0], pids["tools"]):
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (core,) = (line.split()[4:6] for line in limits if line.startswith("Max core file size"))
        assert core == ["0", "0"], "a core dump holds keys"
    told = "\n".join(str(m.args) for m in one.client.messages)
    files = [p.read_bytes() for p in one.state_dir.rglob("*") if p.is_file()]
    for key in (KEY_FILE, KEY_VARIABLE):
        assert key not in told
        assert key not in one.log
        assert not any(key.encode() in text for text in files)


def environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def below(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_reload_takes_servers_and_leaves_the_others_alone(one: Stage) -> None:
    before = set(below(one.pid_of("tools")))
    text = one.config_file.read_text()
    gone = text.replace('allow = ["get_current_time"]', 'allow = ["convert_time"]')
    one.config_file.write_text(gone)
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)
    offered(one, "convert_time", "echo")
    since = one.mark()
    one.send(f"{A}/tool/list")
    one.wait(f"{A}/tool/list/done", since=since)
    names = {m.args[0] for m in one.client.all(f"{A}/tool/listed", since=since)}
    assert "get_current_time" not in names
    assert len(before & set(below(one.pid_of("tools")))) >= 1


def test_servers_end_with_the_daemon(one: Stage) -> None:
    pids = below(one.pid_of("tools"))
    assert len(pids) >= 2
    # Even where nobody is left to end them.
    os.kill(one.pid_of("tools"), signal.SIGKILL)
    one.until(lambda: not any(alive(pid) for pid in pids), 10, "the servers' end")
