"""What a conversation with xAI needs in a test: a strict judge, and a workbench."""

from __future__ import annotations

from typing import Any

import msgspec

from voiced.emulators import xai_wire
from voiced.emulators.openai_wire import merged
from voiced.messages.network import HistoryRow, ToolDeclaration, Value
from voiced.providers import provider_xai_grok as provider
from voiced.providers.contract import SessionRequest
from voiced.providers.realtime_dialect.client import ClientEvent, encode
from voiced.providers.realtime_dialect.conversation import Conversation

from .openai_hand import Bench as OpenAIBench
from .openai_hand import Recorder, kinds

EVENTS = {
    "session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
    "input_audio_buffer.clear", "conversation.item.create", "conversation.item.delete",
    "conversation.item.truncate", "response.create", "response.cancel",
}  # fmt: skip
"""What xAI takes; OpenAI's two others it refuses."""
SESSION = {
    "instructions", "voice", "turn_detection", "reasoning", "resumption", "replace", "audio",
    "tools",
}  # fmt: skip
RATE = 24000


class Bench(OpenAIBench):
    """A `Shell` on a workbench whose clock stands still unless it is moved."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.clock = 100.0

    def now(self) -> float:
        return self.clock

    def due(self, seconds: float) -> None:
        """Let the timers of this length be due."""
        timers, self.timers = self.timers, []
        for after, call in timers:
            if after == seconds:
                call()
            else:
                self.timers.append((after, call))


class Scene:
    """An open conversation on a workbench."""

    def __init__(self, asked: SessionRequest | None = None, **parameters: Any) -> None:
        self.recorder = Recorder()
        self.live = provider.Live(asked or request(parameters), self.recorder)
        self.talk = self.live.conversation
        self.bench = Bench(self.talk)
        self.says("session.created", session={"id": "sess_1"})
        self.says("conversation.created", conversation={"id": "conv_1"})
        self.says("session.updated", session={"id": "sess_1"})

    def says(self, kind: str, **fields: Any) -> None:
        """Let the service say something."""
        self.talk.take(msgspec.json.encode({"type": kind, **fields}))

    def begins(self, response: str, metadata: object = None) -> None:
        """Let a reply begin."""
        self.says("response.created", response={"id": response, "metadata": metadata})

    def speaks(self, response: str, item: str, ms: int = 100) -> None:
        """Let a reply sound."""
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        pcm = msgspec.json.decode(msgspec.json.encode(bytes(2 * RATE * ms // 1000)))
        self.says("response.output_audio_transcript.delta", **ids, delta="Words. ", start_time=0.0)
        self.says("response.output_audio.delta", **ids, delta=pcm, audio_duration_ms=ms)

    def done(
        self, response: str, status: str = "completed", within: object = None, **more: Any
    ) -> None:
        """Let a reply be over, as the service tells it; `within` = usage in OpenAI's place."""
        reply = {
            "id": response, "status": status, "status_details": "unimplemented", "output": [],
            "usage": within or {},
        }  # fmt: skip
        self.says("response.done", response=reply, response_id=response, **more)

    def objects(
        self, kind: str, message: str, code: str | None = "", asked: str | None = None
    ) -> None:
        """Let the service object."""
        error = {"type": kind, "code": code, "message": message, "param": None, "event_id": asked}
        self.says("error", error=error)

    def sent(self) -> list[str]:
        """Return the types of what was sent since the last look, each held to the judge."""
        events = self.bench.sent()
        for event in events:
            check_sent(event)
        return kinds(events)


def request(
    parameters: dict[str, Value] | None = None,
    *,
    tools: tuple[ToolDeclaration, ...] = (),
    push_to_talk: bool = False,
    endpoint: str = "",
    key: str = "xai-test-0000",
    handle: str = "",
    history: tuple[HistoryRow, ...] = (),
) -> SessionRequest:
    """Return a request as the network process makes it."""
    return SessionRequest(
        agent="voice_agent",
        leg=1,
        parameters={**(parameters or {}), "endpoint": endpoint},
        tools=tools,
        handle=handle,
        history=history,
        push_to_talk=push_to_talk,
        api_key=key,
    )


def check_sent(event: ClientEvent | dict[str, Any]) -> dict[str, Any]:
    """Hold a client event to the stand-in's types and to the list of what xAI takes."""
    raw = event if isinstance(event, dict) else msgspec.json.decode(encode(event))
    msgspec.convert(raw, xai_wire.ClientEvent)
    assert raw["type"] in EVENTS
    assert len(raw.get("event_id", "")) <= 32
    if raw["type"] == "session.update":
        check_session(raw["session"])
    return raw


def check_session(session: dict[str, Any]) -> None:
    """Hold a session object to what the service takes and does not ignore."""
    assert set(session) <= SESSION
    assert not set(session) & set(xai_wire.IGNORED)
    config = msgspec.convert(session, xai_wire.Config)
    tools = config.tools if isinstance(config.tools, list) else []
    for tool in tools:
        if isinstance(tool, xai_wire.FunctionTool):
            assert tool.called
            assert tool.called not in xai_wire.RESERVED
        for what in ("domains", "x_handles"):
            either = [
                getattr(tool, f"{way}_{what}", msgspec.UNSET) for way in ("allowed", "excluded")
            ]
            assert msgspec.UNSET in either


def merge(before: dict[str, Any], update: dict[str, Any]) -> Any:
    """Return what the stand-in makes of an update."""
    return merged(
        msgspec.convert(before, xai_wire.Config), msgspec.convert(update, xai_wire.Config)
    )
