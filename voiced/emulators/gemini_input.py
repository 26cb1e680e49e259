"""What a client says to an emulated Gemini: sound, edges of activity, video, text, turns.

With automatic detection the ear finds the turns; without, they lie between activityStart and
activityEnd, and sound outside them is discarded. Source: wire reference 1.2 and 1.5.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final

from voiced.emulators import ear, gemini_memory, gemini_rules
from voiced.emulators import gemini_told as told
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.gemini_memory import IMAGE, Tokens
from voiced.emulators.gemini_rules import Finding
from voiced.emulators.gemini_told import ServerContent, ServerMessage
from voiced.emulators.gemini_wire import (
    ActivityHandling,
    Blob,
    ClientContent,
    RealtimeInput,
)

if TYPE_CHECKING:
    from voiced.emulators.gemini_session import GeminiSession

_RATE_IN: Final = 16000
_VIDEO_CAP_S: Final = 2 * 60.0
"""How long a conversation with video and without compression lasts."""
_FRAME_EVERY_S: Final = 0.95
"""Video: one frame a second, with what a timer may err."""


class Input:
    """The input of one connection; made once its set-up was taken.

    Args:
        session: the connection.
    """

    def __init__(self, session: GeminiSession) -> None:
        self._session = session
        self._turns = 0
        self._reading: asyncio.Task[str] | None = None
        self._activity_from: int | None = None
        self._last_video_s = float("-inf")
        history = session.setup.history_config
        self._seeding = bool(history and history.initial_history_in_client_content)
        config = session.setup.realtime_input_config
        detection = config.automatic_activity_detection if config else None
        self._automatic = not (detection and detection.disabled)
        self._interruptible = not (
            config and config.activity_handling is ActivityHandling.NO_INTERRUPTION
        )
        prefix = detection.prefix_padding_ms if detection else None
        silence = detection.silence_duration_ms if detection else None
        self._ear = Ear(
            _RATE_IN,
            speech=session.script.speech,
            prefix_ms=300 if prefix is None else prefix,
            silence_ms=silence or 500,
            detecting=self._automatic,
        )

    def take_content(self, content: ClientContent) -> None:
        """Take turns into the context; complete ones are answered, but for a seed."""
        checks = gemini_rules.check_content(content, self._session.model, history=self._seeding)
        if not self._session.note("client_content", checks):
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
            self._session.conversation.add(turn.role or "user", text, tokens)
        if not content.turn_complete:
            return
        if self._seeding:
            self._seeding = False
            return
        self._session.interrupt()
        self._session.begin(words or "nothing")

    def take_realtime(self, message: RealtimeInput) -> None:
        """Take what just happens."""
        if not self._session.note("realtime_input", gemini_rules.check_realtime(message)):
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
            self._session.link.violate(
                "realtime_input", "activity_start", "the activity is open already"
            )
        self._activity_from = self._ear.ms
        if self._session.idle and self._session.options.late_interrupted:
            self._session.tell(ServerMessage(server_content=ServerContent(interrupted=True)))
            self._session.tell(ServerMessage(server_content=ServerContent(turn_complete=True)))
        if self._interruptible:
            self._session.interrupt()

    def _end_activity(self) -> None:
        if not self._manual("activity_end"):
            return
        if self._activity_from is None:
            self._session.link.violate("realtime_input", "activity_end", "no activity is open")
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
        return self._session.note("realtime_input", [finding])

    def _take_audio(self, blob: Blob) -> None:
        sound = blob.data or b""
        if not self._automatic and self._activity_from is None:
            # Discarded by the service: no breach, but bandwidth for nothing.
            self._session.link.count("audio outside an activity")
            return
        self._session.link.record.audio_in_s += len(sound) / (2 * _RATE_IN)
        for noticed in self._ear.feed(sound):
            self._notice(noticed)

    def _notice(self, noticed: SpeechStarted | SpeechStopped) -> None:
        match noticed:
            case SpeechStarted(ms=ms):
                self._activity_from = ms
                self._tell_activity(told.ActivityType.ACTIVITY_START, ms)
                if self._interruptible:
                    self._session.interrupt()
            case SpeechStopped(ms=ms):
                self._tell_activity(told.ActivityType.ACTIVITY_END, ms)
                start, self._activity_from = self._activity_from, None
                self._end_turn(ms if start is None else start, ms)

    def _tell_activity(self, what: told.ActivityType, ms: int) -> None:
        if self._session.model.voice_activity:
            offset = told.duration(ms / 1000)
            activity = told.VoiceActivity(type=what, audio_offset=offset)
            self._session.tell(ServerMessage(voice_activity=activity))

    def _end_stream(self) -> None:
        if not self._automatic:
            path = "realtime_input.audio_stream_end"
            rule = "belongs to automatic detection alone"
            self._session.note("realtime_input", [Finding(path=path, rule=rule, code=1007)])
        elif self._ear.speaking:
            self._ear.reset()
            self._notice(SpeechStopped(ms=self._ear.ms))

    def _take_video(self) -> None:
        since_s = self._session.now_s - self._last_video_s
        if since_s < _FRAME_EVERY_S * min(1.0, self._session.emulator.speed):
            self._session.link.violate(
                "realtime_input", "video", f"{since_s:.2f} s after the last: 1 fps"
            )
        self._last_video_s = self._session.now_s
        self._session.link.record.pictures += 1
        self._session.conversation.add("user", "", Tokens(video=IMAGE))
        if not self._session.conversation.saw_video:
            self._session.conversation.saw_video = True
            if self._session.setup.context_window_compression is None:
                self._session.end_after(
                    _VIDEO_CAP_S - self._session.link.age_s * self._session.emulator.speed, 0.0
                )

    def _take_text(self, text: str) -> None:
        if not text:
            self._session.link.violate("realtime_input", "text", "is empty")
        self._session.conversation.add("user", text)
        if self._session.model.text_cuts_off:
            self._session.interrupt()
        self._session.begin(text or "nothing")

    def _end_turn(self, start_ms: int, end_ms: int) -> None:
        self._turns += 1
        sound = self._ear.cut(start_ms, end_ms)
        self._ear.drop(end_ms)
        # Read whatever becomes of its answer: transcription does not end with an interruption.
        listening = self._listen(self._turns, sound, self._reading)
        self._reading = self._session.link.spawn(listening, f"turn {self._turns}")
        self._session.begin(functools.partial(asyncio.shield, self._reading))
        for fault in self._session.due_at_turn(self._turns):
            self._session.tell(fault)

    async def _listen(self, turn: int, sound: bytes, before: asyncio.Task[str] | None) -> str:
        """Return what was said in a turn, and tell the client; "" = it was empty."""
        if before is not None:
            await asyncio.wait([before])
        session = self._session
        scripted = session.script.heard_at(turn)
        if scripted is None and ear.silent(sound):
            return ""
        text = (
            scripted.text
            if scripted
            else await ear.transcribe(session.emulator.hearing, sound, _RATE_IN)
        )
        tokens = len(sound) * gemini_memory.AUDIO_PER_S // (2 * _RATE_IN)
        session.conversation.add("user", text, Tokens(audio=tokens))
        session.link.record.heard.append(text)
        if session.options.interim and scripted:
            for revision in scripted.revisions:
                reading = told.Transcription(text=revision)
                content = ServerContent(interim_input_transcription=reading)
                session.tell(ServerMessage(server_content=content))
        wanted = session.model.always_transcribes
        wanted = wanted or session.setup.input_audio_transcription is not None
        if wanted and text and not (scripted and scripted.failed):
            if scripted and scripted.delay_s:
                session.link.spawn(self._transcribe(text, scripted.delay_s), "transcript")
            else:
                await self._transcribe(text, 0.0)
        return text or "something"

    async def _transcribe(self, text: str, delay_s: float) -> None:
        await self._session.emulator.pause(delay_s)
        wanted = self._session.setup.input_audio_transcription
        language = next(iter(wanted.language_codes or []), "") if wanted else ""
        half = text.find(" ", len(text) // 2)
        pieces = [text[:half], text[half:]] if half > 0 else [text]
        sent = [told.Transcription(text=piece, language_code=language) for piece in pieces[:-1]]
        last = told.Transcription(text=pieces[-1], finished=True, language_code=language)
        sent.append(last)
        if self._session.options.twice:
            sent.append(told.Transcription(text=text, finished=True, language_code=language))
        for piece in sent:
            content = ServerContent(input_transcription=piece)
            self._session.tell(ServerMessage(server_content=content))
