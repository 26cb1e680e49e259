"""Tools that are one request, and servers at an address, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from tests.tools.test_server import kept, run
from voiced.messages.tools import LONGEST_RESULT, McpServer, Offered, Request, ServerTrouble
from voiced.tools import server
from voiced.tools.web import fetch

Page = Callable[["Pages"], None]


class Pages(BaseHTTPRequestHandler):
    """A web server's answers, good and bad."""

    release = threading.Event()

    def log_message(self, *_: object) -> None:
        pass

    def give(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/show":
                told = {"path": self.path, "token": self.headers.get("Authorization", "")}
                self.give(200, "application/json", json.dumps(told).encode())
            case "/empty":
                self.give(204, "text/plain", b"")
            case "/gone":
                self.give(404, "text/plain", b"no such hall")
            case "/away":
                self.give(302, "text/plain", b"", Location="http://127.0.0.1:1/")
            case "/picture":
                self.give(200, "image/png", b"\x89PNG")
            case "/huge":
                with contextlib.suppress(ConnectionError):  # it is hung up on half way
                    self.give(200, "text/plain", b"z" * (10 << 20))
            case "/latin":
                self.give(200, "text/plain; charset=iso-8859-1", "für".encode("latin-1"))
            case "/hang":
                self.release.wait(30)
            case "/garbage":
                self.wfile.write(b"\x00\x01 not http\r\n\r\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {"type": self.headers["Content-Type"], "body": json.loads(body)}
        self.give(200, "application/json", json.dumps(told).encode())


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    pages.daemon_threads = True
    thread = threading.Thread(target=pages.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{pages.server_port}"
    Pages.release.set()
    pages.shutdown()
    thread.join()
    pages.server_close()


def ask(url: str, *, method: str = "GET", read_s: float = 30.0, **more: Any) -> tuple[bool, str]:
    async def asked() -> tuple[bool, str]:
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(read_s), trust_env=False) as client:
            request = Request(agent="a", call_id="1", method=method, url=url, **more)
            return await fetch(client, request)

    return asyncio.run(asked())


def test_an_answer_is_the_result_and_a_key_is_not_repeated(site: str) -> None:
    key = "planted-4711"
    headers = {"Authorization": f"Bearer {key}"}
    ok, told = ask(f"{site}/show?hall=large", headers=headers, secrets=[key])
    assert ok
    assert json.loads(told) == {"path": "/show?hall=large", "token": "Bearer …"}


def test_arguments_are_a_body(site: str) -> None:
    ok, told = ask(f"{site}/", method="POST", body='{"hall": "small"}')
    assert ok
    assert json.loads(told) == {"type": "application/json", "body": {"hall": "small"}}


@pytest.mark.parametrize(
    ("page", "ok", "result"),
    [
        ("empty", True, "done"),
        ("latin", True, "für"),
        ("gone", False, "HTTP 404: no such hall"),
        ("away", False, "it answers with a redirect (HTTP 302): give its target"),
        ("picture", True,
         "(an answer of type image/png was left out: only words can be given)"),
    ],
)  # fmt: skip
def test_what_a_page_says(site: str, page: str, ok: bool, result: str) -> None:
    assert ask(f"{site}/{page}") == (ok, result)


def test_a_long_answer_is_cut(site: str) -> None:
    ok, result = ask(f"{site}/huge")
    assert ok
    assert len(result) == LONGEST_RESULT
    assert result.endswith("(cut: the result was longer)")


def test_who_does_not_answer_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert ask(f"http://127.0.0.1:{port}/", read_s=0.2) == (False, "it does not answer")
    assert ask(f"http://127.0.0.1:{port}/") == (False, "it cannot be reached")


def test_what_is_no_http_is_told_of(site: str) -> None:
    ok, result = ask(f"{site}/garbage")
    assert not ok
    assert result.startswith("the request failed: ")


# --- MCP servers at an address


def museum() -> MCPServer:
    """A server as its own library makes one."""
    made = MCPServer("museum")

    @made.tool()
    def opening(day: str, hall: int | None = None) -> str:
        """Say when the museum opens."""
        return f"{day}: at nine"

    @made.tool()
    async def headers(context: Context) -> str:
        """Say what came with the request."""
        request: Any = context.request_context.request
        return str(request.headers.get("authorization"))

    @made.tool()
    def huge() -> str:
        """Say too much."""
        return "z" * (20 << 20)

    return made


@contextmanager
def serving(made: MCPServer, port: int = 0) -> Iterator[int]:
    """Serve on loopback, in a thread."""
    listener = socket.create_server(("127.0.0.1", port))
    port = listener.getsockname()[1]
    app = made.streamable_http_app()
    config = uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([listener])))
    thread.start()
    try:
        yield port
    finally:
        running.should_exit = True
        thread.join(20)
        listener.close()


def at(port: int, **more: Any) -> McpServer:
    url = f"http://127.0.0.1:{port}/mcp"
    return McpServer(agent="a", name="s", url=url, **{"allow": ["*"], **more})


def test_a_server_at_an_address() -> None:
    key = "planted-4712"
    headers = {"Authorization": f"Bearer {key}"}

    async def scene(port: int) -> None:
        async with kept(at(port, headers=headers, secrets=[key])) as one:
            tools = {tool.name: tool for tool in (await one.wait(Offered)).tools}
            assert tools["opening"].description == "Say when the museum opens."
            schema = json.loads(tools["opening"].schema)
            assert schema["required"] == ["day"]
            assert schema["properties"]["hall"] == {"type": "integer"}
            assert await one.call("1", "opening", day="Monday") == (True, "Monday: at nine")
            assert await one.call("2", "headers") == (True, "Bearer …")
            ok, result = await one.call("3", "opening")
            assert not ok
            ok, result = await one.call("4", "huge")
            assert (ok, result) == (
                False, "the MCP server s ended during the call; go on without it",
            )  # fmt: skip
            told = await one.wait(ServerTrouble)
            assert "the answer is longer than 16 MB; it is tried again" in told.sentence

    with serving(museum()) as port:
        run(lambda: scene(port))


def test_a_server_that_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BACKOFF_S", (0.05,))

    async def scene(port: int) -> None:
        async with kept(at(port)) as one:
            told = await one.wait(ServerTrouble)
            assert told.sentence.startswith("the MCP server s: ")
            with serving(museum(), port):
                await one.wait(Offered, lambda each: bool(each.tools))
                assert await one.call("1", "opening", day="Monday") == (True, "Monday: at nine")
            ok, result = await one.call("2", "opening", day="Monday")
            assert not ok
            assert len(one.all(ServerTrouble)) == 1

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run(lambda: scene(port))
