"""A strict stand-in of Gemini Live.

One connection: setup, setupComplete, then input of any kind until somebody closes. What comes in is
checked by `protojson` (names and types), `gemini_rules` (what a model takes) and here (what has its
place in the order). A breach that the service closes for closes here too, with its code and words.

Not as the real one: texts are counted at four letters a token, replies are the script's, and a
breach of the order of activities is written down without ending the connection.

Source: wire reference, part 1, and close_codes.json.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, assert_never

import msgspec
from websockets.datastructures import Headers

from voiced.emulators import ear, gemini_memory, gemini_rules, protojson
from voiced.emulators import gemini_told as told
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.gemini_exchange import Exchange, OpenCall
from voiced.emulators.gemini_memory import IMAGE, Conversation, Handles, Tokens
from voiced.emulators.gemini_models import CONTEXT, MODELS, Model
from voiced.emulators.gemini_options import Options
from voiced.emulators.gemini_rules import INVALID, Finding
from voiced.emulators.gemini_told import ServerContent, ServerMessage
from voiced.emulators.gemini_wire import (
    ActivityHandling,
    Behavior,
    Blob,
    ClientContent,
    ClientMessage,
    ContextUpdate,
    FunctionDeclaration,
    FunctionResponse,
    RealtimeInput,
    Scheduling,
    SessionResumption,
    Setup,
    ToolResponse,
)
from voiced.emulators.link import Link
from voiced.emulators.script import Fault, Reply
from voiced.emulators.server import Answer, Emulator, Session

_PATH: Final = re.compile(
    r"/ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService\."
    r"BidiGenerateContent(Constrained)?"
)
_RATE_IN: Final = 16000
DEADLINE: Final = "Deadline expired before operation could complete."
UNAVAILABLE: Final = "The service is currently unavailable."
_LIFE_S: Final = 600.0
"""How long a connection lasts."""
_COMPRESSED_LIFE_S: Final = 58 * 60.0
"""How long one with compression lasts on the 3.8 models, which send no goAway."""
_AUDIO_CAP_S: Final = 15 * 60.0
_VIDEO_CAP_S: Final = 2 * 60.0
"""How long a conversation without compression lasts."""
_FRAME_EVERY_S: Final = 0.95
"""Video: one frame a second, with what a timer may err."""


class Gemini(Emulator):
    """Gemini Live on a port of its own."""

    handles: Handles
    conversations: list[Conversation]

    async def __aenter__(self) -> Gemini:
        self.handles, self.conversations = Handles(), []
        await super().__aenter__()
        return self

    @property
    def now_s(self) -> float:
        """The emulator's own time, seconds."""
        return asyncio.get_running_loop().time() * self.speed

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address with 404, no key with 403, a wrong one with 400."""
        found = _PATH.fullmatch(path)
        if found is None:
            return _status(404, "NOT_FOUND", "Requested entity was not found.")
        if found.group(2):
            token = headers.get("Authorization", "").removeprefix("Token ")
            if found.group(1) == "v1alpha" and token.startswith("auth_tokens/"):
                return None
            return _status(401, "UNAUTHENTICATED", "Request had invalid authentication token.")
        return self._key_refused(query, headers)

    def session(self, link: Link) -> GeminiSession:
        """Return the conversation on a connection."""
        return GeminiSession(self, link)

    def page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Return the list of models, as a key's owner may ask for it."""
        if path not in ("/v1/models", "/v1beta/models", "/v1alpha/models"):
            return None
        return self._key_refused(query, headers) or Answer(
            status=200,
            body={
                "models": [
                    {
                        "name": f"models/{name}",
                        "inputTokenLimit": CONTEXT,
                        "outputTokenLimit": model.max_out,
                        "supportedGenerationMethods": ["bidiGenerateContent"],
                    }
                    for name, model in MODELS.items()
                ]
            },
        )

    def _key_refused(self, query: Mapping[str, str], headers: Headers) -> Answer | None:
        key = headers.get("x-goog-api-key") or query.get("key", "")
        if not key:
            reason = "Method doesn't allow unregistered callers."
            return _status(403, "PERMISSION_DENIED", reason)
        if self.keys and key not in self.keys:
            reason = "API key not valid. Please pass a valid API key."
            return _status(400, "INVALID_ARGUMENT", reason)
        return None


def _status(code: int, name: str, message: str) -> Answer:
    return Answer(status=code, body={"error": {"code": code, "message": message, "status": name}})


class _Close(msgspec.Struct, frozen=True, kw_only=True):
    """The goodbye, in its place behind what is still to be sent."""

    code: int
    reason: str


class GeminiSession(Session):
    """One connection."""

    emulator: Gemini
    setup: Setup
    model: Model
    conversation: Conversation

    def __init__(self, emulator: Gemini, link: Link) -> None:
        super().__init__(emulator, link)
        self.options = msgspec.convert(link.script.options, Options)
        self.calls: dict[str, OpenCall] = {}
        self.cancelled: set[str] = set()
        self.loses_done = False
        self._version = link.path.split(".")[3]
        self._out: asyncio.Queue[ServerMessage | Fault | _Close] = asyncio.Queue()
        self._is_set_up = self._over = False
        self._exchange: Exchange | None = None
        self._waiting: list[str | Callable[[], Awaitable[str]]] = []
        self._turns = self._replies = 0
        self._call_ids = itertools.count(1001)
        self._seeding = False
        self._activity_from: int | None = None
        self._last_video_s = float("-inf")

    # What exchanges use.

    @property
    def now_s(self) -> float:
        """The emulator's own time, seconds."""
        return self.emulator.now_s

    @property
    def transcribes_output(self) -> bool:
        """Whether the client wants the reply's words."""
        return self.setup.output_audio_transcription is not None

    def tell(self, message: ServerMessage | Fault | _Close) -> None:
        """Send this after all that was told before."""
        if not self._over:
            self._out.put_nowait(message)

    def tell_handle(self) -> None:
        """Send what to resume with, or that there is nothing now, if the client wants handles."""
        if self.setup.session_resumption is None:
            return
        mid_turn = self._exchange is not None and not self.model.resumable_mid_turn
        if self.calls or mid_turn:
            update = told.SessionResumptionUpdate()
        else:
            handle = self.emulator.handles.give(self.conversation)
            update = told.SessionResumptionUpdate(new_handle=handle, resumable=True)
        self.tell(ServerMessage(session_resumption_update=update))

    def next_reply(self) -> tuple[int, Reply]:
        """Return number and script of the next reply."""
        self._replies += 1
        return self._replies, self.script.reply_at(self._replies)

    def next_call(self) -> str:
        """Return the id of the next function call."""
        return f"function-call-{next(self._call_ids)}"

    def declared(self, name: str) -> FunctionDeclaration | None:
        """Return how the client declared a function; None = not at all."""
        tools = self.setup.tools or []
        functions = (f for tool in tools for f in tool.function_declarations or [])
        return next((f for f in functions if f.name == name), None)

    def behavior(self, name: str) -> Behavior:
        """Return whether the model waits for a function."""
        function = self.declared(name)
        told_ = function.behavior if function else None
        if told_ is None or told_ is Behavior.UNSPECIFIED:
            return self.model.default_behavior
        return told_

    def searches_for(self, words: str) -> bool:
        """Whether these words make the model search the web."""
        if not any(tool.google_search is not None for tool in self.setup.tools or []):
            return False
        return (
            self.options.searches or re.search(r"\b(search|look up)\b", words.lower()) is not None
        )

    def own_answer(self, prompt: str) -> str:
        """Return what is said where the script says nothing: it shows what is remembered."""
        earlier = [row.text for row in self.conversation.rows[:-1] if row.role == "user"]
        if "remember" in prompt.lower() and earlier:
            return f"Yes, I remember. You said: {earlier[0]}"
        return self.emulator.script.answer.format(heard=prompt)

    def swallows(self) -> bool:
        """Whether this input is lost to calls of a connection before that nobody answered."""
        stale = self.conversation.lost and self.conversation.model.startswith("gemini-3.8")
        self.conversation.lost = frozenset()
        if stale:
            self._exchange = None
        return bool(stale)

    def book(self, used: told.UsageMetadata, searches: int) -> None:
        """Put a turn on the bill."""
        gemini_memory.book(
            self.emulator.bill, self.link.number, self.conversation.model, used, searches
        )

    def finished(self, exchange: Exchange) -> None:
        """Go on after an exchange: a handle, the context's size, what waited for its end."""
        if self._exchange is exchange:
            self._exchange = None
        self._fit_context()
        self.tell_handle()
        if self._waiting and self._exchange is None:
            self._begin(self._waiting.pop(0))

    # The connection.

    async def run(self) -> None:
        """Hold the conversation until the connection ends."""
        self.link.spawn(self._write(), "outbox")
        try:
            while True:
                frame = await self.link.receive()
                if not self._over:
                    self._take_frame(frame)
        finally:
            self._let_go()

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, now."""
        match fault.what:
            case "goaway":
                left_s = fault.seconds or self.options.notice_s
                self._go_away(left_s)
            case "cap":
                self._close(1011, DEADLINE)
            case "error":
                self._close(fault.code, fault.reason or fault.error)
            case "lost_done":
                self.loses_done = True
            case "drop_handles":
                self.emulator.handles.drop()
            case "close" | "reset" | "half_open":
                self._let_go()
                await super().play(fault)
            case _:
                await super().play(fault)

    async def _write(self) -> None:
        while True:
            match await self._out.get():
                case ServerMessage() as message:
                    kind = told.kind(message)
                    self.link.record.sent[kind] = self.link.record.sent.get(kind, 0) + 1
                    await self.link.send_raw(protojson.write(message), binary=True)
                case Fault() as fault:
                    await self.play(fault)
                case _Close(code=code, reason=reason):
                    await self.link.close(code, reason)
                    return

    def _take_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.link.violate("", "", "a client sends text frames, not binary ones")
        try:
            message = protojson.read(frame, ClientMessage)
        except protojson.Malformed as error:
            event = error.path.split(".")[0]
            self._note(
                event, [Finding(path=error.path, rule=str(error), code=1007, reason=str(error))]
            )
            return
        given = [name for name in message.__struct_fields__ if getattr(message, name) is not None]
        if len(given) != 1:
            rule = f"a frame holds exactly one message, not {len(given)}"
            self._note("+".join(given), [Finding(path="", rule=rule, code=1007)])
            return
        (event,) = given
        if (event == "setup") is self._is_set_up:
            reason = "setup must be the first message and only the first"
            self._note(event, [Finding(path=event, rule=reason, code=1007, reason=reason)])
            return
        self._take(event, getattr(message, event))

    def _take(
        self,
        event: str,
        body: Setup | ClientContent | RealtimeInput | ToolResponse | ContextUpdate,
    ) -> None:
        self.link.count(event)
        if not isinstance(body, Setup) and gemini_rules.refuses_content(self.setup, self.model):
            rule = "nothing can be said after enableAffectiveDialog"
            self._note(event, [Finding(path=event, rule=rule, code=1007)])
            return
        match body:
            case Setup():
                self._take_setup(body)
            case ClientContent():
                self._take_content(body)
            case RealtimeInput():
                self._take_realtime(body)
            case ToolResponse():
                self._take_responses(body)
            case ContextUpdate():
                self._take_update(body)
            case _:
                assert_never(body)

    def _note(self, event: str, findings: Iterable[Finding]) -> bool:
        """Write down what is wrong, close for the first of it that is not put up with.

        Returns:
            Whether the message may be used.
        """
        refusal: Finding | None = None
        for finding in findings:
            self.link.violate(event, finding.path, finding.rule)
            refusal = refusal or (finding if finding.code else None)
        if refusal is not None:
            self._close(refusal.code, refusal.reason)
        return refusal is None

    def _close(self, code: int, reason: str) -> None:
        self.tell(_Close(code=code, reason=reason))
        self._let_go()

    def _let_go(self) -> None:
        """Let the conversation be resumed by another connection."""
        if self._over:
            return
        self._over = True
        if self._is_set_up:
            known = self.conversation
            known.open, known.ended_s = False, self.now_s
            known.lost = frozenset(self.calls)
            known.connected_s += self.link.age_s * self.emulator.speed

    # The set-up.

    def _take_setup(self, setup: Setup) -> None:
        if not self._note("setup", gemini_rules.check_setup(setup, self._version)):
            return
        name = (setup.model or "").removeprefix("models/")
        self.setup, self.model = setup, MODELS[name]
        wanted = setup.session_resumption
        if not self._note("setup", self._not_resumable(wanted, name)):
            return
        if wanted is not None and wanted.handle:
            self.conversation = self.emulator.handles.resume(wanted.handle)
        else:
            self.conversation = Conversation(len(self.emulator.conversations) + 1, name)
            self.emulator.conversations.append(self.conversation)
        self.conversation.open = self._is_set_up = True
        history = setup.history_config
        self._seeding = bool(history and history.initial_history_in_client_content)
        self._ear = self._listening(setup)
        self.link.spawn(self._ready(), "ready")

    def _not_resumable(self, wanted: SessionResumption | None, name: str) -> Iterable[Finding]:
        path = "setup.session_resumption"
        if wanted is None:
            return
        if not wanted.handle:
            if not self.model.first_resumption:
                reason = gemini_rules.UNSUPPORTED
                rule = "this model takes no resumption at the first connection"
                yield Finding(path=path, rule=rule, code=1008, reason=reason)
            return
        known = self.emulator.handles.find(wanted.handle, self.now_s)
        if known is None:
            yield Finding(path=f"{path}.handle", rule="unknown or too old", code=1007)
        elif known.model != name:
            rule = f"continues a conversation with {known.model}"
            yield Finding(path=f"{path}.handle", rule=rule, code=1007)
        elif known.open:
            rule = "the connection before is still open: close it first"
            yield Finding(path=f"{path}.handle", rule=rule, code=1011, reason=UNAVAILABLE)

    def _listening(self, setup: Setup) -> Ear:
        config = setup.realtime_input_config
        detection = config.automatic_activity_detection if config else None
        self._automatic = not (detection and detection.disabled)
        self._interruptible = not (
            config and config.activity_handling is ActivityHandling.NO_INTERRUPTION
        )
        prefix = detection.prefix_padding_ms if detection else None
        silence = detection.silence_duration_ms if detection else None
        return Ear(
            _RATE_IN,
            speech=self.script.speech,
            prefix_ms=300 if prefix is None else prefix,
            silence_ms=silence or 500,
            detecting=self._automatic,
        )

    async def _ready(self) -> None:
        await self.emulator.pause(self.options.setup_delay_s)
        self.tell(ServerMessage(setup_complete=told.SetupComplete()))
        self.tell_handle()
        self.arm()
        compression = self.setup.context_window_compression
        compressed = compression is not None and compression.sliding_window is not None
        if self.script.longest_s is not None:
            self._end_after(self.script.longest_s, self.options.notice_s)
        elif compressed and self.conversation.model.startswith("gemini-3.8"):
            self._end_after(_COMPRESSED_LIFE_S, 0.0)
        else:
            self._end_after(_LIFE_S, self.options.notice_s)
        if not compressed:
            self._end_after(_AUDIO_CAP_S - self.conversation.connected_s, 0.0)

    def _end_after(self, life_s: float, notice_s: float) -> None:
        self.link.spawn(self._expire(max(0.0, life_s), min(notice_s, life_s / 2)), "deadline")

    async def _expire(self, life_s: float, notice_s: float) -> None:
        await self.emulator.pause(life_s - notice_s)
        if notice_s:
            self._go_away(notice_s)
        else:
            self._close(1011, DEADLINE)

    def _go_away(self, left_s: float) -> None:
        self.tell(ServerMessage(go_away=told.GoAway(time_left=told.duration(left_s))))
        self.link.spawn(self._expire(left_s, 0.0), "goaway")

    def _fit_context(self) -> None:
        window = self.setup.context_window_compression
        if window is not None and window.sliding_window is not None:
            trigger = window.trigger_tokens or CONTEXT * 8 // 10
            target = window.sliding_window.target_tokens or trigger // 2
            self.conversation.compress(trigger, target)
        elif self.conversation.tokens.all > CONTEXT:
            self._close(1007, INVALID)

    # What the client says.

    def _take_content(self, content: ClientContent) -> None:
        checks = gemini_rules.check_content(content, self.model, history=self._seeding)
        if not self._note("client_content", checks):
            return
        words = ""
        for turn in content.turns or []:
            text = " ".join(part.text for part in turn.parts or [] if part.text is not None)
            words = text if turn.role != "model" else words
            blobs = [part.inline_data for part in turn.parts or [] if part.inline_data]
            images = sum(not (blob.mime_type or "").startswith("audio/") for blob in blobs)
            audio = sum(len(b.data or b"") for b in blobs) if len(blobs) > images else 0
            tokens = Tokens(
                text=gemini_memory.tokens_of(text),
                image=images * IMAGE,
                audio=audio * gemini_memory.AUDIO_PER_S // (2 * _RATE_IN),
            )
            self.conversation.add(turn.role or "user", text, tokens)
        if not content.turn_complete:
            return
        if self._seeding:
            self._seeding = False
            return
        self._interrupt()
        self._begin(words or "nothing")

    def _take_realtime(self, message: RealtimeInput) -> None:
        if not self._note("realtime_input", gemini_rules.check_realtime(message)):
            return
        if message.activity_start is not None:
            self._start_activity()
        elif message.activity_end is not None:
            self._end_activity()
        elif message.audio is not None:
            self._take_audio(message.audio)
        elif message.video is not None:
            self._take_video()
        elif message.text is not None:
            self._take_text(message.text)
        elif message.audio_stream_end:
            self._end_stream()
        for blob in message.media_chunks or []:
            self._take_audio(blob)

    def _start_activity(self) -> None:
        if not self._manual("activity_start"):
            return
        if self._activity_from is not None:
            self.link.violate("realtime_input", "activity_start", "the activity is open already")
        self._activity_from = self._ear.ms
        if self._exchange is None and self.options.late_interrupted:
            self.tell(ServerMessage(server_content=ServerContent(interrupted=True)))
            self.tell(ServerMessage(server_content=ServerContent(turn_complete=True)))
        if self._interruptible:
            self._interrupt()

    def _end_activity(self) -> None:
        if not self._manual("activity_end"):
            return
        if self._activity_from is None:
            self.link.violate("realtime_input", "activity_end", "no activity is open")
            return
        start, self._activity_from = self._activity_from, None
        self._end_turn(start, self._ear.ms)

    def _manual(self, field: str) -> bool:
        if not self._automatic:
            return True
        reason = (
            "Explicit activity control is not supported when automatic activity detection is "
            "enabled."
        )
        path = f"realtime_input.{field}"
        finding = Finding(path=path, rule="detection is automatic", code=1007, reason=reason)
        return self._note("realtime_input", [finding])

    def _take_audio(self, blob: Blob) -> None:
        sound = blob.data or b""
        if not self._automatic and self._activity_from is None:
            # Discarded by the service: no breach, but bandwidth for nothing.
            self.link.count("audio outside an activity")
            return
        self.link.record.audio_in_s += len(sound) / (2 * _RATE_IN)
        for noticed in self._ear.feed(sound):
            self._notice(noticed)

    def _notice(self, noticed: SpeechStarted | SpeechStopped) -> None:
        match noticed:
            case SpeechStarted(ms=ms):
                self._activity_from = ms
                self._tell_activity(told.ActivityType.ACTIVITY_START, ms)
                if self._interruptible:
                    self._interrupt()
            case SpeechStopped(ms=ms):
                self._tell_activity(told.ActivityType.ACTIVITY_END, ms)
                start, self._activity_from = self._activity_from, None
                self._end_turn(ms if start is None else start, ms)

    def _tell_activity(self, what: told.ActivityType, ms: int) -> None:
        if self.model.voice_activity:
            offset = told.duration(ms / 1000)
            activity = told.VoiceActivity(type=what, audio_offset=offset)
            self.tell(ServerMessage(voice_activity=activity))

    def _end_stream(self) -> None:
        if not self._automatic:
            path = "realtime_input.audio_stream_end"
            rule = "belongs to automatic detection alone"
            self._note("realtime_input", [Finding(path=path, rule=rule, code=1007)])
        elif self._ear.speaking:
            self._ear.reset()
            self._notice(SpeechStopped(ms=self._ear.ms))

    def _take_video(self) -> None:
        # A frame late by the network makes the next one early: what counts is the pace.
        since_s = self.now_s - self._last_video_s
        if since_s < _FRAME_EVERY_S * min(1.0, self.emulator.speed):
            self.link.violate("realtime_input", "video", f"{since_s:.2f} s after the last: 1 fps")
        self._last_video_s = self.now_s
        self.conversation.add("user", "", Tokens(video=IMAGE))
        if not self.conversation.saw_video:
            self.conversation.saw_video = True
            if self.setup.context_window_compression is None:
                self._end_after(_VIDEO_CAP_S - self.link.age_s * self.emulator.speed, 0.0)

    def _take_text(self, text: str) -> None:
        if not text:
            self.link.violate("realtime_input", "text", "is empty")
        self.conversation.add("user", text)
        if self.model.text_cuts_off:
            self._interrupt()
        self._begin(text or "nothing")

    def _end_turn(self, start_ms: int, end_ms: int) -> None:
        self._turns += 1
        sound = self._ear.cut(start_ms, end_ms)
        self._ear.drop(end_ms)
        self._begin(functools.partial(self._listen, self._turns, sound))
        for fault in self.due_at_turn(self._turns):
            self.tell(fault)

    async def _listen(self, turn: int, sound: bytes) -> str:
        """Return what was said in a turn, and tell the client; "" = it was empty."""
        scripted = self.script.heard_at(turn)
        if scripted is None and ear.silent(sound):
            return ""
        text = (
            scripted.text
            if scripted
            else await ear.transcribe(self.emulator.hearing, sound, _RATE_IN)
        )
        tokens = len(sound) * gemini_memory.AUDIO_PER_S // (2 * _RATE_IN)
        self.conversation.add("user", text, Tokens(audio=tokens))
        self.link.record.heard.append(text)
        if self.options.interim and scripted:
            for revision in scripted.revisions:
                reading = told.Transcription(text=revision)
                content = ServerContent(interim_input_transcription=reading)
                self.tell(ServerMessage(server_content=content))
        wanted = self.model.always_transcribes or self.setup.input_audio_transcription is not None
        if wanted and text and not (scripted and scripted.failed):
            late = scripted.delay_s if scripted else 0.0
            self.link.spawn(self._transcribe(text, late), "transcript")
            if not late:
                await asyncio.sleep(0)  # its own words come before the reply
        return text or "something"

    async def _transcribe(self, text: str, delay_s: float) -> None:
        if delay_s:
            await self.emulator.pause(delay_s)
        half = text.find(" ", len(text) // 2)
        pieces = [text[:half], text[half:]] if half > 0 else [text]
        sent = [told.Transcription(text=piece) for piece in pieces[:-1]]
        sent.append(told.Transcription(text=pieces[-1], finished=True))
        if self.options.twice:
            sent.append(told.Transcription(text=text, finished=True))
        for piece in sent:
            content = ServerContent(input_transcription=piece)
            self.tell(ServerMessage(server_content=content))

    def _begin(self, words: str | Callable[[], Awaitable[str]]) -> None:
        if self._exchange is not None:
            self._waiting.append(words)
            return
        self._exchange = Exchange(self, words)
        if not self.model.resumable_mid_turn:
            self.tell_handle()

    def _interrupt(self) -> None:
        self._waiting.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.interrupt()
            self.tell_handle()

    # Tools and the set-up's changes.

    def _take_responses(self, message: ToolResponse) -> None:
        if not message.function_responses:
            rule = "holds no response"
            self._note("tool_response", [Finding(path="tool_response", rule=rule, code=1007)])
        for at, response in enumerate(message.function_responses or []):
            self._take_response(response, f"tool_response.function_responses[{at}]")

    def _take_response(self, response: FunctionResponse, here: str) -> None:
        if response.id in self.conversation.lost:
            self.conversation.lost -= {response.id or ""}
            if "error" not in (response.response or {}):
                self.link.violate("tool_response", here, "a lost call is answered by an error")
            return
        if response.id in self.cancelled:
            self.link.violate("tool_response", f"{here}.id", "was cancelled: is not answered")
            return
        if self.options.unnumbered:
            named = (id_ for id_, call in self.calls.items() if call.name == response.name)
            if response.id:
                rule = "the call had no id: neither has its response"
                self.link.violate("tool_response", f"{here}.id", rule)
            response = msgspec.structs.replace(response, id=next(named, None))
        call = self.calls.get(response.id or "")
        name = call.name if call else None
        checks = gemini_rules.check_response(response, name, self.model, here)
        if not self._note("tool_response", checks) or call is None:
            return
        if not response.will_continue:
            del self.calls[response.id or ""]
        self._use(call, response)

    def _use(self, call: OpenCall, response: FunctionResponse) -> None:
        """Let the model use what a function returned."""
        given = response.response or {}
        shown = given.get("output", given.get("error", given))
        said = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
        words = f"{call.name} says {said}" if response.name else "a system error occurred"
        self.conversation.add("user", words)
        if not self.calls:
            self.tell_handle()
        if call.behavior is Behavior.BLOCKING:
            call.exchange.take_result(words)
            return
        match response.scheduling:
            case Scheduling.SILENT:
                return
            case Scheduling.INTERRUPT:
                self._interrupt()
        if not response.will_continue:
            self._begin(words)

    def _take_update(self, update: ContextUpdate) -> None:
        if not self.model.context_update:
            reason = (
                'Invalid JSON payload received. Unknown name "contextUpdate": Cannot find field.'
            )
            finding = Finding(path="context_update", rule=reason, code=1007, reason=reason)
            self._note("context_update", [finding])
            return
        tools = update.tools.tools or [] if update.tools is not None else None
        here = "context_update"
        checks = itertools.chain(
            gemini_rules.check_instruction(update.system_instruction, f"{here}.system_instruction"),
            gemini_rules.check_tools(tools or [], self.model, f"{here}.tools.tools"),
        )
        if not self._note(here, checks):
            return
        self.setup = msgspec.structs.replace(
            self.setup,
            system_instruction=update.system_instruction or self.setup.system_instruction,
            tools=self.setup.tools if tools is None else tools,
        )
