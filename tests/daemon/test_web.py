"""The web door of a real daemon: its token comes from a key file, and its port may be taken."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path

from tests.daemon.rig import ECHO, Daemon

TOKEN = "e3b0c44298fc1c149afbf4c8996fb924"
JPEG = b"\xff\xd8\xff\xe0frame\xff\xd9"


def ask(daemon: Daemon, token: str = "") -> tuple[int, str]:
    """Post a picture as from another machine."""
    headers = {"X-Forwarded-For": "192.0.2.7"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection("127.0.0.1", daemon.run_file()["web_port"], timeout=30)
    connection.request("PUT", "/voice_agent/picture", JPEG, headers)
    answer = connection.getresponse()
    told = (answer.status, answer.read().decode())
    connection.close()
    return told


def keep(daemon: Daemon, token: str) -> None:
    path = daemon.state_dir / "keys" / "web"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(token + "\n")


def test_a_token_is_taken_from_its_file_and_given_to_nobody(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        assert daemon.process is not None
        status, sentence = ask(daemon, TOKEN)
        assert (status, sentence.strip()) == (401, "the token is another one")
        assert "voiced key set web" in ask(daemon)[1]

        keep(daemon, TOKEN)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: "keys changed: web" in daemon.log, 30, "the token")
        assert ask(daemon, TOKEN)[0] == 409, "there is no session, but the sender is known"
        assert ask(daemon, TOKEN[:-1])[0] == 401
        assert ask(daemon)[0] == 401

        # Echo has no eyes: a session changes nothing, and says so.
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/cb/onSessionStart")
        status, sentence = ask(daemon, TOKEN)
        assert (status, "echo takes no pictures" in sentence) == (409, True)
        for name in daemon.run_file()["children"]:
            place = Path(f"/proc/{daemon.pid_of(name)}")
            assert TOKEN.encode() not in (place / "environ").read_bytes(), name
        assert TOKEN not in daemon.log


def test_a_port_that_is_taken_costs_the_pictures_and_nothing_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Daemon(tmp_path, ECHO + f"[web]\nport = {port}\n") as daemon:
            told = daemon.wait("/voice_agent/cb/onError", "web").args
            assert f"web 127.0.0.1:{port} cannot be opened" in told[2]
            assert daemon.run_file()["web_port"] == 0
            daemon.send("/voice_agent/par/Connect")
            daemon.wait("/voice_agent/par/Sessionstate", "active")
