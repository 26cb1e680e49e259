"""The shell around the playout: words and ring of one lane, one timer, and who waits for a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, assert_never

from voiced.lane.seam import Clock
from voiced.lane.words import Device, Lane, Playback
from voiced.messages.network import Heard, LegEvent, Playing, ReplaySounds, ReplyHeard
from voiced.network.playout import (
    Complete,
    CutDone,
    Effect,
    FlushTo,
    Gap,
    Observed,
    Playout,
    Publish,
    Write,
    as_samples,
)
from voiced.network.pump import Source
from voiced.providers.contract import HeardItem

Cut: TypeAlias = list[tuple[int, HeardItem]]
"""(leg, item) of everything that was cut."""
STUCK_NS = 5_000_000_000
"""A loudspeaker that has not moved for so long is gone: what waits for it would be old by then."""


class Loudspeaker:
    """One agent's way out: takes deltas, tells what sounds and what was heard.

    Args:
        agent: its name.
        source: its lane and the device.
        clock: the daemon's.
        tell: where Playing, Heard, ReplyHeard and ReplaySounds go.
    """

    def __init__(
        self,
        agent: str,
        source: Source,
        clock: Clock,
        tell: Callable[[LegEvent | ReplaySounds], None],
    ) -> None:
        self._source, self._clock, self._tell = source, clock, tell
        lane = source.lane
        # What an older network process published plays on; nothing more of it will come.
        write = lane.get(Lane.SPEAKER_WRITE)
        lane.put(Lane.SPEAKER_COMPLETE, write)
        lane.put(Lane.BUFFERED, 0)
        self._playout = Playout(agent, write, lane.get(Lane.FLUSH_DONE))
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[Cut]] = []
        self._moved = (-1, 0)

    # --- what the legs say ------------------------------------------------------------------

    def started(self, leg: int, response: str, user_end_frame: int) -> None:
        """A reply began, in answer to the turn that ended at this near frame (-1: not known)."""
        epoch = self._source.epoch("input", user_end_frame) if user_end_frame >= 0 else None
        spoken = 0
        if epoch is not None:
            spoken = epoch.time_of(user_end_frame - epoch.input_latency)
        self._playout.started(leg, response, spoken)

    def text(self, leg: int, response: str, item: str, text: str) -> None:
        """An item's whole text so far."""
        self._playout.text(leg, response, item, text)

    def is_dead(self, leg: int, response: str) -> bool:
        """Whether this reply was cut."""
        return self._playout.is_dead(leg, response)

    def is_running(self, leg: int) -> bool:
        """Whether a reply of this leg is still being sent."""
        return self._playout.is_running(leg)

    def audio(
        self, leg: int, response: str, item: str, pcm: bytes, rate: int, text_until: int | None
    ) -> None:
        """A delta of a reply."""
        samples = as_samples(pcm)
        self._perform(
            self._playout.received(self.observe(), leg, response, item, samples, rate, text_until)
        )

    def item_done(self, leg: int, response: str, item: str) -> None:
        """All audio of an item has come."""
        self._perform(self._playout.item_done(self.observe(), leg, response, item))

    def paused(self, leg: int) -> None:
        """A reply of this leg waits for a tool."""
        self._perform(self._playout.paused(self.observe(), leg))

    def done(self, leg: int, response: str, status: str) -> None:
        """All of a reply has come."""
        self._perform(self._playout.done(self.observe(), leg, response, status))

    def left(self, leg: int) -> None:
        """The leg is over; what it sent sounds on."""
        self._perform(self._playout.left(self.observe(), leg))

    def cut(self) -> asyncio.Future[Cut]:
        """Silence the loudspeaker now; the future tells what was heard of everything cut."""
        done: asyncio.Future[Cut] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.silence()
        return done

    def silence(self) -> None:
        """Silence the loudspeaker at once, whoever waits for what was heard."""
        self._perform(self._playout.cut(self.observe()))

    def replay(self) -> None:
        """Play the last complete reply again."""
        self._perform(self._playout.replay(self.observe()))

    def forget_reply(self) -> None:
        """Drop the reply that `replay` would play."""
        self._playout.forget_reply()

    def buffered_s(self) -> float:
        """Seconds of replies between the service and the loudspeaker."""
        return self._playout.buffered_s(self.observe())

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    # --- the words --------------------------------------------------------------------------

    def observe(self) -> Observed:
        """Read the words that the playout needs, read position and output counter of one block."""
        lane, words = self._source.lane, self._source.device.words
        for _ in range(4):
            frame: int = words[Device.OUTPUT_FRAME]
            read = lane.speaker.read_position
            if words[Device.OUTPUT_FRAME] == frame:
                break
        epoch = self._source.epoch("output")
        sounds_ns = epoch.time_of(frame + epoch.output_latency) if epoch is not None else 0
        return Observed(
            now_ns=self._clock.mono_ns(),
            read=read,
            read_ns=sounds_ns,
            silent_at=lane.get(Lane.SILENT_AT),
            flush_done=lane.get(Lane.FLUSH_DONE),
            samplerate=epoch.samplerate if epoch is not None else 0,
            capacity=lane.speaker.capacity,
        )

    def _perform(self, effects: list[Effect]) -> None:
        lane = self._source.lane
        for effect in effects:
            match effect:
                case Write(position, samples):
                    lane.speaker.store(position, samples.data)
                case Publish(position):
                    lane.speaker.publish_write(position)
                case Complete(position):
                    lane.put(Lane.SPEAKER_COMPLETE, position)
                case FlushTo(position):
                    lane.put(Lane.FLUSH_TO, position)
                case Gap():
                    lane.put(Lane.GAPS, lane.get(Lane.GAPS) + 1)
                case CutDone(items):
                    self._resolve(items)
                case Playing() | Heard() | ReplyHeard() | ReplaySounds():
                    self._tell(effect)
                case _:
                    assert_never(effect)
        self._arm()

    def _resolve(self, items: Cut) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(items)

    def _arm(self) -> None:
        """Set the timer to when the playout wants to look again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        observed = self.observe()
        waiting = int(self._playout.waiting_s() * observed.samplerate)
        if self._source.lane.get(Lane.BUFFERED) != waiting:
            self._source.lane.put(Lane.BUFFERED, waiting)
        due = self._playout.next_ns(observed)
        if due is None:
            self._moved = (-1, 0)
            return
        wait = self._clock.real_s(max(0, due - observed.now_ns) / 1e9)
        self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        observed = self.observe()
        if self._is_stuck(observed):
            self._moved = (observed.read, observed.now_ns)
            self._perform(self._playout.cut(observed))
        else:
            self._perform(self._playout.step(observed))

    def _is_stuck(self, observed: Observed) -> bool:
        """Whether the loudspeaker has not moved for long, without being told to hold."""
        read, since = self._moved
        held = self._source.lane.get(Lane.PLAYBACK) == Playback.PAUSE
        # With everything played it is the service that is waited for.
        idle = observed.samplerate > 0 and observed.read >= self._playout.published
        if read != observed.read or held or idle:
            self._moved = (observed.read, observed.now_ns)
            return False
        return observed.now_ns - since > STUCK_NS
