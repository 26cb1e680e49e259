"""A recorded conversation, replayed: the service's side to us, and our side held to the client's.

The client of the recording is the vendor's own. Everything must be the same, field for field, but:
typed text is a clientContent, which can carry a picture; set_light is described by JSON schema; a
blocking call's response has no scheduling; no contextUpdate is sent; the conversation so far ends
with turnComplete, and a connection whose handle is taken announces none.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from tests.providers.gemini_oracle import camel
from tests.providers.gemini_rig import KEY, PATIENCE_S, Callbacks, request
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import provider_gemini_live as gemini

PATH = Path(__file__).parent.parent / "wire/gemini_conversation.jsonl"
ROWS = [json.loads(line) for line in PATH.read_text().splitlines()]
TOOLS = [
    ToolDeclaration(
        name="get_time",
        description="Local time",
        schema='{"type": "object", "properties": {"city": {"type": "string"}}, '
        '"required": ["city"]}',
    ),
    ToolDeclaration(
        name="set_light",
        description="Set light",
        schema='{"type": "object", "properties": {"color": {"type": "string"}}}',
        blocking=False,
    ),
]
HISTORY = [HistoryRow(role="user", text="hi"), HistoryRow(role="assistant", text="hello")]
PAGE: dict[str, Any] = {
    "Voice": "Kore",
    "Languagecode": "en-US",
    "Systemprompt": "You are Orb, the voice of the installation.",
    "Enablegrounding": 1,
    "temperature": 0.8,
    "max_output_tokens": 4096,
    "media_resolution": "LOW",
    "custom_vocabulary": "TouchDesigner",
    "compression_trigger_tokens": 100_000,
    "compression_kept_tokens": 50_000,
    "tool_scheduling": "WHEN_IDLE",
}


def normal(message: Any) -> Any:
    """Return a client's message in camelCase, with its bytes decoded."""
    message = camel(message)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: _bytes(v) if k == "data" else walk(v) for k, v in value.items()}
        return [walk(each) for each in value] if isinstance(value, list) else value

    return walk(message)


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_"))


def expected(message: Any) -> Any:
    """Return what of the recording we send in its place; None = nothing."""
    message = normal(message)
    if "contextUpdate" in message:
        return None
    if "text" in message.get("realtimeInput", {}):
        text = message["realtimeInput"]["text"]
        turn = {"role": "user", "parts": [{"text": text}]}
        return {"clientContent": {"turns": [turn], "turnComplete": True}}
    for response in message.get("toolResponse", {}).get("functionResponses", []):
        del response["scheduling"]
    if "setup" in message:
        light = message["setup"]["tools"][1]["functionDeclarations"][1]
        del light["parameters"]
        light["parametersJsonSchema"] = json.loads(TOOLS[1].schema)
        if message["setup"]["sessionResumption"]:
            del message["setup"]["historyConfig"]
    return message


class Replay:
    """The service of the recording: says its part, and writes down ours beside the client's."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self._rows = iter(ROWS)

    async def serve(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        self.paths.append(ws.request.path)
        self.keys.append(ws.request.headers["x-goog-api-key"])
        for row in self._rows:
            match row["dir"]:
                case "c2s" if (wanted := expected(row["msg"])) is not None:
                    frame = await ws.recv()
                    assert isinstance(frame, str), "a client sends text frames"
                    self.pairs.append((normal(json.loads(frame)), wanted))
                case "s2c":
                    await ws.send(json.dumps(row["msg"]).encode(), text=row["frame"] == "text")
                case "close":
                    if row["code"] == 1000:
                        await ws.wait_closed()
                    else:
                        await ws.close(row["code"], row["reason"])
                    return


async def first_connection(url: str, told: Callbacks) -> str:
    """Do what the recorded client did; return what is left for the next connection."""
    conn = await gemini.start_session(
        request(url, push_to_talk=True, tools=TOOLS, history=HISTORY, parameters=PAGE), told
    )
    sound = [
        _bytes(row["msg"]["realtime_input"]["audio"]["data"])
        for row in ROWS
        if "audio" in row.get("msg", {}).get("realtime_input", {})
    ]
    await gemini.send_activity(conn, True)
    await gemini.send_audio_frame(conn, sound[0])
    await gemini.send_audio_frame(conn, sound[1])
    await gemini.send_activity(conn, False)
    _, call_id, name, _ = await told.until("tool_call")
    await gemini.send_tool_response(conn, call_id, name, True, '"21:10"')
    await told.until("response_done")
    await gemini.send_text(conn, "Tell me a story")
    await told.until("tool_call", 2)
    await gemini.send_activity(conn, True)
    await told.until("response_done", 2)
    await gemini.send_audio_frame(conn, sound[2])
    await gemini.send_activity(conn, False)
    await gemini.send_video_frame(conn, b"\xff\xd8\xff\xe0jpegbytes")
    await told.until("goaway")
    await gemini.prime_history(conn, HISTORY, False)
    state = gemini.get_persistable_state(conn)
    await gemini.end_session(conn)
    return state


def test_the_recorded_conversation():
    video = next(r["msg"] for r in ROWS if "video" in r.get("msg", {}).get("realtime_input", {}))
    assert _bytes(video["realtime_input"]["video"]["data"]) == b"\xff\xd8\xff\xe0jpegbytes"

    async def test() -> None:
        there, first, second = Replay(), Callbacks(), Callbacks()
        async with (
            asyncio.timeout(3 * PATIENCE_S),
            serve(there.serve, "127.0.0.1", 0, compression=None) as server,
        ):
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            state = await first_connection(url, first)
            assert json.loads(state)["handle"] == "CihFakeHandle-0003"
            conn = await gemini.start_session(
                request(
                    url, push_to_talk=True, tools=TOOLS, history=HISTORY, handle=state,
                    parameters=PAGE,
                ),
                second,
            )  # fmt: skip
            assert conn.resumed
            await gemini.send_text(conn, "Do you remember?")
            _, error = await second.until("closed")
            await gemini.end_session(conn)

        for ours, theirs in there.pairs:
            if "clientContent" in ours and len(ours["clientContent"]["turns"]) == 2:
                theirs["clientContent"]["turnComplete"] = True
            assert ours == theirs
        kinds = [next(iter(ours)) for ours, _ in there.pairs]
        assert len(kinds) == sum(row["dir"] == "c2s" for row in ROWS) - 1
        assert there.keys == [KEY, KEY]
        assert all("v1beta" in path and KEY not in path for path in there.paths)

        assert first.rows() == [
            ("user", "What time is it in Oslo?"),
            ("assistant", "It is ten past nine in Oslo."),
            ("assistant", "Once upon a time"),
            ("assistant", "The forecast is good."),
        ]
        assert [what[1:] for what in first.of("response_done")] == [
            ("r1", "completed"),
            ("r2", "cancelled"),
            ("r3", "completed"),
        ]
        assert first.of("tool_cancelled") == [("tool_cancelled", "function-call-1002")]
        assert first.of("interrupted") == [("interrupted",)]
        assert second.rows() == [("assistant", "Yes, I remember.")]
        assert error.code == "1011"

    asyncio.run(test())
