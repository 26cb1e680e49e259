"""Where the visitor's turns start and end: a pure machine for each conversation.

No engine, no clock, no sound: frames' verdicts, edges and readings go in, actions come out, and
time is the sample number of the conversation's 16 kHz stream.

A turn is *open* from its start to its commit, then *closing* until its words are known, then gone:

    (none) --speech, or Activity(True)--> open --hangover, or Activity(False)--> closing --words-->
           UserTranscript(final) and Respond, or TurnDropped where there were none

Rule 1: an item is closed exactly once, in the order of the turns, with words or as dropped.
Rule 2: the stretches read for a turn follow one another without a gap and without an overlap, so a
turn longer than the recogniser's 30 s loses no word and doubles none. They are cut in a pause whose
reading is already at hand (speculation), or, where nobody pauses, at the quietest place.
Rule 3: the visitor is never answered while speaking; what was said so far waits for the next turn.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

import msgspec

from voiced.messages.inference import INPUT_RATE, Settings

FRAME: Final = 512
"""Samples of one frame."""
FRAME_MS: Final = 1_000 * FRAME / INPUT_RATE
PREROLL_FRAMES: Final = 12
"""Sound before the first speech that belongs to the turn."""
KEEP: Final = 0.35
"""Speech probability from which a frame of an open turn is speech."""
STRONG: Final = 0.8
"""Speech probability beyond doubt."""
_ONSET_FRAMES: Final = 2
_BARGEIN_FRAMES: Final = 7
"""200 ms at least, of `_BARGEIN_WINDOW` frames."""
_BARGEIN_WINDOW: Final = 9
_SPECULATION_FRAMES: Final = 5
"""160 ms of silence."""
_PARTIAL_FRAMES: Final = 22
"""0.7 s of speech."""
_LEAST_FRAMES: Final = 3
"""Less speech than this, 96 ms, is a click."""
_SOFT_PIECE: Final = 10 * INPUT_RATE
_HARD_PIECE: Final = 20 * INPUT_RATE
_SEARCH_FRAMES: Final = 250
"""Where a piece without a pause is cut: within its last 8 s."""
_MEMORY_FRAMES: Final = 128
"""How far back an onset is looked for: 4 s."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell has to do."""


class SpeechStarted(Action, frozen=True, kw_only=True):
    """Tell that speech began at this sample; a running response is to be cancelled."""

    sample: int


class SpeechEnded(Action, frozen=True, kw_only=True):
    """Tell that the turn is over; its speech ended at this sample."""

    sample: int


class Purpose(Enum):
    """What a reading is for; the lower, the sooner."""

    FINAL = 0
    SPECULATION = 1
    PARTIAL = 2


class Recognise(Action, frozen=True, kw_only=True):
    """Read the samples start to end, and tell `Conversation.recognised`."""

    job: int
    start: int
    end: int
    strong_ms: int
    """How much of it is speech beyond doubt, ms."""
    purpose: Purpose


class Forget(Action, frozen=True, kw_only=True):
    """The reading of this job is of no use any more."""

    job: int


class Transcript(Action, frozen=True, kw_only=True):
    """Tell the whole turn so far; a final one belongs into the conversation's rows."""

    item: str
    text: str
    final: bool
    start: int
    end: int


class Dropped(Action, frozen=True, kw_only=True):
    """Tell that there was nothing in this turn."""

    item: str
    start: int
    end: int


class Respond(Action, frozen=True, kw_only=True):
    """Answer what the visitor said since the last answer."""


class _Reading(msgspec.Struct, kw_only=True):
    """One stretch of a turn and what is known of it."""

    job: int
    start: int
    end: int
    text: str | None = None


class _Turn(msgspec.Struct, kw_only=True):
    """One turn of the visitor."""

    item: str
    onset: int
    """Where the speech, or the held pedal, began."""
    held: bool
    """Whether an edge ends it, not silence."""
    piece_start: int
    """Start of the stretch that is not cut off yet; at first the start of the sound."""
    end: int
    """End of the speech so far; after the commit, of the turn."""
    pieces: list[_Reading] = []
    """Stretches whose end is fixed; the last one of a closing turn included."""
    partial: _Reading | None = None
    speculation: _Reading | None = None
    partial_text: str = ""
    speech_frames: int = 0
    strong_frames: int = 0
    piece_strong: int = 0
    silent_frames: int = 0
    unread_frames: int = 0
    """Speech since the last partial reading was asked for."""
    levels: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=_SEARCH_FRAMES))

    def text(self) -> str:
        """Return the words known so far."""
        known = [piece.text or "" for piece in self.pieces]
        return " ".join(part for part in [*known, self.partial_text] if part)

    def complete(self) -> bool:
        """Return whether every stretch has been read."""
        return all(piece.text is not None for piece in self.pieces)


class Conversation:
    """The turns of one conversation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        """Replaced by `Update`; the next frame is judged by it."""
        self._frames = 0
        self._recent: deque[float] = deque(maxlen=_MEMORY_FRAMES)
        self._turn: _Turn | None = None
        self._closing: deque[_Turn] = deque()
        self._floor = 0
        self._items = 0
        self._jobs = 0
        self._responding = False
        self._sounding_until = 0
        self._owing = False

    @property
    def position(self) -> int:
        """Sample up to which frames were judged."""
        return self._frames * FRAME

    @property
    def speaking(self) -> bool:
        """Whether a turn is open."""
        return self._turn is not None

    @property
    def settling(self) -> bool:
        """Whether the words of an ended turn are still being read."""
        return bool(self._closing)

    def oldest_needed(self) -> int:
        """Return the first sample that an action to come may ask for."""
        back = self.position - (_MEMORY_FRAMES + PREROLL_FRAMES + 1) * FRAME
        if self._turn is not None:
            back = min(back, self._turn.piece_start)
        return max(0, back)

    # What comes in.

    def frame(self, probability: float, level: float) -> list[Action]:
        """Take the verdict on the next frame: speech probability, and RMS in dB."""
        self._frames += 1
        self._recent.append(probability)
        if self._turn is None:
            return self._listen()
        return self._continue(self._turn, probability, level)

    def activity(self, active: bool, sample: int) -> list[Action]:
        """Take an edge of push to talk at this sample, with every whole frame before it judged."""
        if active:
            if self._turn is None:
                return self._open(onset=sample, start=sample, held=True)
            self._turn.held = True
            return []
        # Nothing of what was before the edge may reach into a later turn.
        self._forget_before(sample)
        turn = self._turn
        if turn is None:
            return []
        # A microphone that pauses in a visitor's silence ends the turn where the speech ended.
        paused = not turn.held and turn.speculation is not None
        return self._commit(turn, turn.end if paused else sample)

    def recognised(self, job: int, text: str) -> list[Action]:
        """Take the words of a reading; "" where there were none."""
        for turn in self._closing:
            for piece in turn.pieces:
                if piece.job == job:
                    piece.text = text
                    return self._settle()
        turn_ = self._turn
        if turn_ is None:
            return []
        for piece in turn_.pieces:
            if piece.job == job:
                piece.text = text
                return self._told(turn_)
        for reading in (turn_.speculation, turn_.partial):
            if reading is not None and reading.job == job:
                reading.text = text
                turn_.partial_text = text
                return self._told(turn_)
        return []

    def responding(self, running: bool) -> None:
        """Take that a response started or ended."""
        self._responding = running

    def sounding(self, until: int) -> None:
        """Take that the loudspeaker may sound up to this sample; 0 where it was silenced."""
        self._sounding_until = until

    def owe(self) -> None:
        """Take that the visitor is to be answered as soon as no turn is open or closing."""
        self._owing = True

    def due(self) -> list[Action]:
        """Return `Respond` where an answer is owed and nothing stands in its way."""
        if not self._owing or self._turn is not None or self._closing:
            return []
        self._owing = False
        return [Respond()]

    # Opening.

    def _listen(self) -> list[Action]:
        if not self.settings.turn_detection or not self._onset_heard():
            return []
        first = self._onset_frame()
        onset = max(first * FRAME, self._floor)
        start = max((first - PREROLL_FRAMES) * FRAME, self._floor, 0)
        return self._open(onset=onset, start=start, held=False)

    def _onset_heard(self) -> bool:
        recent = list(self._recent)
        if self._responding or self.position < self._sounding_until:
            if not self.settings.bargein:
                return False
            strong = sum(p > STRONG for p in recent[-_BARGEIN_WINDOW:])
            return recent[-1] > STRONG and strong >= _BARGEIN_FRAMES
        latest = recent[-_ONSET_FRAMES:]
        return len(latest) == _ONSET_FRAMES and min(latest) > self.settings.threshold

    def _onset_frame(self) -> int:
        """Return the first frame of the run of speech that ends now, dips of one frame allowed."""
        first = self._frames - 1
        dip = False
        for back, probability in enumerate(reversed(self._recent)):
            frame = self._frames - 1 - back
            if frame * FRAME < self._floor:
                break
            if probability >= KEEP:
                first, dip = frame, False
            elif dip:
                break
            else:
                dip = True
        return first

    def _open(self, *, onset: int, start: int, held: bool) -> list[Action]:
        self._items += 1
        turn = _Turn(
            item=f"u{self._items}",
            onset=onset,
            held=held,
            piece_start=start,
            end=onset,
        )
        since = max(0, self._frames - onset // FRAME) if onset < self.position else 0
        judged = list(self._recent)[len(self._recent) - min(since, len(self._recent)) :]
        turn.speech_frames = sum(p >= KEEP for p in judged)
        turn.strong_frames = turn.piece_strong = sum(p > STRONG for p in judged)
        turn.unread_frames = turn.speech_frames
        if judged:
            turn.end = self.position
        self._turn = turn
        return [SpeechStarted(sample=onset)]

    # While a turn is open.

    def _continue(self, turn: _Turn, probability: float, level: float) -> list[Action]:
        actions: list[Action] = []
        turn.levels.append(level)
        if probability > STRONG:
            turn.strong_frames += 1
            turn.piece_strong += 1
        if probability >= KEEP:
            actions += self._speech(turn)
        else:
            actions += self._silence(turn)
        if self._turn is turn and self.position - turn.piece_start >= _HARD_PIECE:
            actions += self._cut_at_quietest(turn)
        return actions

    def _speech(self, turn: _Turn) -> list[Action]:
        actions: list[Action] = []
        turn.silent_frames = 0
        turn.speech_frames += 1
        turn.unread_frames += 1
        turn.end = self.position
        speculation = turn.speculation
        if speculation is not None:
            turn.speculation = None
            if speculation.end - turn.piece_start >= _SOFT_PIECE:
                self._cut(turn, speculation)
            elif speculation.text is None:
                actions.append(Forget(job=speculation.job))
        # The longer a stretch, the dearer its reading: partials thin out with it.
        due = max(_PARTIAL_FRAMES, (self.position - turn.piece_start) // FRAME // 6)
        waiting = turn.partial is not None and turn.partial.text is None
        if turn.unread_frames >= due and not waiting and self.settings.transcribe:
            turn.unread_frames = 0
            turn.partial, action = self._reading(turn, self.position, Purpose.PARTIAL)
            actions.append(action)
        return actions

    def _silence(self, turn: _Turn) -> list[Action]:
        turn.silent_frames += 1
        if turn.silent_frames == _SPECULATION_FRAMES and turn.speech_frames >= _LEAST_FRAMES:
            actions = self._forget_partial(turn)
            turn.speculation, action = self._reading(turn, self.position, Purpose.SPECULATION)
            return [*actions, action]
        if turn.held or turn.silent_frames * FRAME_MS < self.settings.hangover_ms:
            return []
        return self._commit(turn, turn.end)

    def _cut_at_quietest(self, turn: _Turn) -> list[Action]:
        levels = list(turn.levels)
        quietest = min(
            range(1, len(levels) - 1), key=lambda i: levels[i - 1] + levels[i] + levels[i + 1]
        )
        cut = self.position - (len(levels) - quietest) * FRAME + FRAME // 2
        speculation = turn.speculation
        turn.speculation = None
        actions = self._forget_partial(turn)
        if speculation is not None and speculation.text is None:
            actions.append(Forget(job=speculation.job))
        piece, action = self._reading(turn, cut, Purpose.FINAL)
        self._cut(turn, piece)
        return [*actions, action]

    def _cut(self, turn: _Turn, piece: _Reading) -> None:
        turn.pieces.append(piece)
        turn.piece_start = piece.end
        turn.piece_strong = 0
        turn.partial = None
        turn.partial_text = ""

    # Closing.

    def _commit(self, turn: _Turn, sample: int) -> list[Action]:
        """End the turn; its sound goes to `sample` where an edge ended it, else to now."""
        held = turn.held
        sound_end = sample if held else max(sample, self.position)
        turn.end = sample
        self._turn = None
        self._closing.append(turn)
        self._forget_before(sample)
        actions: list[Action] = [SpeechEnded(sample=sample), *self._forget_partial(turn)]
        speculation = turn.speculation
        if held or turn.speech_frames >= _LEAST_FRAMES:
            if speculation is not None and not held:
                turn.pieces.append(speculation)
            elif sound_end > turn.piece_start:
                if speculation is not None and speculation.text is None:
                    actions.append(Forget(job=speculation.job))
                piece, action = self._reading(turn, sound_end, Purpose.FINAL)
                turn.pieces.append(piece)
                actions.append(action)
        turn.speculation = None
        turn.partial_text = ""
        return actions + self._settle()

    def _settle(self) -> list[Action]:
        """Close the turns whose words are known, in their order."""
        actions: list[Action] = []
        while self._closing and self._closing[0].complete():
            turn = self._closing.popleft()
            text = turn.text()
            if text:
                self._owing = True
                actions.append(
                    Transcript(
                        item=turn.item, text=text, final=True, start=turn.onset, end=turn.end
                    )
                )
            else:
                actions.append(Dropped(item=turn.item, start=turn.onset, end=turn.end))
        return actions + self.due()

    # Small things.

    def _told(self, turn: _Turn) -> list[Action]:
        text = turn.text()
        if not text:
            return []
        return [Transcript(item=turn.item, text=text, final=False, start=turn.onset, end=turn.end)]

    def _reading(self, turn: _Turn, end: int, purpose: Purpose) -> tuple[_Reading, Recognise]:
        self._jobs += 1
        reading = _Reading(job=self._jobs, start=turn.piece_start, end=end)
        action = Recognise(
            job=reading.job,
            start=reading.start,
            end=end,
            strong_ms=int(turn.piece_strong * FRAME_MS),
            purpose=purpose,
        )
        return reading, action

    def _forget_partial(self, turn: _Turn) -> list[Action]:
        partial, turn.partial = turn.partial, None
        if partial is None or partial.text is not None:
            return []
        return [Forget(job=partial.job)]

    def _forget_before(self, sample: int) -> None:
        self._floor = max(self._floor, sample)
