"""The playout against a loudspeaker that keeps the callback's rules, and against arithmetic.

The loudspeaker here fades for exactly `fade` frames and works in blocks; unlike a card it has no
clock, so instants and positions are whatever a test makes of them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.messages.network import Heard, Playing, ReplaySounds, ReplyHeard
from voiced.network.playout import (
    HOLD_FIRST_NS,
    Complete,
    CutDone,
    FlushTo,
    Gap,
    Observed,
    Playout,
    Publish,
    Write,
)
from voiced.network.reply import SPREAD_LAG

MS = 1_000_000
RATE = 48000
BLOCK = 480


class Card:
    """A loudspeaker and the ring in front of it, and the playout they serve."""

    def __init__(self, *, capacity: int = 10 * RATE, write: int = 0, rate: int = RATE) -> None:
        self.ring: dict[int, int] = {}
        self.read = self.published = write
        self.flush_to = self.silent_at = self.flush_done = 0
        self.complete = -1
        self.now = 0
        self.rate, self.capacity = rate, capacity
        self.playout = Playout("a", write)
        self.sounded: list[int] = []
        self.told: list = []
        self.cuts: list[list] = []
        self.gaps = 0

    def observed(self) -> Observed:
        return Observed(
            now_ns=self.now,
            read=self.read,
            read_ns=self.now,
            silent_at=self.silent_at,
            flush_done=self.flush_done,
            samplerate=self.rate,
            capacity=self.capacity,
        )

    def do(self, effects) -> None:
        for effect in effects:
            match effect:
                case Write(position, samples):
                    assert position >= self.published, "what is published is never touched"
                    assert position + len(samples) - self.read <= self.capacity
                    self.ring.update(enumerate(samples.tolist(), position))
                case Publish(position):
                    assert position > self.published
                    self.published = position
                case Complete(position):
                    self.complete = position
                case FlushTo(position):
                    assert position == self.published
                    self.flush_to = position
                case Gap():
                    self.gaps += 1
                case CutDone(items):
                    self.cuts.append(items)
                case _:
                    self.told.append(effect)

    def delta(self, samples, response="r", item="i", leg=1, text_until=None, rate=RATE) -> None:
        samples = np.asarray(samples, np.int16)
        o = self.observed()
        self.do(self.playout.received(o, leg, response, item, samples, rate, text_until))

    def done(self, response="r", leg=1, status="completed") -> None:
        self.do(self.playout.done(self.observed(), leg, response, status))

    def step(self) -> None:
        self.do(self.playout.step(self.observed()))

    def block(self, frames: int = BLOCK, fade: int = 240) -> None:
        """What the callback does in one block."""
        if self.flush_to > self.read:
            stop = min(self.read + fade, self.flush_to)
            self.sounded += [self.ring[f] for f in range(self.read, stop)]
            self.silent_at, self.read = stop, self.flush_to
            self.flush_done = self.flush_to
        else:
            stop = min(self.read + frames, self.published)
            self.sounded += [self.ring[f] for f in range(self.read, stop)]
            self.read = stop
        self.now += frames * 1_000_000_000 // self.rate

    def play(self, seconds: float, look_every: int = 2) -> None:
        for n in range(int(seconds * self.rate / BLOCK)):
            self.block()
            if n % look_every == 0:
                self.step()
        self.step()

    def facts(self, kind):
        return [fact for fact in self.told if isinstance(fact, kind)]


def ramp(frames: int, start: int = 1) -> np.ndarray:
    return (np.arange(start, start + frames) % 30000 + 1).astype(np.int16)


def test_a_burst_sounds_at_once_and_whole():
    card = Card()
    card.delta(ramp(4800))
    assert card.published == 0
    card.now += 2 * MS
    card.delta(ramp(4800, 4801))
    assert card.published == 9600
    card.done()
    assert card.complete == 9600
    card.play(0.5)
    assert card.sounded == ramp(9600).tolist()
    assert card.gaps == 0
    assert [type(fact) for fact in card.told if not isinstance(fact, Heard)] == [
        Playing,
        ReplyHeard,
    ]
    assert card.facts(Heard)[-1].ms == 200


def test_a_complete_reply_sounds_at_once():
    card = Card()
    card.delta(ramp(100))
    card.done()
    assert card.published == 100


def test_the_first_delta_of_a_reply_in_real_time_is_held_by_age():
    card = Card()
    card.delta(ramp(4800))
    assert card.playout.next_ns(card.observed()) <= HOLD_FIRST_NS
    card.now = HOLD_FIRST_NS - 1
    card.step()
    assert card.published == 0
    card.now = HOLD_FIRST_NS
    card.step()
    assert card.published == 4800


def test_short_deltas_in_real_time_do_not_pass_for_a_burst():
    card = Card()
    card.delta(ramp(960))
    card.now += 20 * MS
    card.delta(ramp(960))
    assert card.published == 0


@pytest.mark.parametrize("jitter_ms", [0, 20, 40])
def test_real_time_pace_with_jitter_below_the_hold_leaves_no_gap(jitter_ms):
    card = Card()
    arrivals = [(100 * n + (jitter_ms if n % 2 else 0)) * MS for n in range(20)]
    for n, at in enumerate(arrivals):
        while card.now < at:
            card.block(48)
            card.step()
        card.delta(ramp(4800, 1 + 4800 * n))
    card.done()
    card.play(1.0)
    assert card.gaps == 0
    assert card.sounded == ramp(96000).tolist()


def test_running_dry_is_a_gap_and_raises_the_hold():
    card = Card()
    card.delta(ramp(480))
    card.delta(ramp(480))
    before = card.playout.hold_ns
    card.play(0.1)
    card.delta(ramp(480))
    assert card.gaps == 1
    assert card.playout.hold_ns > before
    card.done()
    card.play(0.1)
    assert card.gaps == 1
    # A reply that was complete when it ran out, and the next one: no gap.
    card.delta(ramp(480), response="r2")
    assert card.gaps == 1


@pytest.mark.parametrize("item_is_done", [False, True])
def test_a_reply_that_waits_for_its_tool_leaves_no_gap(item_is_done):
    card = Card()
    card.delta(ramp(480))
    card.delta(ramp(480))
    if item_is_done:
        card.do(card.playout.item_done(card.observed(), 1, "r", "i"))
        card.play(0.005)
    card.do(card.playout.paused(card.observed(), 1))
    assert card.complete == card.playout.write, "the card is told that running dry is right"
    before = card.playout.hold_ns
    card.play(0.5)
    card.delta(ramp(480), item="j")
    card.play(0.1)
    assert (card.gaps, card.playout.hold_ns) == (0, before)
    # It speaks again: from here on running dry is a gap as ever.
    card.delta(ramp(480), item="j")
    assert card.gaps == 1


def test_more_than_the_ring_waits_here_and_follows():
    card = Card(capacity=RATE)
    card.delta(ramp(3 * RATE))
    card.done()
    for _ in range(400):
        card.block()
        card.step()
    assert card.sounded == ramp(3 * RATE).tolist()


@settings(max_examples=50, deadline=None)
@given(
    deltas=st.lists(st.integers(1, 5000), min_size=1, max_size=8),
    blocks=st.lists(st.integers(1, 900), max_size=30),
    write=st.integers(0, 10**12),
    fade=st.integers(0, 240),
    margin_before=st.integers(0, 3),
)
def test_what_was_heard_when_cut_is_exact(deltas, blocks, write, fade, margin_before):
    card = Card(write=write)
    for n, length in enumerate(deltas):
        card.delta(ramp(length, 1 + sum(deltas[:n])))
        if n == margin_before:
            for frames in blocks[:3]:
                card.block(frames)
                card.step()
    card.now += HOLD_FIRST_NS * 10
    card.step()
    for frames in blocks:
        card.block(frames)
        card.step()
    card.do(card.playout.cut(card.observed()))
    for _ in range(4):
        card.block(BLOCK, fade)
        card.now += 5 * MS
        card.step()
    (items,) = card.cuts
    ((leg, item),) = items
    assert (leg, item.item) == (1, "i")
    assert item.ms == len(card.sounded) * 1000 // RATE
    assert item.received_ms == sum(deltas) * 1000 // RATE
    heard = card.facts(Heard)
    if heard and heard[-1].cut:
        assert heard[-1].ms == item.ms
    assert card.sounded == ramp(sum(deltas)).tolist()[: len(card.sounded)]
    assert not item.complete
    assert len(card.facts(ReplyHeard)) == 1
    # The dead reply stays dead, the next one is heard from its first frame.
    card.delta([7] * 100)
    card.done(status="cancelled")
    sounded = len(card.sounded)
    card.delta(ramp(500), response="r2")
    card.done("r2")
    card.play(0.1)
    assert card.sounded[sounded:] == ramp(500).tolist()


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from([16000, 24000, 44100]), cut_at=st.integers(1, 60), fade=st.integers(0, 240)
)
def test_heard_ms_at_another_rate_is_within_a_millisecond_of_the_ring(rate, cut_at, fade):
    card = Card()
    card.delta(np.full(rate, 1000), rate=rate)
    card.done()
    for _ in range(cut_at):
        card.block()
        card.step()
    card.do(card.playout.cut(card.observed()))
    card.block(BLOCK, fade)
    card.step()
    ((_, item),) = card.cuts[0]
    exact = len(card.sounded) * 1000 / RATE
    assert exact - 1.001 < item.ms <= exact


def test_a_cut_drops_late_deltas_until_the_reply_is_done():
    card = Card()
    card.delta(ramp(4800))
    card.delta(ramp(4800))
    card.do(card.playout.cut(card.observed()))
    card.block()
    card.step()
    published = card.published
    for _ in range(5):
        card.delta(ramp(4800))
        card.delta(ramp(4800), item="a new one")
    assert card.playout.is_dead(1, "r")
    card.done(status="cancelled")
    card.play(0.2)
    assert card.published == published
    assert not card.playout.is_dead(1, "r")
    assert len(card.facts(ReplyHeard)) == 1


def test_a_cut_without_a_card_is_settled_at_its_deadline():
    card = Card()
    card.delta(ramp(9600))
    card.done()
    card.do(card.playout.cut(card.observed()))
    assert not card.cuts
    card.now += 200 * MS
    card.step()
    ((_, item),) = card.cuts[0]
    assert item.ms == 0


def test_cutting_again_and_again_does_not_put_off_the_answer():
    card = Card()
    card.delta(ramp(9600))
    card.done()
    for _ in range(10):
        card.do(card.playout.cut(card.observed()))
        card.now += 40 * MS
        card.step()
    assert sum(len(cut) for cut in card.cuts) == 1


def test_a_cut_with_nothing_to_cut_is_settled_at_once():
    card = Card()
    card.do(card.playout.cut(card.observed()))
    assert card.cuts == [[]]


def test_a_reply_fully_heard_is_no_part_of_a_cut():
    card = Card()
    card.delta(ramp(960))
    card.done()
    card.play(0.2)
    card.do(card.playout.cut(card.observed()))
    assert card.cuts == [[]]
    assert not any(heard.cut for heard in card.facts(Heard))


def test_an_item_heard_whole_of_a_reply_that_goes_on_is_told_as_complete():
    card = Card()
    card.delta(ramp(960), item="one")
    card.delta(ramp(9600), item="two")
    card.play(0.1)
    card.do(card.playout.cut(card.observed()))
    card.block()
    card.step()
    one, two = (item for _, item in card.cuts[0])
    assert (one.item, one.ms, one.complete) == ("one", 20, True)
    assert (two.item, two.complete) == ("two", False)
    assert [(h.item, h.cut) for h in card.facts(Heard)][-1] == ("two", True)


def test_what_control_stops_was_not_heard():
    card = Card()
    card.delta(ramp(48000))
    card.delta(ramp(48000))
    card.play(0.2)
    heard = len(card.sounded)
    card.flush_to = card.published  # STOP_TO: the callback takes the larger of the two
    card.block(BLOCK, 240)
    card.step()
    card.do(card.playout.cut(card.observed()))
    card.block()
    card.step()
    assert len(card.sounded) == heard + 240
    ((_, item),) = card.cuts[-1]
    assert item.ms == (heard + 240) * 1000 // RATE


def test_text_only_replies_are_heard_at_once():
    card = Card()
    card.playout.started(1, "r", 0)
    card.playout.text(1, "r", "i", "0123456789")
    card.done()
    assert [type(fact) for fact in card.told] == [ReplyHeard]


def test_characters_are_exact_where_the_service_aligns_them():
    card = Card()
    card.playout.text(1, "r", "i", "声" * 20)
    card.delta(ramp(4800), text_until=4)
    card.delta(ramp(4800), text_until=20)
    card.done()
    card.play(0.18, look_every=1)
    last = card.facts(Heard)[-1]
    assert last.ms > 100
    assert abs(last.chars - 4 - (last.ms - 100) * 16 / 100) <= 1, "4 at 100 ms and 20 at 200"
    card.play(0.2)
    assert card.facts(Heard)[-1].chars == 20


def test_characters_are_in_proportion_elsewhere():
    card = Card()
    card.playout.text(1, "r", "i", "声" * 40)
    card.delta(ramp(19200))
    card.done()
    card.play(0.3, look_every=1)
    told = card.facts(Heard)
    assert len(told) >= 3
    # Whole blocks of 20 ms, some of them late: two characters in each.
    assert [h.chars for h in told] == [2 * max(0, h.ms // 20 - SPREAD_LAG) for h in told]


def test_a_word_is_told_as_it_begins_and_no_word_is_taken_back():
    card = Card()
    card.playout.text(1, "r", "i", "A word, another one.")
    card.delta(ramp(28800))
    card.done()
    card.play(0.7, look_every=1)
    told = card.facts(Heard)
    begun = [len("A word, another one."[: h.chars].split()) for h in told]
    assert begun == sorted(begun)
    assert all(now - before <= 1 for before, now in zip(begun, begun[1:], strict=False))
    assert begun[-1] == 4
    assert {b.ms - a.ms for a, b in zip(told, told[1:], strict=False)} - {70, 80}, "at once"


def test_a_pause_between_words_speaks_no_characters():
    card = Card()
    card.playout.text(1, "r", "i", "声" * 20)
    card.delta(np.concatenate([ramp(4800), np.zeros(9600, np.int16), ramp(4800)]))
    card.done()
    card.play(0.4, look_every=1)
    told = [h.chars for h in card.facts(Heard) if 100 + 20 * SPREAD_LAG <= h.ms < 300]
    assert len(told) >= 2
    assert set(told) == {10}, "half of the words, then the pause"


def test_words_whose_sound_is_to_come_are_not_squeezed_into_what_came():
    card = Card()
    card.playout.text(1, "r", "i", "ten chars " * 10)
    card.delta(ramp(9600))
    card.play(0.2, look_every=1)
    assert card.facts(Heard)[-1].ms >= 70
    assert card.facts(Heard)[-1].chars < 5, "nobody says 100 characters in a fifth of a second"


def test_latency_is_from_the_users_last_frame_to_the_first_sounding_one():
    card = Card()
    card.now = 1000 * MS
    card.playout.started(1, "r", 700 * MS)
    card.delta(ramp(9600))
    card.done()
    card.play(0.5)
    assert card.facts(ReplyHeard)[0].latency_s == pytest.approx(0.3, abs=0.0001)


def test_replay_sounds_again_and_tells_that_it_does():
    card = Card()
    card.do(card.playout.replay(card.observed()))
    card.delta(ramp(4800), item="one")
    card.delta(ramp(480, 4801), item="two")
    card.done()
    card.play(0.5)
    told = len(card.told)
    card.do(card.playout.replay(card.observed()))
    card.play(0.5)
    assert card.sounded == ramp(5280).tolist() * 2
    assert [(type(fact), fact.on) for fact in card.told[told:]] == [
        (ReplaySounds, True),
        (ReplaySounds, True),
        (ReplaySounds, False),
    ], "for each of its two items, and at its end"
    card.playout.forget_reply()
    card.do(card.playout.replay(card.observed()))
    card.play(0.5)
    assert len(card.sounded) == 2 * 5280


def test_a_reply_that_was_cut_is_not_replayed():
    card = Card()
    card.delta(ramp(48000))
    card.done()
    card.play(0.1)
    card.do(card.playout.cut(card.observed()))
    card.block()
    card.step()
    sounded = len(card.sounded)
    card.do(card.playout.replay(card.observed()))
    card.play(0.2)
    assert len(card.sounded) == sounded


def test_another_rate_of_the_card_goes_on_where_it_was():
    card = Card()
    card.delta(np.full(48000, 1000))
    card.done()
    card.play(0.25)
    before = len(card.sounded)
    card.rate = 24000
    card.step()
    card.block(BLOCK, 0)
    card.play(1.0)
    after = len(card.sounded) - before
    assert after == pytest.approx((48000 - before) / 2, abs=2)
    assert card.facts(Heard)[-1].ms == 1000
    assert len(card.facts(ReplyHeard)) == 1


def test_no_card_yet_keeps_the_reply_for_when_it_comes():
    card = Card(rate=0)
    card.delta(ramp(480))
    card.done()
    card.now += 1000 * MS
    card.step()
    assert card.published == 0
    card.rate = RATE
    card.step()
    card.play(0.1)
    assert card.sounded == ramp(480).tolist()


def test_a_leg_that_ends_in_the_middle_lets_its_words_sound():
    card = Card()
    card.delta(ramp(9600))
    card.do(card.playout.left(card.observed(), 1))
    card.play(0.3)
    assert card.sounded == ramp(9600).tolist()
    assert len(card.facts(ReplyHeard)) == 1


def test_it_asks_for_no_step_when_nothing_is_left():
    card = Card()
    assert card.playout.next_ns(card.observed()) is None
    card.delta(ramp(480))
    card.done()
    assert card.playout.next_ns(card.observed()) is not None
    card.play(0.1)
    assert card.playout.next_ns(card.observed()) is None
