"""The loudspeaker half of a lane: speaker ring to playout, fades, flush, far ring.

What is played of the speaker ring is counted frame by frame. Four things take sound away and give
it back, always under a fade: the volume word (20 ms for full scale), the playback word (5 ms), a
flush (5 ms, then the position jumps to the flush's target) and running dry. A ring that runs dry
cannot be faded beforehand without knowing the future, so the last sample played decays to zero over
5 ms instead; an unfinished reply comes back under a fade.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from voiced.lane.words import MILLION, Lane, LaneSegment, Playback

Float32 = npt.NDArray[np.float32]

FULL_SCALE = 32768.0
FADE_S = 0.005
"""Pause, silence, flush and running dry."""
VOLUME_RAMP_S = 0.02
"""From volume 0 to 1 or back; smaller steps take their share of it."""
AUDIBLE = FULL_SCALE / 1000
"""-60 dBFS in int16 steps: what is louder counts as sounding."""
LEVEL_HALF_LIFE_S = 0.05


class Loudspeaker:
    """Plays one lane's speaker ring; lives on the output side of the callback.

    Args:
        lane: the lane, mapped for this side alone (a fence belongs to one thread).
        outputs: channels of the device that get this lane's sound, counted from 1.
        samplerate: of the device, Hz.
        max_block: longest block, frames.

    Attributes:
        mono: this block's playout after volume, int16 steps, valid where `block` returned True.
    """

    __slots__ = (
        "_audible",
        "_fade",
        "_fade_frames",
        "_falling",
        "_half_life",
        "_lane",
        "_last",
        "_level",
        "_playing",
        "_ramp",
        "_read",
        "_ring",
        "_rounded",
        "_steps",
        "_tail",
        "_tail_at",
        "_volume",
        "_volume_frames",
        "_words",
        "columns",
        "far",
        "flushed",
        "mono",
    )

    def __init__(
        self, lane: LaneSegment, outputs: tuple[int, ...], samplerate: int, max_block: int
    ) -> None:
        self._lane = lane
        self._words = lane.words
        self._ring = np.frombuffer(lane.speaker.samples, np.int16)
        self.far = np.frombuffer(lane.far.samples, np.int16)
        self.columns = tuple(channel - 1 for channel in outputs)
        self.mono = np.zeros(max_block, np.float32)
        self._rounded = np.zeros(max_block, np.float32)
        self._audible = np.zeros(max_block, np.bool_)
        self._ramp = np.zeros(max_block, np.float32)
        self._steps = np.arange(1, max_block + 1, dtype=np.float32)
        self._fade_frames = max(1, round(FADE_S * samplerate))
        self._volume_frames = max(1, round(VOLUME_RAMP_S * samplerate))
        self._falling = np.linspace(1.0, 0.0, self._fade_frames + 1, dtype=np.float32)[1:]
        self._half_life = LEVEL_HALF_LIFE_S * samplerate
        self._read: int = self._words[Lane.SPEAKER_READ]
        # A successor takes an interrupted reply up again without a click.
        waiting = self._read < lane.get(Lane.SPEAKER_WRITE)
        resting = self._words[Lane.PLAYBACK] != Playback.PLAY
        self._fade = 0.0 if waiting or resting else 1.0
        self._volume = self._words[Lane.VOLUME] / MILLION
        self._playing = False
        self._last = 0.0
        self._tail = 0.0
        self._tail_at = 0
        self._level = 0.0
        self.flushed = False

    def play(self, frames: int, far_at: int) -> bool:
        """Play a block into `mono` and the far ring; False = silence, and `mono` is not touched.

        Args:
            frames: length of the block.
            far_at: far position of its first frame; negative = leave the far ring alone.
        """
        sounding = self.block(frames)
        peak = 0.0
        if sounding:
            np.rint(self.mono[:frames], out=self._rounded[:frames])
        if far_at >= 0:
            self._write_far(far_at, frames, sounding=sounding)
        if sounding:
            peak = self._measure(frames, far_at)
        falling = self._level * 0.5 ** (frames / self._half_life)
        self._level = peak if peak > falling else falling
        self._words[Lane.LEVEL_OUT] = int(self._level / FULL_SCALE * MILLION)
        return sounding

    def block(self, frames: int) -> bool:
        """Take the next `frames` of playout into `mono`; False = silence, `mono` untouched.

        Sets `flushed` when a flush was finished in this block.
        """
        words = self._words
        self.flushed = False
        target = max(self._lane.get(Lane.FLUSH_TO), self._lane.get(Lane.STOP_TO))
        write = self._lane.get(Lane.SPEAKER_WRITE)
        target = min(target, write)
        playback = words[Lane.PLAYBACK]
        if words[Lane.FLUSH_DONE] < target <= self._read:
            # Everything before the target has sounded already.
            self._note_flush(target, target)
        if target > self._read and self._fade == 0.0:
            self._finish_flush(self._read, target, playback)
        flushing = target > self._read
        goal = 0.0 if flushing or playback != Playback.PLAY else 1.0
        ready = max(0, (target if flushing else write) - self._read)
        if self._is_silent(ready, goal):
            if playback == Playback.SILENT:
                self._advance(min(self._read + frames, write))
            elif ready == 0 and words[Lane.SPEAKER_COMPLETE] == write:
                self._fade = goal
            self._volume = words[Lane.VOLUME] / MILLION
            return False
        count = min(frames, ready)
        self._fetch(count)
        self._apply_volume(count, words[Lane.VOLUME] / MILLION)
        reached = self._apply_fade(count, goal, ready)
        dry = goal == 1.0 and count < frames
        if self._fade > 0.0 or playback == Playback.SILENT:
            reached = count
        self.mono[count:frames] = 0.0
        if flushing and self._fade == 0.0:
            self._finish_flush(self._read + reached, target, playback)
            count = 0
        else:
            self._advance(self._read + reached)
        self._decay(count, frames, dry=dry, write=write)
        self._playing = count > 0 and not dry and self._fade > 0.0
        return True

    def _is_silent(self, ready: int, goal: float) -> bool:
        """Tell whether nothing can sound in this block, and settle the fade where it cannot."""
        if ready == 0 and not self._playing and self._tail == 0.0:
            if goal == 0.0:
                self._fade = 0.0
            return True
        return self._fade == 0.0 and goal == 0.0

    def _advance(self, position: int) -> None:
        self._read = position
        self._lane.put(Lane.SPEAKER_READ, position)

    def _finish_flush(self, silent_at: int, target: int, playback: int) -> None:
        """Drop what is left before `target`; the next frame is the next reply's first."""
        self._advance(target)
        self._note_flush(silent_at, target)
        self._fade = 1.0 if playback == Playback.PLAY else 0.0

    def _note_flush(self, silent_at: int, target: int) -> None:
        self._lane.put(Lane.SILENT_AT, silent_at)
        self._lane.put(Lane.FLUSH_DONE, target)
        self.flushed = True

    def _write_far(self, position: int, frames: int, *, sounding: bool) -> None:
        start = position % len(self.far)
        cut = min(frames, len(self.far) - start)
        if sounding:
            self.far[start : start + cut] = self._rounded[:cut]
            self.far[: frames - cut] = self._rounded[cut:frames]
        else:
            self.far[start : start + cut] = 0
            self.far[: frames - cut] = 0
        self._lane.put(Lane.FAR_WRITE, position + frames)

    def _measure(self, frames: int, far_at: int) -> float:
        """Return this block's peak; note where it last sounded."""
        rounded = self._rounded[:frames]
        np.abs(rounded, out=rounded)
        peak = float(np.maximum.reduce(rounded))
        if peak > AUDIBLE and far_at >= 0:
            audible = self._audible[:frames]
            np.greater(rounded, AUDIBLE, out=audible)
            last = frames - 1 - int(audible[::-1].argmax())
            self._words[Lane.SOUNDED_AT] = far_at + last + 1
        return peak

    def _fetch(self, count: int) -> None:
        start = self._read % len(self._ring)
        cut = len(self._ring) - start
        if count <= cut:
            self.mono[:count] = self._ring[start : start + count]
        else:
            self.mono[:cut] = self._ring[start:]
            self.mono[cut:count] = self._ring[: count - cut]

    def _apply_volume(self, count: int, wanted: float) -> None:
        mono = self.mono[:count]
        if self._volume == wanted:
            if wanted != 1.0:
                np.multiply(mono, wanted, out=mono)
            return
        length = math.ceil(abs(wanted - self._volume) * self._volume_frames - 1e-6)
        self._volume = self._slope(mono, self._volume, wanted, length)

    def _apply_fade(self, count: int, goal: float, ready: int) -> int:
        """Bring the fade nearer to `goal`; return the frame of this block where it was reached."""
        if self._fade == goal:
            return count
        length = math.ceil(abs(goal - self._fade) * self._fade_frames - 1e-6)
        if goal == 0.0:
            length = min(length, ready)
        self._fade = self._slope(self.mono[:count], self._fade, goal, length)
        return min(count, length)

    def _slope(self, mono: Float32, start: float, goal: float, length: int) -> float:
        """Multiply by a line from `start` to `goal` over `length` frames; return where it got."""
        if length <= 0:
            np.multiply(mono, goal, out=mono)
            return goal
        count = len(mono)
        step = (goal - start) / length
        ramp = self._ramp[:count]
        np.multiply(self._steps[:count], step, out=ramp)
        np.add(ramp, start, out=ramp)
        if count >= length:
            ramp[length - 1 :] = goal
        np.multiply(mono, ramp, out=mono)
        return goal if count >= length else start + step * count

    def _decay(self, count: int, frames: int, *, dry: bool, write: int) -> None:
        """Let the last sample decay where the ring ran dry; count it where a reply is unfinished.

        Args:
            count: frames of this block that came from the ring.
            frames: length of the block.
            dry: whether there was less than the block needed.
            write: the published position, where it ran dry.
        """
        if count:
            self._last = float(self.mono[count - 1])
        at = 0
        if dry and (self._playing or count):
            at = count
            self._tail, self._tail_at = self._last, 0
            if self._words[Lane.SPEAKER_COMPLETE] != write:
                self._words[Lane.UNDERRUNS] += 1
                self._fade = 0.0
        if self._tail == 0.0:
            return
        length = min(frames - at, self._fade_frames - self._tail_at)
        ramp = self._ramp[:length]
        np.multiply(self._falling[self._tail_at : self._tail_at + length], self._tail, out=ramp)
        mono = self.mono[at : at + length]
        mono += ramp
        if count and not dry:
            # The next reply began under the last one's decay.
            np.clip(mono, -FULL_SCALE, FULL_SCALE - 1, out=mono)
        self._tail_at += length
        if self._tail_at == self._fade_frames:
            self._tail = 0.0
