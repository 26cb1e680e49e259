"""A strict stand-in of Hume's Expression Measurement, audio in real time.

    session.created -> [session.update -> session.updated] -> binary audio -> utterance.start,
    measurement.result and utterance.end -> session.close -> session.closed

Not as the real one: what is measured is made from the place in the audio, not from the sound.
Source: wire reference, part 3, and the vendor's own description of the order of messages: the last
measurement of an utterance comes before its utterance.end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Final, Literal, Self

import msgspec
from websockets.datastructures import Headers

from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.hume_expression_options import Options
from voiced.emulators.hume_expression_wire import (
    RATE,
    Audio,
    AudioUpdate,
    ClientMessage,
    Error,
    MeasurementResult,
    Produced,
    Received,
    Score,
    SessionClose,
    SessionClosed,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    Told,
    UtteranceEnd,
    UtteranceStart,
)
from voiced.emulators.link import Link
from voiced.emulators.script import Fault
from voiced.emulators.server import Answer, Emulator, Session

PATH: Final = "/v1/expression/audio/realtime"
_LONGEST_FRAME: Final = 10 * RATE * 2
_LARGEST: Final = 1 << 20
_WINDOW_MS: Final = 10_000
"""The most recent part of an utterance that a measurement covers."""
_FRESH_MS: Final = 1000
"""After an interval measurement so near to the end of speech no further one is made."""
_PRICE_MINUTE: Final = 0.0639
"""USD a minute of audio: of the API before this one; its own is unknown."""
_EXPRESSIONS: Final = (
    "joy", "amusement", "aesthetic appreciation", "surprise (positive)", "anger", "chuckling",
    "calmness", "interest", "sarcasm", "awkwardness",
)  # fmt: skip
_VOICES: Final = ("fast", "husky", "bright", "soft", "background music")


class HumeExpression(Emulator):
    """Expression Measurement on a port of its own."""

    OPTIONS = Options

    async def __aenter__(self) -> Self:
        self._serial = itertools.count(1)
        return await super().__aenter__()

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address with 404, a missing or wrong key with 401."""
        if path != PATH:
            return Answer(status=404, body={"message": "Not Found"})
        key = headers.get("X-Hume-Api-Key")
        if not key or (self.keys and key not in self.keys):
            return Answer(status=401, body={"message": "Invalid API key", "request_id": "req_01"})
        return None

    def session(self, link: Link) -> ExpressionSession:
        """Return the measuring on a connection."""
        return ExpressionSession(self, link, f"ses_{next(self._serial):02d}")


class ExpressionSession(Session):
    """One connection."""

    def __init__(self, emulator: HumeExpression, link: Link, name: str) -> None:
        super().__init__(emulator, link)
        self.options = msgspec.convert(link.script.options, Options)
        self._name = name
        self._timer_ms = 3000
        self._frames = self._measurements = self._utterances = 0
        self._bytes = 0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._start_ms: int | None = None
        self._measured_ms = 0
        self._over = False
        self._out: asyncio.Queue[Told | int] = asyncio.Queue()
        """Messages, and at the end the close code."""
        self._ear = Ear(
            RATE, speech=self.script.speech, prefix_ms=0, silence_ms=self.options.silence_ms
        )

    @property
    def _now_s(self) -> float:
        return self.link.age_s * self.emulator.speed

    async def run(self) -> None:
        """Measure until the connection ends."""
        self.link.spawn(self._write(), "outbox")
        self._tell(SessionCreated(session_id=self._name))
        self.link.spawn(self._idle(), "idle")
        if self.script.longest_s is not None:
            self.link.spawn(self._cap(self.script.longest_s), "cap")
        self.arm()
        try:
            while True:
                frame = await self.link.receive()
                if not self._over:
                    self._take(frame)
        finally:
            seconds = self._bytes / (2 * RATE)
            self.emulator.bill.add(self.link.number, "audio_in", seconds, "s", _PRICE_MINUTE / 60)

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, now."""
        match fault.what:
            case "cap" | "goaway":
                self._end("server_shutdown", 1001)
            case "error":
                self._fail(fault.error or "internal_error", fault.reason or "It failed.")
            case _:
                await super().play(fault)

    def _tell(self, message: Told) -> None:
        self._out.put_nowait(message)

    async def _write(self) -> None:
        while True:
            match await self._out.get():
                case Told() as message:
                    await self.link.send(message, str(message.__struct_config__.tag))
                case int() as code:
                    await self.link.close(code)
                    return

    async def _idle(self) -> None:
        while (left_s := self._last_s + self.options.idle_s - self._now_s) > 0:
            await self.emulator.pause(left_s)
        self._end("idle_timeout", 1000)

    async def _cap(self, longest_s: float) -> None:
        await self.emulator.pause(longest_s)
        self._end("server_shutdown", 1001)

    def _end(
        self,
        reason: Literal["client_request", "server_shutdown", "idle_timeout", "error"],
        code: int,
    ) -> None:
        if self._over:
            return
        self._over = True
        self._tell(
            SessionClosed(
                session_id=self._name,
                reason=reason,
                received=Received(audio_duration_ms=self._bytes * 500 // RATE, frames=self._frames),
                produced=Produced(utterances=self._utterances, measurements=self._measurements),
            )
        )
        self._out.put_nowait(code)

    def _fail(self, code: str, sentence: str) -> None:
        """End the session by an error."""
        self._tell(Error(code=code, message=sentence, retryable=False))
        self._end("error", 1008)

    def _reject(self, event: str, code: str, sentence: str, path: str = "") -> None:
        """Refuse one message; the session goes on."""
        self.link.violate(event, path, sentence)
        self._tell(Error(code=code, message=sentence, retryable=True))

    def _take(self, frame: str | bytes) -> None:
        if len(frame if isinstance(frame, bytes) else frame.encode()) > _LARGEST:
            self.link.violate("", "", "a message has at most 1 MiB")
            self._fail("message_too_large", "The message exceeds 1048576 bytes.")
            return
        if isinstance(frame, bytes):
            self._take_audio(frame)
            return
        try:
            message: ClientMessage = msgspec.json.decode(frame, type=ClientMessage)
        except (msgspec.DecodeError, RecursionError) as error:
            self._reject("", "message_invalid", f"The message is not valid: {error}")
            return
        match message:
            case SessionUpdate():
                self._update(message)
            case SessionClose():
                self.link.count("session.close")
                if self._start_ms is not None:
                    self._end_utterance(self._ear.ms)
                self._end("client_request", 1000)

    def _update(self, update: SessionUpdate) -> None:
        self.link.count("session.update")
        given = update.audio or AudioUpdate()
        wrong = [
            name
            for name in given.__struct_fields__
            if getattr(given, name) not in (None, getattr(Audio(), name))
        ]
        if self._frames:
            sentence = "session.update must come before the first audio frame."
        elif wrong:
            sentence = f"audio.{wrong[0]} cannot be {getattr(given, wrong[0])}."
        elif not 3000 <= update.measurement_timer_ms <= 10000:
            sentence = "measurement_timer_ms must be between 3000 and 10000."
        else:
            self._timer_ms = update.measurement_timer_ms
            self._tell(SessionUpdated(measurement_timer_ms=self._timer_ms))
            return
        self.link.violate("session.update", "", sentence)
        self._fail("config_invalid", sentence)

    def _take_audio(self, pcm: bytes) -> None:
        self.link.count("audio")
        if not pcm or len(pcm) % 2 or len(pcm) > _LONGEST_FRAME:
            sentence = f"A frame of {len(pcm)} bytes is empty, odd or longer than 10 seconds."
            self._reject("audio", "invalid_audio_frame", sentence)
            return
        self._last_s = self._now_s
        self._first_s = self._now_s if self._first_s is None else self._first_s
        ahead_s = (self._bytes + len(pcm)) / (2 * RATE) - (self._now_s - self._first_s)
        if ahead_s > self.options.ahead_s:
            sentence = "Audio is arriving faster than real time."
            self._reject("audio", "rate_limited", sentence)
            return
        self._frames += 1
        self._bytes += len(pcm)
        self.link.record.audio_in_s = self._bytes / (2 * RATE)
        for noticed in self._ear.feed(pcm):
            self._notice(noticed)
        self._ear.drop(self._ear.ms)
        self._measure_on_time()

    def _notice(self, noticed: SpeechStarted | SpeechStopped) -> None:
        match noticed:
            case SpeechStarted(ms=ms):
                self._start_ms = self._measured_ms = ms
                self._tell(UtteranceStart(utterance_id=self._utterances, audio_start_ms=ms))
            case SpeechStopped(ms=ms):
                self._measure_on_time(ms)
                self._end_utterance(ms)
                for fault in self.due_at_turn(self._utterances):
                    self.link.spawn(self.play(fault), "fault")

    def _measure_on_time(self, until_ms: int | None = None) -> None:
        now_ms = self._ear.ms if until_ms is None else until_ms
        while self._start_ms is not None and now_ms - self._measured_ms >= self._timer_ms:
            self._measured_ms += self._timer_ms
            self._measure(self._measured_ms, "interval")

    def _end_utterance(self, end_ms: int) -> None:
        start_ms, none_yet = self._start_ms or 0, self._measured_ms == self._start_ms
        if none_yet or end_ms - self._measured_ms >= _FRESH_MS:
            self._measure(end_ms, "speech_ended")
        self._tell(
            UtteranceEnd(
                utterance_id=self._utterances, audio_start_ms=start_ms, audio_end_ms=end_ms
            )
        )
        self._start_ms = None
        self._utterances += 1

    def _measure(self, end_ms: int, trigger: Literal["interval", "speech_ended"]) -> None:
        number = self._measurements
        self._measurements += 1
        self._tell(
            MeasurementResult(
                measurement_id=number,
                utterance_id=self._utterances,
                audio_start_ms=max(self._start_ms or 0, end_ms - _WINDOW_MS),
                audio_end_ms=end_ms,
                trigger=trigger,
                expressions=_scores(_EXPRESSIONS, self.options.expressions, number, 0.31),
                voice_attributes=_scores(_VOICES, self.options.voice_attributes, number, 0.73),
            )
        )


def _scores(
    names: tuple[str, ...], given: list[tuple[str, float]] | None, number: int, least: float
) -> list[Score]:
    """Return what a measurement finds: sparse, in descending order, every fourth time nothing."""
    if given is None:
        count = number % 4
        given = [
            (names[(number * 3 + at) % len(names)], round(least + 0.2 - at * 0.05, 3))
            for at in range(count)
        ]
    ordered = sorted(given, key=lambda one: (-one[1], one[0]))
    return [Score(name=name, probability=probability) for name, probability in ordered]
