"""The socket under a conversation: opening, losing, the order of what leaves, and hanging up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.realtime_dialect import connection

from .openai_hand import Recorder, request

Serve = Callable[[ServerConnection], Awaitable[None]]
OPEN = {"type": "session.updated", "session": {"id": "sess_1"}}


async def say(socket: ServerConnection, **event: Any) -> None:
    await socket.send(json.dumps(event))


@asynccontextmanager
async def serving(behaviour: Serve):
    """Serve one kind of client handling; a client that is still there at the end is hung up on."""
    async with serve(behaviour, "127.0.0.1", 0, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def friendly(socket: ServerConnection) -> None:
    await socket.recv()
    await say(socket, **OPEN)
    await socket.wait_closed()


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 30))


def error(code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    told = {"type": kind, "code": code, "message": "No.", "param": None, "event_id": "su_0"}
    return {"type": "error", "error": told}


@pytest.mark.parametrize(
    ("code", "kind", "refusal"),
    [
        ("invalid_api_key", "invalid_request_error", ProviderRefused),
        ("invalid_value", "invalid_request_error", ProviderRefused),
        ("server_error", "server_error", ProviderUnavailable),
        ("rate_limit_exceeded", "invalid_request_error", ProviderUnavailable),
        ("session_expired", "invalid_request_error", ProviderUnavailable),
    ],
)
def test_an_error_in_place_of_a_session(code: str, kind: str, refusal: type[Exception]) -> None:
    async def objects(socket: ServerConnection) -> None:
        await socket.recv()
        await say(socket, **error(code, kind))
        await socket.wait_closed()

    async def scene() -> None:
        recorder = Recorder()
        async with serving(objects) as url:
            with pytest.raises(refusal) as told:
                await provider.start_session(request(endpoint=url), recorder)
            assert told.value.code == code
            assert recorder.named("closed", "goaway") == []

    run(scene)


@pytest.mark.parametrize(
    ("code", "reason", "refusal"),
    [
        (1008, "", ProviderUnavailable),
        (3000, "invalid_request_error.invalid_api_key", ProviderRefused),
    ],
)
def test_a_close_in_place_of_a_session(code: int, reason: str, refusal: type[Exception]) -> None:
    async def closes(socket: ServerConnection) -> None:
        await socket.close(code, reason)

    async def scene() -> None:
        recorder = Recorder()
        async with serving(closes) as url:
            with pytest.raises(refusal):
                await provider.start_session(request(endpoint=url), recorder)
            assert recorder.named("closed") == []

    run(scene)


def test_giving_up_while_it_opens_leaves_no_socket() -> None:
    async def scene() -> None:
        there, gone = asyncio.Event(), asyncio.Event()

        async def silent(socket: ServerConnection) -> None:
            await socket.recv()
            there.set()
            await socket.wait_closed()
            gone.set()

        async with serving(silent) as url:
            start = asyncio.create_task(provider.start_session(request(endpoint=url), Recorder()))
            await there.wait()
            start.cancel()
            with pytest.raises(asyncio.CancelledError):
                await start
            await gone.wait()

    run(scene)


def test_everything_leaves_in_the_order_in_which_it_was_said() -> None:
    async def scene() -> None:
        taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def listens(socket: ServerConnection) -> None:
            await socket.recv()
            await say(socket, **OPEN)
            async for frame in socket:
                assert isinstance(frame, str)
                taken.put_nowait(json.loads(frame))

        async with serving(listens) as url:
            conn = await provider.start_session(
                request(endpoint=url, push_to_talk=True), Recorder()
            )
            await provider.send_activity(conn, True)
            for _ in range(10):
                await provider.send_audio_frame(conn, bytes(960))
            conn.conversation.note("It rains.")
            await provider.send_audio_frame(conn, bytes(960))
            await provider.send_activity(conn, False)
            kinds = [(await taken.get())["type"] for _ in range(15)]
            assert kinds == [
                "input_audio_buffer.clear",
                *["input_audio_buffer.append"] * 10,
                "conversation.item.create",
                "input_audio_buffer.append",
                "input_audio_buffer.commit",
                "response.create",
            ]
            await provider.end_session(conn)

    run(scene)


def test_history_that_nobody_acknowledges_is_told_and_the_talk_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(connection, "PRIMED_WITHIN_S", 0.05)

    async def scene() -> None:
        recorder = Recorder()
        async with serving(friendly) as url:
            conn = await provider.start_session(request(endpoint=url), recorder)
            await provider.prime_history(conn, [HistoryRow(role="user", text="Hello?")], True)
            assert recorder.troubles == ["history"]
            assert conn.conversation.responses.busy
            await provider.end_session(conn)

    run(scene)


def test_history_without_words_needs_no_acknowledgement() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with serving(friendly) as url:
            conn = await provider.start_session(request(endpoint=url), recorder)
            await provider.prime_history(conn, [HistoryRow(role="user", text=" ")], False)
            assert recorder.troubles == []
            assert not conn.conversation.responses.busy
            await provider.end_session(conn)

    run(scene)


def test_a_mistake_of_ours_ends_the_connection_and_not_silently() -> None:
    class Broken(Recorder):
        def response_started(self, response: str, *, waiting: int = 0) -> None:
            raise RuntimeError("a visitor's words")

    async def speaks(socket: ServerConnection) -> None:
        await socket.recv()
        await say(socket, **OPEN)
        await say(socket, type="response.created", response={"id": "r1"})
        await socket.wait_closed()

    async def scene() -> None:
        recorder = Broken()
        async with serving(speaks) as url:
            conn = await provider.start_session(request(endpoint=url), recorder)
            told = (await recorder.told("closed"))[1]
            assert told.code == "provider_failed"
            assert "words" not in str(told)
            await provider.end_session(conn)

    run(scene)


def test_hanging_up_tells_nothing_and_may_be_done_twice() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with serving(friendly) as url:
            conn = await provider.start_session(request(endpoint=url), recorder)
            await provider.send_text(conn, "Hello?")
            await provider.end_session(conn)
            await provider.end_session(conn)
            await provider.send_audio_frame(conn, bytes(960))
            assert recorder.named("closed") == []

    run(scene)


def test_the_key_travels_in_a_header_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        headers: dict[str, str] = {}

        async def notes(socket: ServerConnection) -> None:
            assert socket.request is not None
            headers.update({**dict(socket.request.headers.raw_items()), "": socket.request.path})
            await friendly(socket)

        page = {"organization": "org-1", "project": "proj-1", "safety_identifier": "house-7"}
        asked = request(page, key="sk-very-secret")
        async with serving(notes) as url:
            conn = await provider.start_session(
                request({**page, "Model": "a/b c"}, key="sk-very-secret", endpoint=url), Recorder()
            )
            await provider.end_session(conn)
        assert headers["Authorization"] == "Bearer sk-very-secret"
        assert headers["OpenAI-Organization"] == "org-1"
        assert headers["OpenAI-Project"] == "proj-1"
        assert headers["OpenAI-Safety-Identifier"] == "house-7"
        assert headers[""] == "/v1/realtime?model=a%2Fb+c"
        assert "very-secret" not in repr(asked) + repr(vars(conn)) + repr(vars(conn.link))

    caplog.set_level("DEBUG")
    run(scene)
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert ours
    assert not any("very-secret" in record.getMessage() for record in ours)
