"""What a provider tells, turned into the messages of `voiced.messages.network`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.lane.seam import Clock
from voiced.messages.network import (
    Affect,
    AssistantText,
    Expired,
    Handle,
    LegClosed,
    LegEvent,
    LegGoaway,
    LegRefused,
    LegTrouble,
    ProviderSignal,
    ResponseDone,
    ResponseStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCall,
    ToolCancelled,
    Usage,
    UserText,
    UserTurnDropped,
)
from voiced.network.resample import Samples
from voiced.network.speaker import Cut, Loudspeaker
from voiced.network.speech import Dropped, Ended, Found, Speech, Started
from voiced.network.upload import SampleMap
from voiced.providers.contract import HeardItem

LONGEST = 1024 * 1024
"""Bytes of one message; a text that long is a mistake of its provider."""

logger = logging.getLogger(__name__)
_BROKEN = "provider_failed"
_encoder = msgspec.msgpack.Encoder()
_checker = msgspec.msgpack.Decoder(LegEvent)


class Told:
    """The callbacks of one leg (`contract.LegCallbacks`).

    Args:
        agent: the agent's name.
        leg: the leg's number.
        tell: where messages go.
        loudspeaker: where audio goes.
        clock: the daemon's.
        samples: from provider samples to near frames.
        sent: how many samples the provider was given so far.
        rate_out: SAMPLE_RATE_OUT.
        margin_ms: HEARD_MARGIN_MS.
        push_to_talk: the gate's edges, not the service, say where turns are.
        tells_speech: the service says where a visitor speaks; else it is listened for here.
        end: called with the reason when the service ends the connection.

    Attributes:
        received_at_ns: when the service last said anything.
        seconds_received: audio it has sent.
        turn_end_frame: end of the user's turn that the next reply answers; -1 = none, or typed.
        texts: typed turns that the service was given.
    """

    def __init__(
        self,
        *,
        agent: str,
        leg: int,
        tell: Callable[[LegEvent], None],
        loudspeaker: Loudspeaker,
        clock: Clock,
        samples: SampleMap,
        sent: Callable[[], int],
        rate_out: int,
        margin_ms: int,
        push_to_talk: bool,
        tells_speech: bool = True,
        end: Callable[[LegEvent], None],
    ) -> None:
        self._agent, self._leg, self._forward, self._end = agent, leg, tell, end
        self._loudspeaker, self._clock = loudspeaker, clock
        self._samples, self._sent = samples, sent
        self._rate_out, self._margin_ms = rate_out, margin_ms
        self._push_to_talk = push_to_talk
        self._speech = None if tells_speech or push_to_talk else Speech()
        self._texts: dict[tuple[str, str], str] = {}
        self._odd = False
        self.over = False
        """The leg is over: nothing of it is told any more but what it cost."""
        self.received_at_ns = clock.mono_ns()
        self.samples_received = 0
        self.turn_end_frame = -1
        self.texts = 0

    @property
    def seconds_received(self) -> float:
        """Seconds of audio that the service has sent."""
        return self.samples_received / self._rate_out

    # --- life of the connection -------------------------------------------------------------

    def alive(self) -> None:
        """See `LegCallbacks.alive`, as with every method below."""
        self.received_at_ns = self._clock.mono_ns()

    def closed(self, error: ProviderError) -> None:
        """The service, or the way to it, has ended the connection."""
        self._end(ending(self._agent, self._leg, error))

    def expired(self, sentence: str) -> None:
        """The service ended the session for good."""
        self._end(Expired(agent=self._agent, leg=self._leg, sentence=sentence))

    def goaway(self, reason: str, time_left_s: float) -> None:
        """The service will end the connection."""
        self.alive()
        self.tell(
            LegGoaway(agent=self._agent, leg=self._leg, reason=reason, time_left_s=time_left_s)
        )

    def handle(self, handle: str) -> None:
        """A resume handle."""
        self.alive()
        if handle:
            self.tell(Handle(agent=self._agent, leg=self._leg, handle=handle))

    def trouble(self, code: str, sentence: str) -> None:
        """Something that does not end the connection."""
        self.alive()
        self.tell(LegTrouble(agent=self._agent, leg=self._leg, code=code, sentence=sentence))

    # --- the user's side --------------------------------------------------------------------

    def speech_started(self, sample: int | None = None) -> None:
        """The user began to speak."""
        self.alive()
        if not self._push_to_talk and self._speech is None:
            frame = self._frame(sample)
            self.tell(SpeechStarted(agent=self._agent, leg=self._leg, frame=frame))

    def speech_ended(self, sample: int | None = None) -> None:
        """The user's turn ended."""
        self.alive()
        if not self._push_to_talk and self._speech is None:
            self.turn_ended(self._frame(sample))
            if sample is None:
                self.turn_end_frame = -1  # Nobody knows when: a latency would be made up.

    def sent_on(self, start: int, near: Samples, rate: int) -> None:
        """These frames of near went to the service: is there a visitor who it says nothing of?"""
        if self._speech is not None:
            self._ear(self._speech.hear(start, near, rate))

    def paused(self, frame: int) -> None:
        """The gate closed without being a turn's end."""
        if self._speech is not None:
            self._ear(self._speech.closed(frame))

    def _ear(self, found: list[Found]) -> None:
        for one in found:
            match one:
                case Started(frame):
                    self.turn_started(frame)
                case Ended(frame):
                    self.turn_ended(frame)
                case Dropped():
                    self.turn_end_frame = -1
                    self.tell(
                        UserTurnDropped(agent=self._agent, leg=self._leg, item="", end_frame=-1)
                    )
                case _:
                    assert_never(one)

    def turn_started(self, frame: int) -> None:
        """The gate opened by Talk: the turn starts at this frame."""
        self.tell(SpeechStarted(agent=self._agent, leg=self._leg, frame=frame))

    def turn_ended(self, frame: int) -> None:
        """The turn ended at this frame, by Talk or because the service says so."""
        self.turn_end_frame = frame
        self.tell(SpeechEnded(agent=self._agent, leg=self._leg, frame=frame))

    def user_text(
        self,
        item: str,
        text: str,
        *,
        delta: bool = False,
        final: bool = False,
        start_sample: int | None = None,
        end_sample: int | None = None,
    ) -> None:
        """The user's turn as transcribed."""
        self.alive()
        self.tell(
            UserText(
                agent=self._agent,
                leg=self._leg,
                item=item,
                text=text,
                delta=delta,
                final=final,
                start_frame=-1 if start_sample is None else self._frame(start_sample),
                end_frame=-1 if end_sample is None else self._frame(end_sample),
            )
        )
        if self._speech is not None and text.strip():
            self._ear(self._speech.words(final=final))

    def user_turn_dropped(self, item: str, end_sample: int | None = None) -> None:
        """A turn without words."""
        self.alive()
        frame = -1 if end_sample is None else self._frame(end_sample)
        self.tell(UserTurnDropped(agent=self._agent, leg=self._leg, item=item, end_frame=frame))

    # --- the reply --------------------------------------------------------------------------

    def response_started(self, response: str, *, waiting: int = 0) -> None:
        """A reply began."""
        self.alive()
        _names(response)
        if self.over:
            return
        self._loudspeaker.started(self._leg, response, self.turn_end_frame)
        self.turn_end_frame = -1
        texts = max(0, self.texts - waiting)
        self.tell(ResponseStarted(agent=self._agent, leg=self._leg, response=response, texts=texts))

    def assistant_text(
        self, response: str, item: str, text: str, *, delta: bool = True, final: bool = False
    ) -> None:
        """Words of a reply."""
        self.alive()
        _names(response, item, text)
        if self.over or self._loudspeaker.is_dead(self._leg, response):
            return
        key = (response, item)
        whole = self._texts[key] = (self._texts.get(key, "") if delta else "") + text
        self._loudspeaker.text(self._leg, response, item, whole)
        self.tell(
            AssistantText(
                agent=self._agent,
                leg=self._leg,
                response=response,
                item=item,
                text=text,
                delta=delta,
                final=final,
            )
        )

    def audio(self, response: str, item: str, pcm: bytes, text_until: int | None = None) -> None:
        """Samples of a reply."""
        self.alive()
        _names(response, item)
        if text_until is not None and not isinstance(text_until, int):
            raise TypeError("text_until must be a number of characters or None")
        if self.over:
            return
        self.samples_received += len(pcm) // 2
        if len(pcm) % 2 and not self._odd:
            self._odd = True
            self.trouble("odd_audio", "the service sent half a sample; it was left out")
        self._loudspeaker.audio(self._leg, response, item, pcm, self._rate_out, text_until)

    def audio_done(self, response: str, item: str) -> None:
        """All audio of an item has come."""
        self.alive()
        _names(response, item)
        if not self.over:
            self._loudspeaker.item_done(self._leg, response, item)

    def response_done(self, response: str, status: str = "completed") -> None:
        """All of a reply has come."""
        self.alive()
        _names(response, status)
        if self.over:
            return
        for key in [key for key in self._texts if key[0] == response]:
            del self._texts[key]
        self.tell(ResponseDone(agent=self._agent, leg=self._leg, response=response, status=status))
        self._loudspeaker.done(self._leg, response, status)

    async def interrupted(self) -> list[HeardItem]:
        """The user interrupts; the provider truncates by what this returns."""
        self.alive()
        return self.heard(await self._loudspeaker.cut())

    def heard(self, cut: Cut) -> list[HeardItem]:
        """Return what was heard of this leg's items, less the provider's margin."""
        return [
            msgspec.structs.replace(item, ms=max(0, item.ms - self._margin_ms))
            for leg, item in cut
            if leg == self._leg
        ]

    # --- tools, money, signals --------------------------------------------------------------

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """The model calls a tool."""
        self.alive()
        if not self.over:
            self._loudspeaker.paused(self._leg)
        self.tell(
            ToolCall(
                agent=self._agent, leg=self._leg, call_id=call_id, name=name, arguments=arguments
            )
        )

    def tool_cancelled(self, call_id: str) -> None:
        """A result is no longer wanted."""
        self.alive()
        self.tell(ToolCancelled(agent=self._agent, leg=self._leg, call_id=call_id))

    def usage(
        self,
        response: str,
        usd: float,
        detail: str = "",
        *,
        aside: bool = False,
        again_usd: float = 0.0,
    ) -> None:
        """The service's own account; it counts even after the leg."""
        self.alive()
        self._send(
            Usage(
                agent=self._agent,
                leg=self._leg,
                response=response,
                usd=usd,
                detail=detail,
                aside=aside,
                again_usd=again_usd,
                seconds_received=self.seconds_received,
            )
        )

    def signals(self, channels: Mapping[str, float]) -> None:
        """Sparse channels."""
        self.alive()
        self.tell(ProviderSignal(agent=self._agent, leg=self._leg, channels=dict(channels)))

    def affect(self, item: str, scores: str) -> None:
        """Prosody scores."""
        self.alive()
        self.tell(Affect(agent=self._agent, leg=self._leg, item=item, scores=scores))

    # --- beside the talk: no sign of life of the service that talks ----------------------------

    def measured(self, frame: int, channels: Mapping[str, float], scores: str) -> None:
        """How the visitor spoke at near frame `frame`, by a service that only listens."""
        if channels:
            self.tell(ProviderSignal(agent=self._agent, leg=self._leg, channels=dict(channels)))
        self.tell(Affect(agent=self._agent, leg=self._leg, item="", frame=frame, scores=scores))

    def spent_aside(self, usd: float, detail: str) -> None:
        """What that service cost; it counts even after the leg."""
        self._send(
            Usage(agent=self._agent, leg=self._leg, response="", usd=usd, detail=detail, aside=True)
        )

    def trouble_aside(self, code: str, sentence: str) -> None:
        """Something is wrong with that service."""
        self.tell(
            LegTrouble(
                agent=self._agent, leg=self._leg, source="affect", code=code, sentence=sentence
            )
        )

    # --- inside -----------------------------------------------------------------------------

    def tell(self, message: LegEvent) -> None:
        """Tell control, unless the leg is over."""
        if not self.over:
            self._send(message)

    def _send(self, message: LegEvent) -> None:
        """Send what control will be able to read; anything else ends the leg that told it.

        Control decodes strictly, and a channel on which something cannot be read is closed: a slip
        in a module's types must not cost the process.
        """
        try:
            packet = _encoder.encode(message)
            if len(packet) > LONGEST:
                raise ValueError(f"it is {len(packet)} bytes long")
            _checker.decode(packet)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            sentence = f"the provider told a {type(message).__name__} that is none: {error}"
            logger.error("! %s", sentence)
            self._end(ending(self._agent, self._leg, ProviderUnavailable(sentence, _BROKEN)))
        else:
            self._forward(message)

    def _frame(self, sample: int | None) -> int:
        return self._samples.frame_of(self._sent() if sample is None else sample)


def _names(*names: object) -> None:
    """Raise to the module that tells something else than text for a name."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a name or text must be a str, not a {type(name).__name__}")


def ending(agent: str, leg: int, error: ProviderError) -> LegEvent:
    """Return how a leg ends by an error of its service: for good, or worth another connection."""
    sentence = str(error)
    if isinstance(error, ProviderRefused):
        return LegRefused(agent=agent, leg=leg, code=error.code, sentence=sentence)
    return LegClosed(agent=agent, leg=leg, asked=False, code=error.code, sentence=sentence)
