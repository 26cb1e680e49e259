"""A chat service behind Endpointurl: a small real HTTP server that streams what it is told to.

Unlike a real one it looks at nothing but the path and keeps the bodies for the test to look at.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.inference.local_voice import LocalVoice
from voiced.inference import endpoint
from voiced.messages import inference as messages


class ChatService(ThreadingHTTPServer):
    """Answers each request with the next of its scripts: a list of deltas, or a status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.scripts: list[list[dict] | int] = []
        self.bodies: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Request(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, ChatService)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        script = self.server.scripts.pop(0) if self.path == "/v1/chat/completions" else 404
        if isinstance(script, int):
            self.send_error(script)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for delta in script:
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            }
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def voice() -> Iterator[LocalVoice]:
    pytest.importorskip("openai", reason="the client of chat services is not installed")
    local = LocalVoice()
    yield local
    local.close()


@pytest.fixture
def service() -> Iterator[ChatService]:
    server = ChatService()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(voice: LocalVoice, url: str, text: str, **more: str) -> None:
    voice.events.clear()
    settings = messages.Settings(endpointurl=url, **more)
    voice.send(
        messages.Open(conversation="chat", settings=settings),
        messages.Text(conversation="chat", text=text),
    )


def said(voice: LocalVoice) -> str:
    voice.wait(lambda e: isinstance(e, messages.ResponseDone))
    return "".join(e.delta for e in voice.of(messages.AssistantTranscript))


def test_the_service_answers(voice: LocalVoice, service: ChatService) -> None:
    service.scripts = [[{"role": "assistant", "content": "It is **blue**, "}, {"content": "sir."}]]
    ask(voice, service.url, "What colour is it?", model="m7", systemprompt="Be brief.")
    assert said(voice) == "It is blue, sir."
    (body,) = service.bodies
    assert body["model"] == "m7"
    assert body["stream"] is True
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What colour is it?"},
    ]


@pytest.mark.parametrize("script", [500, 404, []])
def test_a_service_that_fails_is_told_and_the_persona_answers(
    voice: LocalVoice, service: ChatService, script: int | list[dict]
) -> None:
    service.scripts = [script]
    ask(voice, service.url, "hello")
    assert "elcome" in said(voice)
    codes = [event.code for event in voice.of(messages.Trouble)]
    assert codes == (["reply_engine"] if script else [])


def test_nobody_at_the_address_is_told_and_the_persona_answers(voice: LocalVoice) -> None:
    ask(voice, "http://127.0.0.1:9/v1", "hello")
    assert "elcome" in said(voice)
    (trouble,) = voice.of(messages.Trouble)
    assert "is it running" in trouble.sentence
    assert not trouble.fatal


@pytest.mark.parametrize("url", [
    "no address", "http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/v1", "http://[::1",
])  # fmt: skip
def test_an_address_that_is_none_is_told(voice: LocalVoice, url: str) -> None:
    ask(voice, url, "hello")
    assert "elcome" in said(voice)
    assert [event.code for event in voice.of(messages.Trouble)] == ["reply_engine"]


def test_the_client_is_imported_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def absent(name: str) -> None:
        threads.append(threading.current_thread())
        raise ImportError(name)

    monkeypatch.setattr(endpoint, "import_module", absent)

    async def scene() -> None:
        words = endpoint.answer(messages.Settings(endpointurl="http://127.0.0.1:9/"), [], [], ...)
        with pytest.raises(endpoint.EndpointFailed, match="pip install openai"):
            await anext(words)

    asyncio.run(scene())
    assert threads[0] is not threading.main_thread()


def test_the_model_calls_a_tool(voice: LocalVoice, service: ChatService) -> None:
    call = {"index": 0, "id": "x1", "function": {"name": "set_lights", "arguments": '{"color"'}}
    rest = {"index": 0, "function": {"arguments": ': "red"}'}}
    service.scripts = [
        [{"tool_calls": [call]}, {"tool_calls": [rest]}],
        [{"content": "The light is red now."}],
    ]
    voice.events.clear()
    tool = messages.Declaration(name="set_lights", description="Turn the lights to a colour")
    voice.send(
        messages.Open(conversation="chat", settings=messages.Settings(endpointurl=service.url)),
        messages.Tools(conversation="chat", declarations=(tool,)),
        messages.Text(conversation="chat", text="Make it red."),
    )
    wanted = voice.wait(lambda e: isinstance(e, messages.ToolCall))
    assert (wanted.name, json.loads(wanted.arguments)) == ("set_lights", {"color": "red"})
    voice.send(
        messages.ToolResult(
            conversation="chat", call_id=wanted.call_id, ok=True, result='{"done": true}'
        )
    )
    assert said(voice) == "The light is red now."
    assert service.bodies[0]["tools"][0]["function"]["name"] == "set_lights"
    assert service.bodies[1]["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "x1",
        "content": '{"done": true}',
    }
