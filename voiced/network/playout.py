"""Replies on their way to the loudspeaker: the pure core. Positions and instants in, effects out.

A reply is a row of items. Their samples are changed to the card's rate and stored in the speaker
ring as far as it has room; the rest waits here. Stored is not published: the first samples of a
reply are held back until they are old enough to bridge the jitter of a service that sends at
real-time pace, and go at once when a second delta shows that it sends in a burst, or when the reply
is complete. Age decides, not fill: the first delta alone is often a tenth of a second.

What was heard follows from positions alone:

    heard_ms = clamp((min(read or silent_at, end) - start) / rate, 0, received), floored

where a flush leaves behind the stretch [silent_at, target) that was skipped and not heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from voiced.messages.network import Heard, Playing, ReplaySounds, ReplyHeard
from voiced.network.reply import Item, Reply
from voiced.network.resample import Resampler, Samples
from voiced.providers.contract import HeardItem

HOLD_FIRST_NS = 50_000_000
"""How long the first delta is held before anything is known about the service's jitter."""
HOLD_LEAST_NS = 40_000_000
HOLD_MOST_NS = 400_000_000
PROGRESS_MS = 70
"""How often `Heard` tells progress; a word that begins is told at once."""
ROOM_KEPT = 4096
"""Frames of the ring left free: the resampler's tail fits."""
STORE_S = 0.3
"""Most that is resampled and stored in one step, so that the upload never waits for it."""
POLL_NS = 20_000_000
POLL_CUT_NS = 5_000_000
STORE_AGAIN_NS = 2_000_000
CUT_NS = 150_000_000
"""A flush that audio has not carried out by then will not be: it is down."""
REPLAY_KEPT_S = 300


class Observed(NamedTuple):
    """What the words say now."""

    now_ns: int
    read: int
    """SPEAKER_READ."""
    read_ns: int
    """When frame `read` passes the loudspeaker; 0 = not known."""
    silent_at: int
    flush_done: int
    samplerate: int
    """Of the output stream; 0 before the first."""
    capacity: int


class Write(NamedTuple):
    """Store samples in the speaker ring."""

    position: int
    samples: Samples


class Publish(NamedTuple):
    """Give the loudspeaker everything before `position`."""

    position: int


class Complete(NamedTuple):
    """The reply ends at `position`: running dry there is no gap."""

    position: int


class FlushTo(NamedTuple):
    """Silence: everything before `position` is void."""

    position: int


class Gap(NamedTuple):
    """A reply ran dry before its last frame."""


class CutDone(NamedTuple):
    """The cut is carried out: this much was heard."""

    items: list[tuple[int, HeardItem]]
    """(leg, item) of everything that was cut."""


Effect: TypeAlias = (
    Write | Publish | Complete | FlushTo | Gap | CutDone
    | Playing | Heard | ReplyHeard | ReplaySounds
)  # fmt: skip


class _Hold(NamedTuple):
    since_ns: int
    first_ns: int
    """Duration of the first delta."""


class Playout:
    """One agent's replies, over all its legs.

    Attributes:
        write: speaker position behind everything stored.
        published: speaker position behind everything the loudspeaker may have.
        hold_ns: how long a first delta is held now; adapts to the gaps.
    """

    def __init__(self, agent: str, write: int, flush_done: int = 0) -> None:
        self.agent = agent
        self.write = self.published = write
        self.hold_ns = HOLD_FIRST_NS
        self._replies: dict[tuple[int, str], Reply] = {}
        self._line: deque[tuple[Reply, Item]] = deque()
        self._hold: _Hold | None = None
        self._burst = False
        self._rate = 0
        self._pace = 1.0
        """Of the voice, by what was heard of it."""
        self._flush_seen = flush_done
        self._skips: list[tuple[int, int]] = []
        self._cut: tuple[int, int] | None = None
        """(target, deadline) of a flush under way."""
        self._cut_replies: list[Reply] = []
        self._cut_reached = False
        self._complete = write
        self._replays = 0
        self._last: list[tuple[int, list[Samples]]] = []

    # --- what the leg tells -----------------------------------------------------------------

    def started(self, leg: int, response: str, user_end_ns: int) -> None:
        """A reply began, in answer to a turn that ended at `user_end_ns` (0 = not known)."""
        self._reply(leg, response).user_end_ns = user_end_ns

    def text(self, leg: int, response: str, item: str, text: str) -> None:
        """An item's whole text so far."""
        self._item(self._reply(leg, response), item, 0).read(text)

    def is_dead(self, leg: int, response: str) -> bool:
        """Whether a reply was cut, so that nothing more of it counts."""
        reply = self._replies.get((leg, response))
        return reply is not None and reply.dead

    def is_running(self, leg: int) -> bool:
        """Whether the service has not finished sending a reply of this leg."""
        return any(r.leg == leg and not r.status for r in self._replies.values())

    def received(
        self,
        o: Observed,
        leg: int,
        response: str,
        item: str,
        samples: Samples,
        rate: int,
        text_until: int | None,
    ) -> list[Effect]:
        """A delta of a reply came."""
        reply = self._reply(leg, response)
        if reply.dead or not len(samples):
            return []
        return self._take(o, reply, item, samples, rate, text_until)

    def item_done(self, o: Observed, leg: int, response: str, item: str) -> list[Effect]:
        """The service has sent all audio of an item."""
        reply = self._reply(leg, response)
        if reply.dead or item not in reply.items:
            return []
        reply.items[item].complete = True
        return self.step(o)

    def paused(self, o: Observed, leg: int) -> list[Effect]:
        """A reply of this leg calls a tool: what has come may sound out before more of it does."""
        for reply in self._replies.values():
            if reply.leg == leg and not reply.status:
                reply.paused = True
        return self.step(o)

    def done(self, o: Observed, leg: int, response: str, status: str) -> list[Effect]:
        """The service has sent all of a reply."""
        reply = self._reply(leg, response)
        reply.status = status or "completed"
        for item in reply.items.values():
            item.complete = True
        if reply.dead and reply not in self._cut_replies:
            self._forget(reply)
            return []
        effects: list[Effect] = []
        if self._line and self._line[-1][0] is reply and self._line[-1][1].stored:
            effects += self._completed(self.write)
        return effects + self.step(o)

    def left(self, o: Observed, leg: int) -> list[Effect]:
        """The leg is over: what it has sent is all there will be; it still sounds."""
        effects: list[Effect] = []
        for reply in [r for r in self._replies.values() if r.leg == leg and not r.status]:
            effects += self.done(o, leg, reply.response, "failed")
        return effects

    def cut(self, o: Observed) -> list[Effect]:
        """Silence everything now; `CutDone` tells what was heard once the card has obeyed."""
        for _, item in self._line:
            item.end = min(item.end, self.published)
        self._line.clear()
        self.write = self.published
        self._hold = None
        for reply in self._replies.values():
            if not reply.dead:
                reply.dead = True
                self._cut_replies.append(reply)
        # A second cut within the first does not put off when that one is settled.
        deadline = self._cut[1] if self._cut else o.now_ns + CUT_NS
        self._cut = (self.published, deadline)
        self._cut_reached = o.read >= self.published
        effects: list[Effect] = []
        if not self._cut_reached:
            effects.append(FlushTo(self.published))
        effects += self._completed(self.published)
        return effects + self.step(o)

    def replay(self, o: Observed) -> list[Effect]:
        """Queue the last complete reply again; that it sounds is all that is told of it."""
        if not self._last:
            return []
        self._replays += 1
        reply = Reply(leg=-1, response=f"replay.{self._replays}")
        self._replies[(-1, reply.response)] = reply
        effects: list[Effect] = []
        for number, (rate, chunks) in enumerate(self._last):
            for chunk in chunks:
                effects += self._take(o, reply, str(number), chunk, rate, None)
        return effects + self.done(o, -1, reply.response, "completed")

    def forget_reply(self) -> None:
        """Drop what `replay` would play."""
        self._last = []

    # --- what time and the card tell --------------------------------------------------------

    def step(self, o: Observed) -> list[Effect]:
        """Do what the words as observed and the instant allow."""
        self._note_flush(o)
        effects = self._settle(o)
        effects += self._follow_rate(o)
        effects += self._store(o)
        effects += self._progress(o)
        effects += self._ended()
        return effects

    def next_ns(self, o: Observed) -> int | None:
        """Return when `step` should be called next if nothing else happens; None = never.

        While something sounds, the read position has to be looked at: nothing wakes this process
        when the loudspeaker has got on, and a wake-up a block would cost more than a look now and
        then.
        """
        if self._cut is not None:
            return o.now_ns + POLL_CUT_NS
        if not self._line:
            return None
        due = o.now_ns + POLL_NS
        if self._rate and self._unstored() and self._room(o) > 0:
            due = min(due, o.now_ns + STORE_AGAIN_NS)
        if self._hold is not None and self._rate:
            due = min(due, max(o.now_ns, self._hold.since_ns + self.hold_ns))
        return due

    def waiting_s(self) -> float:
        """Seconds of replies that are not in the ring yet."""
        return sum(item.waiting / item.rate_in for _, item in self._line)

    def buffered_s(self, o: Observed) -> float:
        """Seconds of replies between the service and the loudspeaker."""
        stored = max(0, self.write - o.read) / self._rate if self._rate else 0.0
        return stored + self.waiting_s()

    # --- inside -----------------------------------------------------------------------------

    def _reply(self, leg: int, response: str) -> Reply:
        key = (leg, response)
        if key not in self._replies:
            self._replies[key] = Reply(leg=leg, response=response)
        return self._replies[key]

    def _item(self, reply: Reply, name: str, rate: int) -> Item:
        if name not in reply.items:
            reply.items[name] = Item(name=name, rate_in=rate or 1, pace=self._pace)
        item = reply.items[name]
        if rate:
            item.rate_in = rate
        return item

    def _take(
        self,
        o: Observed,
        reply: Reply,
        name: str,
        samples: Samples,
        rate: int,
        text_until: int | None,
    ) -> list[Effect]:
        item = self._item(reply, name, rate)
        if item.stored or item.heard >= 0:
            return []
        if not item.received:
            # Items sound one after the other: an earlier one gets no more audio.
            for _, earlier in self._line:
                earlier.complete = True
            self._line.append((reply, item))
        effects = self._delta(o, reply, len(samples) * 1_000_000_000 // rate)
        reply.paused = False
        item.add(samples, text_until)
        return effects + self.step(o)

    def _delta(self, o: Observed, reply: Reply, duration_ns: int) -> list[Effect]:
        """Start or judge the hold; count a gap."""
        if self._hold is not None:
            age = o.now_ns - self._hold.since_ns
            self._burst |= 2 * age < self._hold.first_ns
            return []
        if self.write > self.published or o.read < self.published:
            return []
        self._hold, self._burst = _Hold(o.now_ns, duration_ns), False
        if not reply.published or reply.paused or not self._rate:
            return []
        self.hold_ns = min(self.hold_ns * 3 // 2 + 10_000_000, HOLD_MOST_NS)
        return [Gap()]

    def _room(self, o: Observed) -> int:
        return o.capacity - ROOM_KEPT - (self.write - o.read)

    def _unstored(self) -> bool:
        return any(not item.stored and (item.waiting or item.complete) for _, item in self._line)

    def _store(self, o: Observed) -> list[Effect]:
        if not self._rate or self._cut is not None:
            return []
        effects: list[Effect] = []
        room = min(self._room(o), int(STORE_S * self._rate))
        for _, item in self._line:
            if item.stored:
                continue
            for samples in self._resampled(item, room):
                effects.append(Write(self.write, samples))
                self.write += len(samples)
                room -= len(samples)
            item.end = self.write
            if item.waiting or not item.complete:
                break
        if self._line and not any(item.waiting for _, item in self._line):
            reply, item = self._line[-1]
            if reply.paused or (reply.status and item.stored):
                effects += self._completed(self.write)
        return effects + self._publish(o)

    def _resampled(self, item: Item, room: int) -> Iterator[Samples]:
        """Yield what of an item goes into the ring now; at most `room` frames and a tail."""
        if item.start < 0:
            item.start, item.out_rate = self.write, self._rate
            item.resampler = Resampler(item.rate_in, self._rate)
        assert item.resampler is not None
        while room > 0:
            samples = item.take(max(1, room * item.rate_in // self._rate))
            if not len(samples):
                break
            ready = item.resampler.process(samples)
            room -= len(ready)
            yield ready
        if item.complete and not item.waiting:
            item.stored = True
            yield item.resampler.finish()

    def _publish(self, o: Observed) -> list[Effect]:
        if self.write == self.published:
            return []
        if self._hold is not None:
            old = o.now_ns - self._hold.since_ns >= self.hold_ns
            whole = all(item.stored for _, item in self._line)
            if not (old or whole or self._burst):
                return []
            self._hold = None
        self.published = self.write
        for reply, item in self._line:
            reply.published |= item.start >= 0
        return [Publish(self.published)]

    def _completed(self, position: int) -> list[Effect]:
        if position == self._complete:
            return []
        self._complete = position
        return [Complete(position)]

    def _note_flush(self, o: Observed) -> None:
        """Remember what a flush (ours or control's) has skipped."""
        if o.flush_done != self._flush_seen:
            self._flush_seen = o.flush_done
            self._skips.append((o.silent_at, o.flush_done))
        if not self._line and self._cut is None:
            self._skips.clear()

    def _skipped(self, start: int, stop: int) -> int:
        return sum(max(0, min(stop, b) - max(start, a)) for a, b in self._skips)

    def _heard(self, o: Observed, item: Item) -> int:
        """Samples of an item that have sounded."""
        if item.heard >= 0:
            return item.heard
        if item.start < 0:
            return item.base
        until = max(item.start, min(o.read, item.end))
        return item.samples_at(until - item.start - self._skipped(item.start, until))

    def _progress(self, o: Observed) -> list[Effect]:
        effects: list[Effect] = []
        while self._line:
            reply, item = self._line[0]
            if item.start < 0 or item.start >= self.published or o.read <= item.start:
                break
            if item.told_ms < 0:
                item.told_ms = 0
                effects += self._playing(o, reply, item)
            samples = self._heard(o, item)
            finished = item.stored and o.read >= item.end
            if finished:
                cut = self._skipped(item.start, item.end) > 0
                item.heard = samples if cut else item.received
                self._pace = item.paced()
                effects += self._tell(reply, item, item.heard, cut)
                self._line.popleft()
                continue
            due = item.ms(samples) - item.told_ms >= PROGRESS_MS
            if due or (reply.leg >= 0 and item.begins_a_word(samples)):
                effects += self._tell(reply, item, samples, False)
            break
        return effects

    def _playing(self, o: Observed, reply: Reply, item: Item) -> list[Effect]:
        if reply.leg < 0:
            return [ReplaySounds(agent=self.agent, on=True)]
        if reply.latency_s < 0 and reply.user_end_ns and o.read_ns:
            sounded = o.read_ns - (o.read - item.start) * 1_000_000_000 // self._rate
            reply.latency_s = max(0.0, (sounded - reply.user_end_ns) / 1e9)
        return [Playing(agent=self.agent, leg=reply.leg, response=reply.response, item=item.name)]

    def _tell(self, reply: Reply, item: Item, samples: int, cut: bool) -> list[Effect]:
        item.told_ms, item.told_chars = item.ms(samples), item.chars_at(samples)
        if reply.leg < 0:
            return []
        return [
            Heard(
                agent=self.agent,
                leg=reply.leg,
                response=reply.response,
                item=item.name,
                ms=item.told_ms,
                chars=item.told_chars,
                cut=cut,
            )
        ]

    def _ended(self) -> list[Effect]:
        """Tell the replies of which nothing more will be heard."""
        effects: list[Effect] = []
        waiting = {id(reply) for reply, _ in self._line}
        for reply in list(self._replies.values()):
            if reply.status and not reply.dead and id(reply) not in waiting:
                effects += self._reply_heard(reply)
                whole = all(item.heard == item.received for item in self._spoken(reply))
                if whole and reply.leg >= 0 and reply.status == "completed":
                    self._keep(reply)
                    self.hold_ns = max(self.hold_ns * 39 // 40, HOLD_LEAST_NS)
                self._forget(reply)
        return effects

    @staticmethod
    def _spoken(reply: Reply) -> list[Item]:
        return [item for item in reply.items.values() if item.received]

    def _keep(self, reply: Reply) -> None:
        spoken = self._spoken(reply)
        if spoken and sum(item.received / item.rate_in for item in spoken) <= REPLAY_KEPT_S:
            self._last = [(item.rate_in, item.audio) for item in spoken]

    def _reply_heard(self, reply: Reply) -> list[Effect]:
        if reply.heard_told:
            return []
        reply.heard_told = True
        if reply.leg < 0:
            return [ReplaySounds(agent=self.agent, on=False)]
        return [
            ReplyHeard(
                agent=self.agent,
                leg=reply.leg,
                response=reply.response,
                latency_s=reply.latency_s,
            )
        ]

    def _forget(self, reply: Reply) -> None:
        self._replies.pop((reply.leg, reply.response), None)

    def _settle(self, o: Observed) -> list[Effect]:
        """Finish a cut once the card has carried it out, or will not."""
        if self._cut is None:
            return []
        target, deadline = self._cut
        if o.flush_done < target and o.now_ns < deadline and self._rate:
            # Everything may have been played before the flush was seen; or the flush is just
            # being written (read before flush_done): the second look tells.
            reached, self._cut_reached = self._cut_reached, o.read >= target
            if not (reached and o.read >= target) and self._cut_replies:
                return []
        effects: list[Effect] = []
        heard: list[tuple[int, HeardItem]] = []
        for reply in self._cut_replies:
            for item in self._spoken(reply):
                whole = item.heard == item.received and item.complete
                item.heard = self._heard(o, item)
                whole = whole or (item.stored and item.heard == item.received)
                if not whole:
                    effects += self._tell(reply, item, item.heard, True)
                if reply.leg >= 0:
                    heard.append((reply.leg, _heard_item(reply, item, whole)))
            effects += self._reply_heard(reply)
            if reply.status:
                self._forget(reply)
        self._cut, self._cut_replies = None, []
        return [*effects, CutDone(heard)]

    def _follow_rate(self, o: Observed) -> list[Effect]:
        """A stream at another rate: what is in the ring is void and is stored again."""
        if o.samplerate == self._rate or not o.samplerate or self._cut is not None:
            return []
        effects: list[Effect] = []
        for _, item in self._line:
            item.rewind(self._heard(o, item))
        if o.read < self.published:
            effects.append(FlushTo(self.published))
        self.write = self.published
        self._rate = o.samplerate
        return effects


def _heard_item(reply: Reply, item: Item, whole: bool) -> HeardItem:
    return HeardItem(
        response=reply.response,
        item=item.name,
        ms=item.ms(item.heard),
        received_ms=item.ms(item.received),
        complete=whole,
    )


def as_samples(pcm: bytes) -> Samples:
    """Return int16 little-endian bytes as samples; an odd last byte is left out."""
    whole = len(pcm) - len(pcm) % 2
    return np.frombuffer(pcm[:whole], "<i2").astype(np.int16, copy=False)
