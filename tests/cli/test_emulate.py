"""`voiced emulate` as a process, as a technician runs it."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.emulators.client import Client, run
from voiced.cli import main
from voiced.emulators.services import SERVICES

SCRIPT = """
[[connection]]
[[connection.reply]]
says = "Good evening."
[[connection.fault]]
what = "cap"
reply = 1
"""


@contextmanager
def emulating(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "voiced.cli", "emulate", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def page(url: str, name: str):
    with urllib.request.urlopen(url.replace("ws", "http", 1) + name, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return json.loads(answer.read())


def test_a_process_that_says_where_it_is_and_what_it_saw(tmp_path: Path) -> None:
    script = tmp_path / "evening.toml"
    script.write_text(SCRIPT)
    words = ("openai_realtime", "--script", str(script), "--deaf", "--voice", "tone")

    async def talk(url: str) -> None:
        client = await Client.open(url, "/v1/realtime?model=gpt-realtime-2.1")
        await client.send("response.create")
        assert (await client.closed())[0] == 1001
        other = await Client.open(url, "/v1/realtime?model=gpt-realtime-2.1")
        await other.send("response.creat")
        await other.until("error")
        await other.ws.close()

    with emulating(*words) as process:
        url = line(process)
        assert url.startswith("ws://127.0.0.1:")
        run(lambda: talk(url))
        (wrong,) = page(url, "/violations")
        assert (wrong["connection"], wrong["event"], wrong["path"]) == (2, "response.creat", "type")
        first, second = page(url, "/sessions")
        assert (first["said"], first["closed"]) == (["Good evening."], 1001)
        assert second["received"] == {"response.creat": 1}
        bill = page(url, "/bill")
        assert bill["usd"] == pytest.approx(sum(row["usd"] for row in bill["lines"]))
        assert bill["usd"] > 0


def test_with_a_certificate_of_its_own() -> None:
    async def talk(url: str, certificate: str) -> None:
        context = ssl.create_default_context(cafile=certificate)
        client = await Client.open(url, "/v1/realtime?model=grok-voice-3.0", ssl=context)
        await client.until("conversation.created")
        await client.ws.close()

    with emulating("xai_grok", "--tls", "--deaf", "--voice", "tone") as process:
        url = line(process)
        assert url.startswith("wss://127.0.0.1:")
        variable, _, certificate = line(process).partition("=")
        assert variable == "SSL_CERT_FILE"
        run(lambda: talk(url, certificate))
    assert not Path(certificate).exists()


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def taken() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        words = ["emulate", "xai_grok", "--port", str(port), "--deaf", "--voice", "tone"]
        assert await asyncio.to_thread(_main, words) == 1
        server.close()
        assert "choose another --port" in capsys.readouterr().err

    run(taken)


def _main(words: list[str]) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "voiced.cli", *words], capture_output=True, text=True, timeout=30
    )
    print(done.stderr, file=sys.stderr)
    return done.returncode


def test_a_script_that_is_not_there_is_a_configuration_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.toml")
    assert main(["emulate", "xai_grok", "--script", missing]) == 78
    assert missing in capsys.readouterr().err


def test_the_help_names_every_service(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["emulate", "--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in SERVICES)
    assert "/violations" in told
