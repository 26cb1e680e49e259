"""One talkative daemon calls every service with a wrong key and a right one, and one that quotes.

The right key is unlike any vendor's and is changed by every quoting; it is set by the command that
the refusal names. The wrong ones look as their vendors'. Everything logs at its most talkative.
What all this leaves is searched at the daemon's end (tests/daemon/rig.py), what the stand-ins keep
of it here.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from tests import planted
from tests.daemon.rig import ROOT, Daemon
from tests.daemon.test_secrets import keep
from tests.daemon.test_tools_emulated import running
from voiced.emulators.script import Connection, Reply, Script
from voiced.emulators.server import Emulator
from voiced.emulators.services import emulator

SERVICES = {
    "openai_realtime": "openai",
    "xai_grok": "xai",
    "gemini_live": "gemini",
    "hume_evi": "hume",
}
TALKATIVE = {
    "VOICED_LOG": "DEBUG",
    "PYTHONASYNCIODEBUG": "1",
    "WEBSOCKETS_MAX_LOG_SIZE": "1000000",
    # The planted variables are wrong here; the right keys come as files.
    "CREDENTIALS_DIRECTORY": "",
}
AGENT = """
[[agent]]
name = "{name}"
[agent.par]
Provider = "{provider}"
Autosessionrefresh = 0
[agent.{provider}]
endpoint = "{url}"
"""


class Quoting(socketserver.StreamRequestHandler):
    """No service at all: it gives back what it was sent, in the forms that a proxy might."""

    def handle(self) -> None:
        head = b""
        while (line := self.rfile.readline()).strip():
            head += line
        text = head.decode("latin-1")
        body = json.dumps({"error": {"message": text, "url": quote(text)}}).encode()
        words = " ".join(text.split("\r\n")[1:])[:900]
        self.wfile.write(
            b"HTTP/1.1 400 " + words.encode("latin-1") + b"\r\nX-Yours: " + words.encode("latin-1")
            + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )  # fmt: skip


@pytest.fixture
def quoting() -> Iterator[str]:
    """The address of a server that quotes."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Quoting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def left_by(service: Emulator) -> str:
    """Return everything that a stand-in keeps."""
    kept = [service.violations, service.records, service.bill.lines]
    return "\n".join(msgspec.json.encode(list(each)).decode() for each in kept)


def test_no_service_gets_a_key_out_of_a_talkative_daemon(
    tmp_path: Path, quoting: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(connection=[Connection(reply=[Reply(says="Good evening.")])])
    right = frozenset({planted.LIKE_NOTHING})
    services = {name: emulator(name)(script, keys=right) for name in SERVICES}
    caplog.set_level("DEBUG")
    with ExitStack() as stack:
        for service in services.values():
            stack.enter_context(running(service))
        agents = [AGENT.format(name=n, provider=n, url=s.url) for n, s in services.items()]
        agents += [AGENT.format(name=f"{n}_2", provider=n, url=quoting) for n in services]
        daemon = stack.enter_context(Daemon(tmp_path, "".join(agents), environment=TALKATIVE))
        sentences = refused(daemon, *services, code="invalid_key")
        refused(daemon, *(f"{name}_2" for name in services))
        # One as its refusal says, which has the daemon look at all of them.
        for server in ("gemini", "xai", "hume"):
            keep(daemon, server, planted.LIKE_NOTHING)
        set_key(sentences["openai_realtime"])
        daemon.until(lambda: "keys changed: gemini, hume, openai, xai" in daemon.log, 20, "keys")
        since = daemon.mark()
        for name in services:
            daemon.send(f"/{name}/par/Connect")
            daemon.ask(f"/{name}/par/Sessionstate", wanted="active")
            daemon.send(f"/{name}/par/Sendtext", "Hello?")
        for name in services:
            daemon.wait(
                f"/{name}/cb/onAssistantText",
                lambda text, final, _: final and "Good evening" in text, since=since,
            )  # fmt: skip
        refused(daemon, *(f"{name}_2" for name in services))
        crashed = daemon.signal_child("network", signal.SIGABRT)
        daemon.wait_for_successor("network", crashed)
        assert daemon.stop() == 0
        assert "network" in daemon.log
        assert "Fatal Python error: Aborted" in daemon.log
    for name, service in services.items():
        assert service.records, name
        assert not planted.found_in(left_by(service)), name
    # What they log of their visitors is in this process; tests/conftest.py looks through it too.
    assert not planted.found_in(caplog.text)


def set_key(sentence: str) -> None:
    """Type what a refusal says into a shell, and the key."""
    (command,) = re.findall(r"set it with (voiced key set .*)$", sentence)
    subprocess.run(
        [sys.executable, "-m", "voiced.cli", *shlex.split(command)[1:]],
        cwd=ROOT, input=planted.LIKE_NOTHING, text=True, check=True, timeout=30,
    )  # fmt: skip


def refused(daemon: Daemon, *agents: str, code: str = "") -> dict[str, str]:
    """Let agents try to connect; return why each does not; the code "" is any."""
    since, said = daemon.mark(), {}
    for agent in agents:
        daemon.send(f"/{agent}/par/Connect")
    for agent in agents:
        told = daemon.wait(f"/{agent}/cb/onError", lambda _, it, __: code in ("", it), since=since)
        daemon.send(f"/{agent}/par/Disconnect")
        daemon.ask(f"/{agent}/par/Sessionstate", wanted="disconnected")
        said[agent] = str(told.args[2])
    return said
