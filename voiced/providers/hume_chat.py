"""What one EVI chat is: whose turn it is, which reply its messages belong to, what is dropped.

The service's messages in, callbacks out; no socket. Its messages name no reply: one begins with its
first message or sound and ends with `assistant_end` or an interruption.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections import deque

import msgspec
import numpy as np
import soxr

from voiced.providers import hume_codec as wire
from voiced.providers.contract import LegCallbacks
from voiced.providers.riff import Samples, wave

RATE_IN = 16000
RATE_OUT = 48000
NO_WORDS_S = 8.0
"""A push-to-talk turn of which no words came for so long held none."""
DEAD_KEPT = 256
"""Ids of cut messages remembered, whose late audio is dropped; kinds of flaws logged."""
TYPED_KEPT = 32
HANG_UP = "hang_up"
END_CONVERSATION = "end_conversation"

logger = logging.getLogger(__name__)


class Chat:
    """The turns and replies of one chat.

    Attributes:
        sent: samples given to the service.
        typed: typed turns whose echo will come; they are in the transcript already.
        notes: context that waits for the user's next words.
        persistent_notes: it stays behind all words that follow.
        assistant_affect: `affect` tells EVI's own voice too.
        cut: the reply under way was interrupted by hand: it runs on there, unheard.
        hung_up: the model has ended the conversation by the service's own tool.
    """

    def __init__(self, callbacks: LegCallbacks) -> None:
        self.callbacks = callbacks
        self.sent = 0
        self.typed: deque[str] = deque(maxlen=TYPED_KEPT)
        self.notes: list[str] = []
        self.persistent_notes = self.assistant_affect = False
        self.cut = self.hung_up = False
        self._turn = ""
        """The user's turn whose interim words have come."""
        self._turns = self._responses = 0
        self._wordless = True
        """No words have come since Talk was pressed."""
        self._no_words: asyncio.TimerHandle | None = None
        self._response = ""
        """The reply under way."""
        self._items: dict[str, str] = {}
        """Messages of the last reply and their words so far."""
        self._dead: deque[str] = deque(maxlen=DEAD_KEPT)
        self._resampler: tuple[str, int, soxr.ResampleStream] | None = None
        """Message and rate whose audio it changes to RATE_OUT."""
        self._calls: set[str] = set()
        """Tool calls that want an answer."""
        self._told: set[str] = set()

    @property
    def replying(self) -> bool:
        """A reply is under way."""
        return bool(self._response)

    # --- what the service says --------------------------------------------------------------

    def leave_out(self, what: str) -> None:
        """Log a frame that cannot be used, once for each kind of flaw."""
        self.callbacks.alive()
        if what not in self._told and len(self._told) < DEAD_KEPT:
            self._told.add(what)
            logger.warning("! hume_evi left out %s", what)

    def user(self, message: wire.UserMessage) -> None:
        """Take the user's turn as transcribed; interim words are replaced by the next."""
        words, told = message.message.content or "", self.callbacks
        if message.from_text and words in self.typed:
            self.typed.remove(words)
            told.alive()
            return
        start, end = self._samples(message)
        began = not self._turn
        if began:
            self._turn = self._next_turn()
        item, spoken = self._turn, not message.from_text
        if spoken:
            self._wordless = False
            self.quiet()
            if began:
                told.speech_started(start)
        if message.interim:
            told.user_text(item, words, start_sample=start)
            return
        self._turn = ""
        if self.cut:
            self.finish()
        if not self.persistent_notes:
            self.notes.clear()
        if spoken:
            told.speech_ended(end)
        if not words.strip():
            told.user_turn_dropped(item, end)
            return
        told.user_text(item, words, final=True, start_sample=start, end_sample=end)
        if measured := wire.scores(message.models):
            told.signals(wire.channels(measured))
            told.affect(item, wire.scores_text(measured))

    def _next_turn(self) -> str:
        self._turns += 1
        return f"u{self._turns}"

    def _samples(self, message: wire.UserMessage) -> tuple[int | None, int | None]:
        """Return where a turn lies among the samples sent, as far as the service can know."""
        begin = message.time.begin * RATE_IN // 1000
        end = message.time.end * RATE_IN // 1000
        if message.from_text or not 0 <= begin < end <= self.sent:
            return None, None
        return begin, end

    def _begin(self) -> None:
        if not self._response:
            self._responses += 1
            self._response, self._items = f"r{self._responses}", {}
            self.callbacks.response_started(self._response)

    def assistant(self, message: wire.AssistantMessage) -> None:
        """Take a message of the reply: all its words at once, before its sound."""
        if message.id is not None and message.id in self._dead:
            self.callbacks.alive()
            return
        self._begin()
        item = message.id or f"m{len(self._items) + 1}"
        known, words = self._items.get(item, ""), message.message.content or ""
        if not words or words == known:
            self._items.setdefault(item, known)
            self.callbacks.alive()
            return
        more = f" {words}" if known else words
        self._items[item] = known + more
        self.callbacks.assistant_text(self._response, item, more)

    def audio(self, chunk: wire.AudioOutput) -> None:
        """Take a chunk of a message's sound: a WAV file of its own, at any rate."""
        if chunk.id in self._dead:
            self.callbacks.alive()
            return
        try:
            rate, samples = wave(base64.b64decode(chunk.data, validate=True))
        except binascii.Error:
            self.leave_out("an audio_output that is no base64")
            return
        except ValueError as error:
            self.leave_out(f"an audio_output: {error}")
            return
        self._begin()
        self._items.setdefault(chunk.id, "")
        if self._resampler is not None and self._resampler[:2] != (chunk.id, rate):
            self._flush()
        if rate != RATE_OUT:
            if self._resampler is None:
                stream = soxr.ResampleStream(rate, RATE_OUT, 1, dtype="int16")
                self._resampler = chunk.id, rate, stream
            samples = self._resampler[2].resample_chunk(samples)
        self._sound(chunk.id, samples)

    def _sound(self, item: str, samples: Samples) -> None:
        pcm = samples.astype("<i2", copy=False).tobytes()
        self.callbacks.audio(self._response, item, pcm)

    def _flush(self) -> None:
        """Tell what the resampler still holds of the last message."""
        if self._resampler is not None:
            item, _, stream = self._resampler
            self._resampler = None
            self._sound(item, stream.resample_chunk(np.zeros(0, np.int16), last=True))

    def prosody(self, measured: wire.AssistantProsody) -> None:
        """Take how EVI's own voice sounds."""
        self.callbacks.alive()
        item, scores = measured.id or "", wire.scores(measured.models)
        if self.assistant_affect and scores and item not in self._dead:
            self.callbacks.affect(item, wire.scores_text(scores))

    def finish(self, *, interrupted: bool = False) -> None:
        """End the reply under way; what still comes of an interrupted one is dropped."""
        if not self._response:
            self.callbacks.alive()
            return
        self._flush()
        interrupted |= self.cut
        if interrupted:
            self._dead.extend(self._items)
        else:
            for item, words in self._items.items():
                if words:
                    self.callbacks.assistant_text(self._response, item, "", final=True)
        response, self._response, self.cut = self._response, "", False
        self.callbacks.response_done(response, "cancelled" if interrupted else "completed")

    async def interrupted(self) -> None:
        """Take that the user speaks into the reply; there is nothing to truncate.

        Waits for the loudspeaker, so that nothing of the next reply is cut as well.
        """
        await self.callbacks.interrupted()
        for call in sorted(self._calls):
            self.callbacks.tool_cancelled(call)
        self._calls.clear()
        if self._response:
            self.finish(interrupted=True)
        else:
            self._dead.extend(self._items)
            self._items = {}

    def tool(self, call: wire.ToolCall) -> None:
        """Take a call of a tool of ours, or of the service's own."""
        if call.tool_type == "builtin":
            self.callbacks.alive()
            if call.name == HANG_UP:
                self.hang_up(call.tool_call_id)
            return
        if not wire.is_json_object(call.parameters):
            self.callbacks.trouble(
                "bad_arguments", f"Hume called the tool {call.name[:64]} with no JSON object"
            )
            # Not answered here: who counts the calls refuses it, or a model could go on for ever.
            call = msgspec.structs.replace(
                call, parameters=msgspec.json.encode(call.parameters).decode()
            )
        if call.response_required:
            self._calls.add(call.tool_call_id)
        self.callbacks.tool_call(call.tool_call_id, call.name, call.parameters)

    def hang_up(self, call_id: str) -> None:
        """Take that the model ends the conversation by the service's own tool: as by ours."""
        if not self.hung_up:
            self.hung_up = True
            self.callbacks.tool_call(call_id, END_CONVERSATION, "{}")

    # --- what happens here ------------------------------------------------------------------

    def answered(self, call_id: str) -> bool:
        """Strike a tool call off; tell whether the service wants its result."""
        wanted = call_id in self._calls
        self._calls.discard(call_id)
        return wanted

    def talk(self, active: bool, trailing: int) -> None:
        """Take an edge of Talk, with `trailing` samples of silence sent behind a closing one."""
        self.quiet()
        if active:
            self._wordless = True
        elif self._wordless:
            end = max(0, self.sent - trailing)
            loop = asyncio.get_running_loop()
            self._no_words = loop.call_later(NO_WORDS_S, self._nothing_said, end)

    def quiet(self) -> None:
        """Stop waiting for words."""
        if self._no_words is not None:
            self._no_words.cancel()
            self._no_words = None

    def _nothing_said(self, end: int) -> None:
        """Tell that a turn by Talk had no words: nobody need wait for an answer."""
        self._no_words = None
        self.callbacks.user_turn_dropped(self._next_turn(), end)


def failed(call_id: str, why: str) -> wire.ToolError:
    """Return that a tool failed; `why` is what the model is told."""
    return wire.ToolError(
        tool_call_id=call_id,
        error="the tool failed",
        content=why,
        level="warn",
        tool_type="function",
    )
