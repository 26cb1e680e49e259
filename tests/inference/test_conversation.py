from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.inference.conversation import (
    FRAME,
    PREROLL_FRAMES,
    Action,
    Conversation,
    Dropped,
    Forget,
    Purpose,
    Recognise,
    Respond,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from voiced.messages.inference import Settings

LONGEST_READING = 29 * 16_000


class Room:
    """Plays frames and edges to a conversation, and answers its readings when told to.

    A reading says which samples it read ("start-end"), so that a turn's text tells what it is made
    of. Unrealistic: time stands still between frames.
    """

    def __init__(self, wanted: Settings | None = None) -> None:
        self.turns = Conversation(wanted or Settings())
        self.told: list[Action] = []
        self.pending: list[Recognise] = []
        self.received = 0

    def carry_out(self, actions: list[Action], needed: int) -> None:
        for action in actions:
            self.told.append(action)
            if isinstance(action, Recognise):
                assert needed <= action.start < action.end <= self.received
                assert action.end - action.start <= LONGEST_READING
                self.pending.append(action)
            elif isinstance(action, Forget):
                self.pending = [job for job in self.pending if job.job != action.job]

    def frames(self, probability: float, count: int, level: float = -30.0) -> None:
        for _ in range(count):
            needed = self.turns.oldest_needed()
            self.received = max(self.received, self.turns.position + FRAME)
            self.carry_out(self.turns.frame(probability, level), needed)

    def edge(self, active: bool, beyond: int = 0) -> None:
        """An edge `beyond` samples past the last whole frame."""
        self.received = max(self.received, self.turns.position + beyond)
        needed = self.turns.oldest_needed()
        self.carry_out(self.turns.activity(active, self.received), needed)

    def answer(self, which: int = 0, text: str | None = None) -> None:
        if self.pending:
            job = self.pending.pop(which % len(self.pending))
            said = f"{job.start}-{job.end}" if text is None else text
            needed = self.turns.oldest_needed()
            self.carry_out(self.turns.recognised(job.job, said), needed)

    def answer_all(self, text: str | None = None) -> None:
        while self.pending:
            self.answer(0, text)

    def of(self, kind: type) -> list:
        return [action for action in self.told if isinstance(action, kind)]

    def finals(self) -> list[Transcript]:
        return [action for action in self.of(Transcript) if action.final]


def test_a_sentence_becomes_a_turn_with_preroll_and_an_answer() -> None:
    room = Room()
    room.frames(0.01, 40)
    room.frames(0.95, 50)
    room.frames(0.02, 15)
    room.answer_all()
    (started,) = room.of(SpeechStarted)
    (ended,) = room.of(SpeechEnded)
    assert started.sample == 40 * FRAME
    assert ended.sample == 90 * FRAME
    (final,) = room.finals()
    assert (final.item, final.start, final.end) == ("u1", 40 * FRAME, 90 * FRAME)
    start, end = map(int, final.text.split("-"))
    assert start == (40 - PREROLL_FRAMES) * FRAME
    assert end > 90 * FRAME
    assert room.of(Respond) == [Respond()]
    assert room.told[-1] == Respond()


def test_speech_is_told_after_two_frames() -> None:
    room = Room()
    room.frames(0.0, 5)
    room.frames(0.9, 1)
    assert not room.told
    room.frames(0.9, 1)
    assert room.told == [SpeechStarted(sample=5 * FRAME)]


def test_a_soft_onset_is_part_of_the_speech() -> None:
    room = Room()
    room.frames(0.0, 20)
    room.frames(0.4, 3)
    room.frames(0.9, 2)
    assert room.told == [SpeechStarted(sample=20 * FRAME)]


def test_the_final_is_read_during_the_silence_that_ends_the_turn() -> None:
    room = Room()
    room.frames(0.9, 30)
    room.frames(0.0, 5)
    assert [job.purpose for job in room.pending if job.purpose is not Purpose.PARTIAL] == [
        Purpose.SPECULATION
    ]
    room.answer_all("hello")
    room.frames(0.0, 9)
    assert not room.finals()
    room.frames(0.0, 1)  # 480 ms
    assert [final.text for final in room.finals()] == ["hello"]
    assert not room.pending


def test_speech_in_the_pause_revokes_the_speculation() -> None:
    room = Room()
    room.frames(0.9, 30)
    room.frames(0.0, 6)
    (speculation,) = [job for job in room.pending if job.purpose is Purpose.SPECULATION]
    room.frames(0.9, 10)
    assert Forget(job=speculation.job) in room.told
    room.frames(0.0, 15)
    room.answer_all()
    assert len(room.finals()) == 1


def test_partials_come_every_seven_tenths_of_a_second_of_speech_and_one_at_a_time() -> None:
    room = Room()
    room.frames(0.9, 23)
    assert [job.purpose for job in room.pending] == [Purpose.PARTIAL]
    room.frames(0.9, 60)
    assert len(room.pending) == 1
    room.answer(0, "and so")
    room.frames(0.9, 1)
    assert len(room.pending) == 1
    partial = room.of(Transcript)[-1]
    assert (partial.text, partial.final) == ("and so", False)


def test_no_partials_where_nobody_reads_them() -> None:
    room = Room(Settings(transcribe=False))
    room.frames(0.9, 200)
    assert not room.pending


@pytest.mark.parametrize("text", ["", None])
def test_a_turn_ends_once_with_words_or_dropped(text: str | None) -> None:
    room = Room()
    room.frames(0.9, 30)
    room.frames(0.0, 40)
    room.answer_all(text)
    assert len(room.finals()) == (text is None)
    assert len(room.of(Dropped)) == (text is not None)
    assert len(room.of(Respond)) == (text is None)


def test_a_click_is_dropped_without_a_reading() -> None:
    room = Room()
    room.frames(0.9, 2)
    room.frames(0.0, 15)
    assert not room.of(Recognise)
    assert len(room.of(Dropped)) == 1


def test_two_turns_are_closed_in_their_order_and_answered_once() -> None:
    room = Room()
    for _ in range(2):
        room.frames(0.9, 30)
        room.frames(0.0, 15)
    finals = [job for job in room.pending if job.purpose is not Purpose.PARTIAL]
    room.pending = finals
    room.answer(1, "second")
    assert not room.finals()
    room.answer(0, "first")
    assert [final.text for final in room.finals()] == ["first", "second"]
    assert len(room.of(Respond)) == 1


def test_nobody_is_answered_while_speaking() -> None:
    room = Room()
    room.frames(0.9, 30)
    room.frames(0.0, 15)
    room.frames(0.9, 4)
    room.answer_all("first")
    assert len(room.finals()) == 1
    assert not room.of(Respond)
    room.frames(0.9, 30)
    room.frames(0.0, 15)
    room.answer_all("")
    assert len(room.of(Dropped)) == 1
    assert len(room.of(Respond)) == 1


def test_short_sounds_do_not_barge_in() -> None:
    room = Room()
    room.turns.responding(True)
    room.frames(0.0, 20)
    room.frames(0.95, 6)
    room.frames(0.0, 20)
    room.frames(0.7, 50)
    assert not room.told


def test_a_fifth_of_a_second_of_speech_barges_in() -> None:
    room = Room()
    room.turns.responding(True)
    room.frames(0.0, 20)
    room.frames(0.95, 7)
    assert room.told == [SpeechStarted(sample=20 * FRAME)]


def test_a_reply_that_still_sounds_is_barged_into_the_same_way() -> None:
    room = Room()
    room.frames(0.0, 20)
    room.turns.sounding(60 * FRAME)
    room.frames(0.95, 6)
    assert not room.told
    room.frames(0.0, 34)
    room.frames(0.95, 2)  # it is over now
    assert room.told == [SpeechStarted(sample=60 * FRAME)]


def test_speech_that_began_under_the_reply_is_not_cut() -> None:
    room = Room()
    room.turns.sounding(60 * FRAME)
    room.frames(0.0, 40)
    room.frames(0.6, 22)  # too weak to barge in, until nothing sounds any more
    assert room.of(SpeechStarted) == [SpeechStarted(sample=40 * FRAME)]


def test_bargein_can_be_off() -> None:
    room = Room(Settings(bargein=False))
    room.turns.responding(True)
    room.frames(0.99, 100)
    assert not room.told


def test_push_to_talk_takes_exactly_what_lies_between_the_edges() -> None:
    room = Room(Settings(turn_detection=False))
    room.frames(0.99, 40)
    room.edge(True, 100)
    room.frames(0.99, 20)
    room.frames(0.0, 60)
    room.frames(0.99, 3)
    room.edge(False, 77)
    room.answer_all()
    assert room.of(SpeechStarted) == [SpeechStarted(sample=40 * FRAME + 100)]
    assert room.of(SpeechEnded) == [SpeechEnded(sample=123 * FRAME + 77)]
    (final,) = room.finals()
    assert final.text == f"{40 * FRAME + 100}-{123 * FRAME + 77}"


def test_a_held_pedal_without_a_sample_is_dropped() -> None:
    room = Room(Settings(turn_detection=False))
    room.edge(True, 5)
    room.edge(False, 5)
    assert len(room.of(Dropped)) == 1
    assert not room.of(Recognise)


def test_a_closing_gate_ends_a_spoken_turn() -> None:
    room = Room()
    room.frames(0.9, 30)
    room.edge(False, 200)
    room.answer_all()
    (final,) = room.finals()
    assert int(final.text.split("-")[1]) == 30 * FRAME + 200


def test_a_long_turn_is_cut_in_a_pause_and_loses_nothing() -> None:
    room = Room()
    for _ in range(6):  # 6 * 6.7 s with pauses too short to end the turn
        room.frames(0.9, 200)
        room.frames(0.0, 8)
        room.answer_all()
    room.frames(0.0, 20)
    room.answer_all()
    (final,) = room.finals()
    pieces = [tuple(map(int, piece.split("-"))) for piece in final.text.split()]
    assert len(pieces) == 3
    assert all(end == start for (_, end), (start, _) in pairwise(pieces))
    assert pieces[0][0] == 0
    assert pieces[-1][1] > 1_240 * FRAME
    assert max(end - start for start, end in pieces) < LONGEST_READING


def test_a_long_turn_without_a_pause_is_cut_where_it_is_quietest() -> None:
    room = Room()
    room.frames(0.9, 500)
    room.frames(0.9, 3, level=-55.0)
    room.frames(0.9, 300)
    room.frames(0.0, 20)
    room.answer_all()
    (final,) = room.finals()
    pieces = [tuple(map(int, piece.split("-"))) for piece in final.text.split()]
    assert len(pieces) == 2
    assert pieces[0][1] == pieces[1][0]
    assert 500 * FRAME < pieces[0][1] < 503 * FRAME


def test_a_microphone_that_pauses_in_silence_ends_the_turn_where_the_speech_ended() -> None:
    room = Room(Settings(hangover_ms=2_000))
    room.frames(0.9, 20)
    room.frames(0.0, 15)
    room.edge(False)
    room.answer_all()
    (final,) = room.finals()
    assert SpeechEnded(sample=20 * FRAME) in room.told
    assert final.end == 20 * FRAME


def test_a_microphone_that_pauses_within_a_word_ends_the_turn_there() -> None:
    room = Room(Settings(hangover_ms=2_000))
    room.frames(0.9, 20)
    room.edge(False, 100)
    room.answer_all()
    (final,) = room.finals()
    assert final.end == 20 * FRAME + 100
    assert final.text.endswith(f"-{final.end}")


step = st.one_of(
    st.tuples(
        st.just("frames"),
        st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]),
        st.sampled_from([1, 2, 3, 5, 8, 15, 40, 300, 900]),
        st.sampled_from([-20.0, -50.0]),
    ),
    st.tuples(st.just("edge"), st.booleans(), st.integers(0, FRAME - 1)),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("responding"), st.booleans()),
    st.tuples(st.just("sounding"), st.integers(0, 300)),
)


def play(room: Room, steps: list[tuple]) -> None:
    for one in steps:
        match one:
            case ("frames", probability, count, level):
                room.frames(probability, count, level)
            case ("edge", active, beyond):
                room.edge(active, beyond)
            case ("answer", which):
                room.answer(which)
            case ("responding", running):
                room.turns.responding(running)
            case ("sounding", ahead):
                room.turns.sounding(room.turns.position + ahead * FRAME)
    room.turns.responding(False)
    room.frames(0.0, 15)
    room.edge(False)
    room.answer_all()


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(step, max_size=40),
    wanted=st.builds(
        Settings,
        turn_detection=st.booleans(),
        transcribe=st.booleans(),
        bargein=st.booleans(),
        hangover_ms=st.sampled_from([0, 64, 160, 480, 2_000]),
    ),
)
def test_whatever_happens_turns_are_whole_ordered_and_closed_once(
    steps: list[tuple], wanted: Settings
) -> None:
    room = Room(wanted)
    play(room, steps)
    edges = [a for a in room.told if isinstance(a, SpeechStarted | SpeechEnded)]
    assert all(
        isinstance(a, SpeechStarted if n % 2 == 0 else SpeechEnded) for n, a in enumerate(edges)
    )
    assert len(edges) % 2 == 0
    assert all(a.sample <= b.sample for a, b in pairwise(edges))
    closed = [
        a for a in room.told if isinstance(a, Dropped) or (isinstance(a, Transcript) and a.final)
    ]
    assert [a.item for a in closed] == [f"u{n}" for n in range(1, len(edges) // 2 + 1)]
    assert not room.turns.speaking
    assert not room.turns.settling
    assert not room.pending
    for final in room.finals():
        pieces = [tuple(map(int, piece.split("-"))) for piece in final.text.split()]
        assert pieces[0][0] <= final.start
        assert all(end == start for (_, end), (start, _) in pairwise(pieces))
        assert pieces[-1][1] >= final.end
    # Whoever spoke last has been answered.
    if room.finals():
        last = max(n for n, a in enumerate(room.told) if a in room.finals())
        assert Respond() in room.told[last:]
