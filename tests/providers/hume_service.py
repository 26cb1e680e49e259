"""An EVI of the tests' own: strict about what it is told, and says what a test wants.

It is kinder than the real one in that it says nothing by itself but the first frame, and takes any
key but "bad".
"""

from __future__ import annotations

import asyncio
import base64
import http
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from tests.providers import hume_oracle
from voiced.providers.contract import HeardItem

GROUP = "369846cf-6ad5-404d-905e-a8acb5cdfc78"
DEADLINE_S = 10


class Recorder:
    """LegCallbacks that write down what they are told."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.cut: list[HeardItem] = []
        self.news = asyncio.Condition()

    def __getattr__(self, name: str):
        if name not in {
            "alive", "speech_started", "speech_ended", "user_text", "user_turn_dropped",
            "response_started", "assistant_text", "audio", "audio_done", "response_done",
            "tool_call", "tool_cancelled", "usage", "handle", "goaway", "expired", "signals",
            "affect", "trouble", "closed",
        }:  # fmt: skip
            raise AttributeError(name)

        def note(*args, **kwargs):
            self.note((name, *args, kwargs) if kwargs else (name, *args))

        return note

    async def interrupted(self) -> list[HeardItem]:
        self.note(("interrupted",))
        await asyncio.sleep(0)
        return self.cut

    def note(self, call: tuple) -> None:
        self.calls.append(call)
        asyncio.get_running_loop().create_task(self._tell())  # noqa: RUF006

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    def named(self, *names: str) -> list[tuple]:
        return [call for call in self.calls if call[0] in names]

    @property
    def story(self) -> list[tuple]:
        """Everything but signs of life."""
        return [call for call in self.calls if call[0] != "alive"]

    async def until(self, name: str, count: int = 1) -> tuple:
        """Wait until something was told so often; return the last of it."""
        async with asyncio.timeout(DEADLINE_S), self.news:
            await self.news.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)[count - 1]

    @property
    def pcm(self) -> np.ndarray:
        """All audio told, as samples."""
        return np.frombuffer(b"".join(call[3] for call in self.named("audio")), "<i2")


class Chat:
    """One connection, seen from the service."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        assert socket.request is not None
        self.path = socket.request.path
        self.headers = socket.request.headers
        self.query = dict(parse_qsl(urlsplit(self.path).query, strict_parsing=True))
        self.told: asyncio.Queue[dict] = asyncio.Queue()
        self.wrong: list[str] = []

    def check_address(self) -> None:
        """Refuse what the real one would: the key in the address, settings that are none."""
        assert not {"api_key", "access_token"} & set(self.query)
        nested: dict = {}
        for key, value in self.query.items():
            if key.startswith("session_settings["):
                names = key.removeprefix("session_settings[").removesuffix("]").split("][")
                place = nested
                for name in names[:-1]:
                    place = place.setdefault(name, {})
                place[names[-1]] = value
            else:
                assert key in {
                    "config_id", "config_version", "resumed_chat_group_id", "event_limit",
                    "verbose_transcription", "allow_connection",
                }, key  # fmt: skip
        assert {"encoding", "sample_rate", "channels"} <= set(nested["audio"])
        hume_oracle.settings(nested)

    async def say(self, *events: dict | str | bytes) -> None:
        """Send events as they are."""
        for event in events:
            await self.socket.send(json.dumps(event) if isinstance(event, dict) else event)

    async def hear(self, kind: str | None = None) -> dict:
        """Return the next event of a kind; others before it are passed over."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                event = await self.told.get()
                if kind in (None, event["type"]):
                    return event

    async def listen(self) -> None:
        async for frame in self.socket:
            try:
                assert isinstance(frame, str), "a binary frame"
                event = hume_oracle.check(frame, hume_oracle.PUBLISH)
                if event["type"] == "audio_input":
                    assert len(base64.b64decode(str(event["data"]), validate=True)) % 2 == 0
            except Exception as error:  # a test looks at it
                self.wrong.append(f"{type(error).__name__}: {error}")
            else:
                self.told.put_nowait(event)


class Service:
    """A running service."""

    def __init__(self) -> None:
        self.chats: asyncio.Queue[Chat] = asyncio.Queue()
        self.all: list[Chat] = []
        self.greeting: list[dict | str] = [metadata()]
        self.resumable = True
        self.endpoint = ""
        self.status = 0

    async def next(self) -> Chat:
        """Return the next connection."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.chats.get()

    async def _serve(self, socket: ServerConnection) -> None:
        chat = Chat(socket)
        self.all.append(chat)
        try:
            chat.check_address()
        except Exception as error:  # a test looks at it
            chat.wrong.append(f"{type(error).__name__}: {error}")
        if "resumed_chat_group_id" in chat.query and not self.resumable:
            await chat.say(error_event("E0712", "chat_group_not_found"))
            await socket.close(1000)
            return
        await chat.say(*self.greeting)
        self.chats.put_nowait(chat)
        await chat.listen()

    def answer(self, connection: ServerConnection, request):
        """Refuse a bad key, or what a test wants refused."""
        if self.status or request.headers.get("X-Hume-Api-Key", "bad") == "bad":
            return connection.respond(http.HTTPStatus(self.status or 401), "no\n")
        return None


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    """Run a service; at the end nothing that it was told may have been wrong."""
    service = Service()
    async with serve(
        service._serve, "127.0.0.1", 0, process_request=service.answer, close_timeout=1
    ) as server:
        service.endpoint = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield service
    assert [chat.wrong for chat in service.all if chat.wrong] == []


def metadata(group: str = GROUP) -> dict:
    return {"type": "chat_metadata", "chat_group_id": group, "chat_id": "c1", "request_id": "r"}


def error_event(code: str, slug: str = "", message: str = "no") -> dict:
    return {"type": "error", "code": code, "slug": slug, "message": message}


def user(
    text: str, *, interim: bool = False, begin: int = 0, end: int = 0, scores: dict | None = None,
    typed: bool = False,
) -> dict:  # fmt: skip
    return {
        "type": "user_message",
        "message": {"role": "user", "content": text},
        "interim": interim,
        "from_text": typed,
        "time": {"begin": begin, "end": end},
        "models": {"prosody": {"scores": scores} if scores else None},
    }


def assistant(item: str, text: str | None) -> dict:
    return {
        "type": "assistant_message",
        "id": item,
        "message": {"role": "assistant", "content": text},
        "models": {},
        "from_text": False,
        "is_quick_response": False,
    }


def riff(samples: np.ndarray, rate: int = 48000, extra: bytes = b"") -> bytes:
    """A WAV file, with other chunks before the sound where `extra` has some."""
    body = samples.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    rest = b"WAVE" + form + extra + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI", b"RIFF", len(rest)) + rest


def sound(item: str, samples: np.ndarray, index: int = 0, rate: int = 48000) -> dict:
    data = base64.b64encode(riff(samples, rate)).decode()
    return {"type": "audio_output", "id": item, "index": index, "data": data}


END = {"type": "assistant_end"}
INTERRUPTION = {"type": "user_interruption", "time": 1790000000000}
