"""A drop-in provider for the benchmark: the OpenAI-Realtime-shaped wire of `bench/service.py`.

It is a whole drop-in on one page: point `Providersfolder` at the folder it lies in.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import msgspec
import websockets

from voiced.errors import ProviderUnavailable
from voiced.messages.network import HistoryRow, Price, ProviderParameter
from voiced.providers.contract import Availability, HeardItem, LegCallbacks, SessionRequest

PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "ws"
SAMPLE_RATE_IN = 24000
SAMPLE_RATE_OUT = 24000
FRAME_MS = 10
MAX_SESSION_S = None
RESUMPTION = "replay"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER = None
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 4.0


def get_parameters() -> list[ProviderParameter]:
    return [ProviderParameter(name="Model", tag="s", default="tone", options=["tone"])]


def pricing(model_id: str) -> Price | None:
    return Price(text="free (benchmark)")


def voices() -> list[str]:
    return ["tone"]


def is_available() -> Availability:
    return Availability(True)


class Event(msgspec.Struct):
    """Any event of the service."""

    type: str
    delta: str = ""
    first: bool = False
    last: bool = False


class Conn:
    """One websocket and the task that reads it."""

    resumed = False
    session_id = "bench"

    def __init__(self, ws: websockets.ClientConnection, callbacks: LegCallbacks) -> None:
        self.ws = ws
        self.callbacks = callbacks
        self.replies = 0
        self.ending = False
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        tell, decoder = self.callbacks, msgspec.json.Decoder(Event)
        try:
            async for text in self.ws:
                event = decoder.decode(text)
                reply = f"r{self.replies}"
                match event.type:
                    case "response.output_audio.delta":
                        if event.first:
                            self.replies += 1
                            reply = f"r{self.replies}"
                            tell.response_started(reply)
                        tell.audio(reply, reply + "i", base64.b64decode(event.delta))
                        if event.last:
                            tell.response_done(reply)
                    case "input_audio_buffer.speech_started":
                        tell.speech_started()
                        heard = await tell.interrupted()
                        await self.truncate(heard)
                        tell.response_done(reply, "cancelled")
        except websockets.ConnectionClosed:
            pass
        if not self.ending:
            tell.closed(ProviderUnavailable("the benchmark's service closed the socket", "closed"))

    async def truncate(self, heard: Sequence[HeardItem]) -> None:
        ms = sum(item.ms for item in heard)
        event = {"type": "conversation.item.truncate", "audio_end_ms": ms}
        await self.ws.send(msgspec.json.encode(event), text=True)


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Conn:
    try:
        ws = await websockets.connect(request.text("Endpointurl"), compression=None)
    except OSError as error:
        raise ProviderUnavailable("the benchmark's service is not there", "connect") from error
    return Conn(ws, callbacks)


async def send_audio_frame(conn: Conn, chunk: bytes) -> None:
    audio = base64.b64encode(chunk).decode()
    event = {"type": "input_audio_buffer.append", "audio": audio}
    await conn.ws.send(msgspec.json.encode(event), text=True)


async def send_text(conn: Conn, text: str) -> None:
    await conn.ws.send(msgspec.json.encode({"type": "text", "text": text}), text=True)


async def send_tool_response(conn: Conn, call_id: str, name: str, ok: bool, result: str) -> None:
    raise ProviderUnavailable("the benchmark's service calls no tools", "tools")


async def prime_history(conn: Conn, rows: Sequence[HistoryRow], respond: bool) -> None:
    await conn.ws.send(msgspec.json.encode({"type": "prime", "rows": len(rows)}), text=True)


async def interrupt(conn: Conn, heard: Sequence[HeardItem]) -> None:
    await conn.truncate(heard)


async def end_session(conn: Conn) -> None:
    conn.ending = True
    await conn.ws.close()
    await conn.task
