"""`voiced check --online` with the services' own packages, against services on loopback.

Kinder than the real ones: they answer at once. They quote the key in every refusal, as some do.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_verbs import voiced
from voiced.cli import online
from voiced.cli.finding import Finding, Verdict
from voiced.control.config import parse
from voiced.errors import ExitCode
from voiced.providers import prices

KEY = "planted-key-0123456789-abcdefgh"
MODELS = {
    "openai": ["gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-5", "whisper-1"],
    "gemini": ["gemini-3.8-live", "gemini-3.8-live-extended-thinking", "gemini-3-pro"],
    "xai": ["grok-5"],
    "hume": ["c0ffee00-0000-4000-8000-000000000001"],
}


class Services(ThreadingHTTPServer):
    """All of them behind one port, told apart by the path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.models = {server: list(names) for server, names in MODELS.items()}
        self.garbage: bytes | None = None
        self.status = 200
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"ws://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    """One request."""

    server: Services

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        header = self.headers
        bearer = (header["Authorization"] or "").removeprefix("Bearer ")
        key = bearer or header["x-goog-api-key"] or header["X-Hume-Api-Key"] or ""
        if self.server.garbage is not None:
            self._send(200, self.server.garbage)
        elif self.server.status != 200:
            self._send(self.server.status, {"error": {"message": f"no, {key}"}})
        elif path == "/v1/models":
            self._openai(key)
        elif path == "/v1beta/models":
            self._gemini(key)
        elif path == "/v0/evi/configs":
            self._hume(key)
        else:
            self._send(404, {"error": {"message": "not here"}})

    def _openai(self, key: str) -> None:
        if key != KEY:
            message = f"Incorrect API key provided: {key}."
            self._send(401, {"error": {"message": message, "code": "invalid_api_key"}})
            return
        names = self.server.models["openai"] + self.server.models["xai"]
        rows = [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in names]
        self._send(200, {"object": "list", "data": rows})

    def _gemini(self, key: str) -> None:
        if key != KEY:
            error = {
                "code": 400,
                "message": f"API key not valid. Please pass a valid API key. ({key})",
                "status": "INVALID_ARGUMENT",
                "details": [{"reason": "API_KEY_INVALID"}],
            }
            self._send(400, {"error": error})
            return
        rows = [{"name": f"models/{name}"} for name in self.server.models["gemini"]]
        self._send(200, {"models": rows})

    def _hume(self, key: str) -> None:
        if key != KEY:
            self._send(401, {"fault": {"faultstring": f"Invalid ApiKey {key}"}})
            return
        rows = [
            {"id": name, "version": 1, "name": "mine", "tools": [], "builtin_tools": []}
            for name in self.server.models["hume"]
            if "page_number=0" in self.path or "page_number" not in self.path
        ]
        page = {"page_number": 0, "page_size": 100, "total_pages": 1, "configs_page": rows}
        self._send(200, page)

    def _send(self, status: int, body: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture(autouse=True)
def prices_of_the_file():
    yield
    prices.overrule({})


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as there:
        thread = threading.Thread(target=there.serve_forever, args=(0.05,))
        thread.start()
        yield there
        there.shutdown()
        thread.join()


def agent(provider: str, endpoint: str, par: str = "", page: str = "") -> str:
    return f"""
[[agent]]
name = "voice_agent"
[agent.par]
Provider = "{provider}"
{par}
[agent.{provider}]
endpoint = "{endpoint}"
{page}
"""


SERVERS = [("openai_realtime", "openai"), ("gemini_live", "gemini"), ("hume_evi", "hume")]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what is found about a configuration, one line a finding."""

    def ask(config: str, key: str = KEY, folder: Path = tmp_path) -> list[Finding]:
        for name in list(os.environ):
            if name.endswith("_API_KEY"):
                monkeypatch.delenv(name)
        keys = tmp_path / "state" / "keys"
        keys.mkdir(parents=True, exist_ok=True)
        for server in MODELS if key else ():
            (keys / server).write_text(key)
            (keys / server).chmod(0o600)
        # Every key is asked for; those without an agent would be asked at the real service.
        used = dict(SERVERS)
        for server in set(MODELS) - {used.get(name) for name in used if f'"{name}"' in config}:
            (keys / server).unlink(missing_ok=True)
        found = list(online.findings(parse(config, "test"), folder, tmp_path / "state"))
        assert key == "" or key not in repr(found)
        return found

    return ask


def of(found: list[Finding], matter: str) -> list[Finding]:
    return [finding for finding in found if finding.matter == matter]


@pytest.mark.parametrize(("provider", "server"), SERVERS)
def test_a_good_key_a_good_model_and_a_good_set_up(check, services, provider, server) -> None:
    found = check(agent(provider, services.endpoint))
    (told,) = of(found, "online")
    assert told.verdict is Verdict.GOOD
    assert f"{server} at {services.endpoint}: the key works" in told.sentence
    (held,) = of(found, "set-up")
    assert held.verdict is Verdict.GOOD, held
    if server != "hume":
        assert of(found, "model")[0].verdict is Verdict.GOOD
        assert "own types" in held.sentence
    assert services.asked, "the package went to the endpoint"


@pytest.mark.parametrize(("provider", "server"), SERVERS)
def test_a_refused_key_is_told_with_what_to_do_and_never_repeated(
    check, services, provider, server
) -> None:
    wrong = "wrong-key-9876543210-zyxwvuts"
    (told,) = of(check(agent(provider, services.endpoint), wrong), "online")
    assert told.verdict is Verdict.BAD
    assert "refused the key" in told.sentence
    assert told.fix == f"set it with voiced key set {server}"


@pytest.mark.parametrize(("provider", "server"), SERVERS)
@pytest.mark.parametrize(
    ("status", "word"), [(429, "rate or quota"), (402, "paid"), (503, "out of order")]
)
def test_what_else_a_service_may_answer(check, services, provider, server, status, word) -> None:
    services.status = status
    (told,) = of(check(agent(provider, services.endpoint)), "online")
    assert told.verdict is Verdict.BAD
    assert word in told.sentence + told.fix


@pytest.mark.parametrize(("provider", "server"), SERVERS)
def test_where_nobody_listens_it_says_so(check, provider, server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"ws://127.0.0.1:{unused.getsockname()[1]}"  # bound, and nobody listens
        (told,) = of(check(agent(provider, endpoint)), "online")
    assert told.verdict is Verdict.BAD
    assert "cannot be reached" in told.sentence
    assert endpoint in told.fix


def test_without_a_network_it_says_so(check, monkeypatch) -> None:
    # The service itself, by way of a proxy that is not there: nothing leaves this machine.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused.getsockname()[1]}")
        (told,) = of(check(agent("openai_realtime", "")), "online")
    assert told.sentence == "openai: OpenAI cannot be reached"
    assert "is this machine online" in told.fix


@pytest.mark.parametrize(("provider", "server"), SERVERS)
@pytest.mark.parametrize("garbage", [b"", b"<html>", b"[]", b'{"data": 3}', b'"models"', b"\xff"])
def test_an_answer_that_is_none_is_a_note(check, services, provider, server, garbage) -> None:
    services.garbage = garbage
    (told,) = of(check(agent(provider, services.endpoint)), "online")
    assert told.verdict is not Verdict.BAD


@pytest.mark.parametrize(("provider", "server"), SERVERS)
def test_an_emulator_tells_no_models(check, services, provider, server) -> None:
    (told,) = of(check(agent(provider, f"{services.endpoint}/elsewhere")), "online")
    assert told.verdict is Verdict.NOTE
    assert "an emulator?" in told.sentence


@pytest.mark.parametrize(("provider", "server"), SERVERS)
def test_without_the_package_its_command_is_told(
    check, services, provider, server, monkeypatch
) -> None:
    package = {"openai": "openai", "gemini": "google.genai", "hume": "hume"}[server]
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    if package == "google.genai":
        import google

        monkeypatch.delattr(google, "genai", raising=False)
    found = check(agent(provider, services.endpoint))
    (told,) = of(found, "online")
    assert told.verdict is Verdict.NOTE
    assert "is not installed" in told.sentence
    assert told.fix.startswith("pip install ")
    assert not [finding for finding in of(found, "set-up") if finding.verdict is Verdict.BAD]
    assert not services.asked


def test_without_a_key_nothing_is_asked(check, services) -> None:
    (told,) = of(check(agent("openai_realtime", services.endpoint), ""), "online")
    assert (told.verdict, told.fix) == (Verdict.BAD, "voiced key set openai")
    assert not services.asked


def test_a_model_that_the_account_does_not_have_is_told_with_those_it_has(check, services) -> None:
    config = agent("openai_realtime", services.endpoint, 'Model = "gpt-realtime-2.2"')
    (told,) = of(check(config), "model")
    assert told.verdict is Verdict.BAD
    assert "the account has no gpt-realtime-2.2. Did you mean gpt-realtime-2.1?" in told.sentence
    assert told.fix == "set Model to one of gpt-realtime-2.1, gpt-realtime-2.1-mini"


def test_a_list_without_voices_refutes_no_model(check, services) -> None:
    services.models["openai"] = ["gpt-5"]
    found = check(agent("openai_realtime", services.endpoint))
    assert of(found, "model") == []
    assert "cannot be looked up" in of(found, "online")[0].sentence


def test_a_configuration_of_hume_that_is_not_there(check, services) -> None:
    config = agent("hume_evi", services.endpoint, page='config_id = "c0ffee"')
    told = of(check(config), "model")[0]
    assert told.verdict is Verdict.BAD
    assert told.fix == f"set config_id to one of {MODELS['hume'][0]}"


def test_a_model_that_ends_is_told_with_its_follower(check, services) -> None:
    services.models["openai"].append("gpt-realtime")
    config = agent("openai_realtime", services.endpoint, 'Model = "gpt-realtime"')
    there, ends = of(check(config), "model")
    assert there.verdict is Verdict.GOOD
    assert "2027-01-20" in ends.sentence
    assert ends.fix == "set Model to gpt-realtime-2.1"


WRONG = """
from voiced.providers.provider_openai_realtime import *
from websockets.asyncio.client import connect
import json

async def start_session(request, callbacks):
    callbacks.trouble("told", "the lamp is on")
    async with connect(request.text("endpoint"), proxy=None) as socket:
        await socket.recv()
        session = {"type": "realtime", "voise": "marin", "audio": {"input": {"format": "pcm"}}}
        if request.text("Voice") == "extra":
            session = {"type": "realtime", "voise": "marin"}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await socket.recv()
"""


@pytest.mark.parametrize(
    ("voice", "flaws"),
    [("", ["session.", "audio.input.format"]), ("extra", ["OpenAI knows no field session.voise"])],
)
def test_a_set_up_that_the_service_would_refuse_is_told_by_its_fields(
    check, services, tmp_path, voice, flaws
) -> None:
    folder = tmp_path / "drop_ins"
    folder.mkdir(mode=0o755)
    (folder / "provider_wrong.py").write_text(WRONG)
    (folder / "provider_wrong.py").chmod(0o644)
    config = agent("wrong", services.endpoint, f'Providersfolder = "{folder}"\nVoice = "{voice}"')
    found = of(check(config), "set-up")
    assert found[0].sentence == "voice_agent: the lamp is on"
    told = [finding.sentence for finding in found if finding.verdict is Verdict.BAD]
    for flaw in flaws:
        assert any(flaw in sentence for sentence in told), told


def test_the_shell_command_asks_and_prints(services, tmp_path: Path) -> None:
    config = tmp_path / "voiced.toml"
    config.write_text(
        f'[storage]\nstate_dir = "{tmp_path}/state"\n'
        '[audio]\nbackend = "virtual"\n[osc]\nport = 0\n'
        + agent("openai_realtime", services.endpoint)
    )
    keys = {name: "" for name in os.environ if name.endswith("_API_KEY")}
    environment = {**keys, "OPENAI_API_KEY": "wrong-key-0123456789"}
    done = voiced("check", "--online", "--json", "--config", str(config), env=environment)
    assert "wrong-key" not in done.stdout + done.stderr
    (told,) = [row for row in json.loads(done.stdout) if row["matter"] == "online"]
    assert told["verdict"] == "FAIL"
    assert told["fix"] == f"set it with voiced key set openai --config {config}"
    assert done.returncode == ExitCode.FAILED
