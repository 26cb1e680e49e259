"""What the playout remembers of a reply: its items, their audio and where they lie in the ring."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from voiced.network import spelling, spread
from voiced.network.alignment import Alignment, features
from voiced.network.resample import EMPTY, Resampler, Samples

SILENCE = 200
"""Mean amplitude, of int16, below which a block of a reply is a pause between words (-44 dBFS)."""
BLOCK_MS = 20
ALIGNED_LAG, SPREAD_LAG = 5, 2
"""Blocks by which a word is rather late than early: aligned, nearly all words are found between
0.15 s before their sound and 0.1 s behind it; spread, two tenths of a second each way."""
CHARS_PER_S = 17
"""Of quick speech, pauses left out: what a text of which the sound is still to come will take."""

LONGEST = 5000
"""Characters that are aligned: five minutes of speech. Each delta looks at all of them again."""
LETTERS = 500
"""Of a text tell in which letters it is written."""
PACED_CHARS = 30
"""A voice's pace is known from no shorter text."""
_BEGIN = re.compile(r"\s\S")


@dataclass(slots=True)
class Item:
    """One item of a reply: its audio as received, and its place in the speaker ring."""

    name: str
    rate_in: int
    """Hz of the audio as the service sent it."""
    audio: list[Samples] = field(default_factory=list)
    received: int = 0
    """Samples in `audio`."""
    spoken: list[int] = field(default_factory=lambda: [0])
    """Blocks of speech up to each block of BLOCK_MS received."""
    marks: list[tuple[int, int]] = field(default_factory=list)
    """(samples received, characters spoken by then), where the service aligns them."""
    chars: int = 0
    """Characters of its text so far."""
    complete: bool = False
    """No more audio of it will come."""
    stored: bool = False
    """All of it, to the resampler's tail, is in the ring."""
    start: int = -1
    """Speaker position of its first frame (or of what was stored anew); -1 = not stored yet."""
    end: int = -1
    """Speaker position behind what is stored of it."""
    out_rate: int = 0
    base: int = 0
    """Samples heard before `start`: the card's rate has changed since, and the rest is new."""
    told_chars: int = 0
    told_ms: int = -1
    """What `Heard` last told; -1 = not even that it plays."""
    heard: int = -1
    """Samples heard of it in the end; -1 = it still sounds."""
    resampler: Resampler | None = None
    _text: str = ""
    pace: float = 1.0
    """How slowly the voice speaks, as far as it is known: `alignment.Alignment`."""
    _alignment: Alignment = field(init=False)
    _aligned: bool = False
    """Its text is in letters that `_alignment` can read."""
    _breaks: list[int] = field(default_factory=list)
    """Else: characters up to each mark at which a voice pauses."""
    _begun: int = 0
    """Characters that were told as spoken: no word is taken back."""
    _pairs: list[tuple[int, int]] = field(default_factory=list)
    _paired: tuple[int, int, bool] = (0, 0, False)
    _chunk: int = 0
    _offset: int = 0
    _fed: int = 0
    _rest: Samples = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        self._alignment = Alignment(self.pace)

    def read(self, text: str) -> None:
        """Take the whole text so far."""
        self.chars, self._text = len(text), text
        self._aligned = len(text) <= LONGEST and spelling.is_latin(text[:LETTERS])
        if self._aligned:
            self._alignment.read(text)
        else:
            self._breaks = spread.marks_of(text)

    def add(self, samples: Samples, text_until: int | None) -> None:
        """Take a delta."""
        self.audio.append(samples)
        self.received += len(samples)
        self._listen(samples)
        if text_until is not None:
            self.marks.append((self.received, text_until))

    def take(self, at_most: int) -> Samples:
        """Return the next samples that are not in the ring yet, at most so many."""
        while self._chunk < len(self.audio):
            chunk = self.audio[self._chunk][self._offset : self._offset + at_most]
            if len(chunk):
                self._offset += len(chunk)
                self._fed += len(chunk)
                return chunk
            self._chunk, self._offset = self._chunk + 1, 0
        return EMPTY

    @property
    def waiting(self) -> int:
        """Samples received and not yet given to the resampler."""
        return self.received - self._fed

    def rewind(self, heard: int) -> None:
        """Forget its place in the ring; what follows sample `heard` is to be stored again."""
        self.base, self.start, self.end = heard, -1, -1
        self.stored, self.resampler, self.out_rate = False, None, 0
        self._chunk, self._offset, self._fed = 0, 0, heard
        while heard > 0 and self._chunk < len(self.audio):
            length = len(self.audio[self._chunk])
            if heard < length:
                self._offset = heard
                return
            heard -= length
            self._chunk += 1

    def samples_at(self, frames: int) -> int:
        """Return how many samples were heard when `frames` of it have sounded since `start`."""
        if self.out_rate == 0:
            return self.base
        return min(self.base + frames * self.rate_in // self.out_rate, self.received)

    def ms(self, samples: int) -> int:
        """Milliseconds of so many samples, floored."""
        return samples * 1000 // self.rate_in

    def chars_at(self, samples: int) -> int:
        """Characters of its text that were spoken within the first `samples`.

        Exact at the marks of a service that aligns text and audio, in proportion between them.
        Elsewhere the letters of the text are compared with the sound (`voiced.network.alignment`),
        or, where they are not Latin ones, spread over what is speech of the audio, the marks put at
        the pauses (`voiced.network.spread`); while the rest of the audio is still to come, over
        what it will take at least. It never falls, as long as the text grows.
        """
        self._begun = min(self.chars, max(self._begun, self._chars_at(samples)))
        return self._begun

    def paced(self) -> float:
        """Return how slowly the voice spoke, once all of it has come; as believed if not known."""
        if not (self.complete and self._aligned and self.chars >= PACED_CHARS):
            return self.pace
        return (self.pace + self._alignment.pace(self.spoken[-1] * BLOCK_MS)) / 2.0

    def begins_a_word(self, samples: int) -> bool:
        """Return whether a word has begun within the first `samples` that was not told of yet."""
        begun = self.chars_at(samples)
        if not self.told_chars:
            return bool(self._text[:begun].strip())
        return _BEGIN.search(self._text[self.told_chars - 1 : begun]) is not None

    def _chars_at(self, samples: int) -> int:
        before = (0, 0)
        for mark in self.marks:
            if mark[0] > samples:
                return _between(before, mark, samples)
            before = mark
        if self.marks:
            return before[1]
        if samples >= self.received and self.complete:
            return self.chars
        block = samples // self._block
        if self._aligned:
            return self._alignment.chars_at(block - ALIGNED_LAG, complete=self.complete)
        whole = self.spoken[-1]
        if not self.complete:
            whole = max(whole, self.chars * 1000 // (CHARS_PER_S * BLOCK_MS))
        if not whole:
            return 0
        known = (len(self.spoken), self.chars, self.complete)
        if known != self._paired:
            self._paired = known
            self._pairs = spread.anchors(self._breaks, self.chars, self.spoken, whole)
        return spread.chars_at(block - SPREAD_LAG, self._pairs, self.chars, self.spoken, whole)

    @property
    def _block(self) -> int:
        return self.rate_in * BLOCK_MS // 1000

    def _listen(self, samples: Samples) -> None:
        """Note which blocks of what came are speech."""
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) // self._block * self._block
        self._rest = samples[whole:].copy()
        if whole:
            levels, hertz = features(samples[:whole], self._block, self.rate_in)
            self._alignment.hear(levels, hertz)
            counts = np.cumsum(np.asarray(levels) > SILENCE) + self.spoken[-1]
            self.spoken += counts.tolist()


def _between(low: tuple[int, int], high: tuple[int, int], samples: int) -> int:
    share = (samples - low[0]) * (high[1] - low[1]) // (high[0] - low[0])
    return low[1] + max(share, 0)


@dataclass(slots=True)
class Reply:
    """One response of one leg."""

    leg: int
    """-1 = a replay: that it sounds is all that is told of it."""
    response: str
    user_end_ns: int = 0
    """When the user's turn ended that it answers; 0 = not known."""
    items: dict[str, Item] = field(default_factory=dict)
    status: str = ""
    """"" while the service still sends; else completed, cancelled or failed."""
    dead: bool = False
    """It was cut: what still comes of it is dropped."""
    published: bool = False
    """Some of it has been given to the loudspeaker."""
    paused: bool = False
    """It waits for a tool: running dry now is no gap."""
    latency_s: float = -1.0
    heard_told: bool = False
