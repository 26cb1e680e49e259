"""What leaves, against a model that decides frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voiced.lane.words import Edge
from voiced.network.upload import (
    Closed,
    Opened,
    Pace,
    Rules,
    SampleMap,
    Skipped,
    Slipped,
    Stretch,
    Upload,
    Wait,
)


def rules(push_to_talk=False, preroll=0, floor=0, sounds=lambda a, b: False) -> Rules:
    return Rules(push_to_talk, preroll, floor, sounds)


def edges_of(frames: list[int]) -> list[Edge]:
    return [Edge(frame, n % 2 == 0, n + 1) for n, frame in enumerate(sorted(frames))]


def walk(upload: Upload, write: int, oldest: int = 0, at_most: int = 1000) -> list:
    steps = []
    while not isinstance(step := upload.next(write, oldest, at_most), Wait):
        steps.append(step)
        assert len(steps) < 10_000
    return steps


def frames(steps) -> list[int]:
    return [f for s in steps if isinstance(s, Stretch) for f in range(s.start, s.stop)]


def open_frames(edges: list[Edge], start: int, write: int) -> list[int]:
    """The definition: a frame is sent if the last edge at or before it opened the gate."""
    sent = []
    for frame in range(start, write):
        state = False
        for edge in edges:
            if edge.frame <= frame:
                state = edge.open
        if state:
            sent.append(frame)
    return sent


@settings(max_examples=150, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=8),
    start=st.integers(0, 80),
    chops=st.lists(st.integers(0, 100), max_size=8),
    at_most=st.integers(1, 30),
    push_to_talk=st.booleans(),
)
def test_exactly_the_frames_between_edges_leave_once_and_in_order(
    edges, start, chops, at_most, push_to_talk
):
    log = [Edge(f, o, n) for n, (f, o) in enumerate(sorted(edges, key=lambda e: e[0]))]
    known = [edge for edge in log if edge.frame <= start]
    upload = Upload(start, known, rules(push_to_talk))
    steps = []
    for write in sorted({*(chop for chop in chops if chop >= start), 100}):
        fresh = [edge for edge in log if start < edge.frame <= write and edge not in known]
        known += fresh
        upload.learn(fresh)
        steps += walk(upload, write, at_most=at_most)
    assert frames(steps) == open_frames(log, start, 100)
    assert upload.position == 100
    # Edges are told in turn, and every stretch lies between an opening and its closing.
    is_open = False
    for step in steps:
        match step:
            case Opened():
                assert not is_open
                is_open = True
            case Closed():
                assert is_open
                is_open = False
            case Stretch():
                assert is_open
                assert step.stop - step.start <= at_most


@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(st.integers(0, 200), unique=True, min_size=1, max_size=8),
    preroll=st.integers(0, 60),
    floor=st.integers(0, 100),
    sounding=st.lists(st.integers(0, 200), max_size=3),
)
def test_preroll_never_reaches_before_close_edge_or_session_nor_while_it_sounds(
    points, preroll, floor, sounding
):
    log = edges_of(points)
    upload = Upload(
        0,
        [],
        rules(True, preroll, floor, lambda a, b: any(a <= s < b for s in sounding)),
    )
    upload.learn(log)
    steps = walk(upload, 250)
    sent = frames(steps)
    assert len(sent) == len(set(sent))
    wanted, last_close = [], 0
    for edge, close in zip(log[::2], [*log[1::2], None], strict=False):
        begin = max(edge.frame - preroll, last_close, floor)
        if begin > edge.frame or any(begin <= s < edge.frame for s in sounding):
            begin = edge.frame
        end = close.frame if close else 250
        wanted += range(begin, end)
        last_close = end
    assert sent == wanted
    assert [s.frame for s in steps if isinstance(s, Closed)] == [e.frame for e in log if not e.open]


def test_a_continuous_session_has_no_preroll():
    upload = Upload(0, [], rules(False, 50))
    upload.learn([Edge(100, True, 1)])
    assert frames(walk(upload, 120)) == list(range(100, 120))


def test_a_new_epoch_splits_a_stretch_and_starts_afresh():
    upload = Upload(0, [Edge(0, True, 1)], rules())
    upload.learn([], [0, 50])
    steps = walk(upload, 80)
    assert steps == [Opened(0), Stretch(0, 50, True), Stretch(50, 80, True)]


def test_preroll_does_not_cross_into_another_epoch():
    upload = Upload(0, [], rules(True, 40))
    upload.learn([Edge(100, True, 1)], [0, 80])
    assert frames(walk(upload, 110)) == list(range(80, 110))


def test_a_turn_that_began_before_the_first_frame_is_announced_there():
    upload = Upload(30, [Edge(10, True, 1)], rules(True, 20))
    assert walk(upload, 40) == [Opened(30), Stretch(30, 40, True)]


def test_a_turn_that_ended_at_the_first_frame_is_not_begun_again_there():
    """A leg goes on where the turn before it ended: an empty turn would be answered, and paid."""
    log = [Edge(10, True, 1), Edge(30, False, 2)]
    assert walk(Upload(30, log, rules(True)), 60) == []
    going_on = Upload(30, [*log, Edge(50, True, 3)], rules(True))
    assert walk(going_on, 60) == [Opened(50), Stretch(50, 60, True)]
    assert walk(Upload(30, [*log, Edge(30, True, 3)], rules(True)), 40)[0] == Opened(30)


def test_a_turn_ended_by_hand_ends_there():
    upload = Upload(0, [Edge(10, True, 1)], rules(True))
    upload.end_turn(25)
    upload.learn([Edge(60, False, 2)])
    steps = walk(upload, 100)
    assert frames(steps) == list(range(10, 25))
    assert [s.frame for s in steps if isinstance(s, Closed)] == [25]


def test_a_turn_begun_by_hand_goes_on_with_the_edge_that_comes():
    upload = Upload(10, [Edge(2, False, 1)], rules(True))
    upload.begin_turn(10)
    upload.learn([Edge(40, True, 2), Edge(60, False, 3)])
    steps = walk(upload, 100)
    assert frames(steps) == list(range(10, 60))
    assert [s.frame for s in steps if isinstance(s, Opened)] == [10]


def test_a_turn_begun_and_ended_by_hand():
    upload = Upload(10, [], rules(True))
    upload.begin_turn(10)
    upload.end_turn(30)
    assert frames(walk(upload, 100)) == list(range(10, 30))


def test_the_writer_laps_a_turn_and_it_goes_on_with_what_is_left():
    upload = Upload(0, [Edge(0, True, 1)], rules(True))
    assert frames(walk(upload, 10)) == list(range(10))
    assert upload.next(100, 40, 1000) == Skipped(30, 40, True)
    steps = walk(upload, 100, 40)
    assert steps == [Stretch(40, 100, True)]
    assert upload.sending


def test_lapped_where_nothing_was_to_be_sent_is_no_loss():
    upload = Upload(0, [], rules())
    upload.learn([Edge(60, True, 1)])
    assert frames(walk(upload, 100, 40)) == list(range(60, 100))


def test_a_turn_that_ended_in_what_was_lost_is_closed_before_the_next_is_opened():
    upload = Upload(0, [Edge(0, True, 1)], rules(True))
    walk(upload, 10)
    upload.learn([Edge(20, False, 2), Edge(30, True, 3)])
    steps = walk(upload, 100, 40)
    assert steps[0] == Skipped(20, 40, True)
    assert steps[1:] == [Closed(40), Opened(40), Stretch(40, 100, True)]


@settings(max_examples=150, deadline=None)
@given(
    points=st.lists(st.integers(0, 200), unique=True, max_size=8),
    jumps=st.lists(st.tuples(st.integers(1, 80), st.integers(0, 60)), max_size=10),
)
def test_however_it_is_lapped_nothing_leaves_twice_or_from_behind_a_closed_gate(points, jumps):
    log = edges_of(points)
    upload = Upload(0, [], rules(True))
    upload.learn(log)
    write, steps, is_open = 0, [], False
    for by, kept in jumps:
        write += by
        for step in walk(upload, write, max(0, write - kept), at_most=7):
            steps.append(step)
            if isinstance(step, Opened | Closed):
                assert is_open == isinstance(step, Closed)
                is_open = isinstance(step, Opened)
            if isinstance(step, Stretch):
                assert is_open
    sent = frames(steps)
    assert sent == sorted(set(sent))
    allowed = set(open_frames(log, 0, write))
    assert set(sent) <= allowed
    lost = sum(step.frames for step in steps if isinstance(step, Skipped))
    assert len(sent) + lost == len(allowed)


# --- a new leg ------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    points=st.lists(st.integers(0, 200), unique=True, max_size=8),
    start=st.integers(0, 200),
    keep=st.integers(0, 150),
    push_to_talk=st.booleans(),
)
@example(points=[10], start=10, keep=0, push_to_talk=True)
@example(points=[10, 200], start=10, keep=50, push_to_talk=False)
def test_turns_too_old_are_dropped_whole_and_told(points, start, keep, push_to_talk):
    log = edges_of(points)
    upload = Upload(start, log, rules(push_to_talk))
    skipped = upload.trim(200, keep)
    sent = frames(walk(upload, 200))
    everything = open_frames(log, start, 200)
    assert len(sent) + (skipped.frames if skipped else 0) == len(everything)
    assert sent == everything[len(everything) - len(sent) :]
    cutoff = 200 - keep
    turns = [
        (a.frame, b.frame if b else 200) for a, b in zip(log[::2], [*log[1::2], None], strict=False)
    ]
    for a, b in turns:
        turn = [frame for frame in everything if a <= frame < b]
        if not turn:
            continue
        kept = [frame for frame in turn if frame in set(sent)]
        ongoing = b == 200 and not any(e.frame == 200 and not e.open for e in log)
        if keep == 0:
            assert not kept
        elif ongoing and not push_to_talk:
            assert kept == [frame for frame in turn if frame >= cutoff]
        elif b < cutoff and not ongoing:
            assert not kept
        else:
            assert kept == turn


def test_a_turn_sent_again_has_the_preroll_it_had():
    log = [Edge(0, True, 1), Edge(50, False, 2), Edge(100, True, 3)]
    first = Upload(0, [], rules(True, 30, floor=0))
    first.learn(log)
    opened = [s.frame for s in walk(first, 120) if isinstance(s, Opened)]
    assert opened == [0, 70]
    for from_frame, floor in ((70, 70), (100, 0)):
        again = Upload(from_frame, log, rules(True, 30, floor))
        assert frames(walk(again, 120)) == list(range(70, 120))


# --- pace and positions ---------------------------------------------------------------------


@pytest.mark.parametrize("multiple", [2.0, 8.0])
def test_kept_speech_leaves_at_the_pace_and_no_faster(multiple):
    pace, now, backlog, sent = Pace(multiple), 100.0, 5.0, 0.0
    while backlog > 0.05:
        due = pace.due_s(now, backlog)
        backlog += due - now
        now = max(now, due)
        pace.sent(0.1)
        sent, backlog = sent + 0.1, backlog - 0.1
        assert sent <= (now - 100.0) * multiple + 0.1001
    # 5 s behind, gaining (multiple - 1) seconds each second.
    assert now - 100.0 == pytest.approx(5.0 / (multiple - 1), rel=0.1)


def test_real_time_is_not_paced():
    pace = Pace(2.0)
    for n in range(100):
        assert pace.due_s(float(n), 0.02) == n
        pace.sent(0.01)


@settings(max_examples=100, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 4000)), min_size=1, max_size=10),
    near=st.sampled_from([44100, 48000]),
    rate=st.sampled_from([16000, 24000, 48000]),
)
def test_a_sample_is_found_where_it_was_spoken(runs, near, rate):
    positions, sample, frame = SampleMap(rate), 0, 0
    table = []
    for gap, length in runs:
        frame += gap
        positions.anchor(sample, frame, near)
        for k in range(0, length, 97):
            table.append((sample + k, frame + k * near / rate))
        sample += length
        frame += length * near // rate + 1
    for at, wanted in table:
        assert abs(positions.frame_of(at) - wanted) < 1


def test_silence_sent_behind_a_turn_is_at_the_turns_end():
    positions = SampleMap(16000)
    assert positions.frame_of(0) == -1
    positions.anchor(0, 1000, 48000)
    positions.anchor(160, 1480, 0)
    assert positions.frame_of(100) == 1300
    assert positions.frame_of(5000) == 1480


# --- a slip on the pedal


def pressed(spoken: range, least: int = 20, preroll: int = 5) -> Rules:
    """Return rules with somebody who speaks at these frames."""

    def speaks(start: int, stop: int) -> bool:
        return any(start <= frame < stop for frame in spoken)

    return Rules(True, preroll, 0, lambda a, b: False, least, speaks)


def test_a_short_press_without_a_word_is_no_turn_and_the_next_one_is_as_ever() -> None:
    upload = Upload(0, [], pressed(range(0)))
    upload.learn([Edge(30, True, 1)])
    assert walk(upload, 40) == []
    assert upload.listening
    assert not upload.sending
    upload.learn([Edge(45, False, 2)])
    assert walk(upload, 60) == [Slipped(30, 45)]
    assert not upload.listening
    assert upload.position == 60
    upload.learn([Edge(70, True, 3)])
    assert walk(upload, 89) == []
    # Long enough to be meant; no pre-roll reaches back behind the slip's end.
    assert walk(upload, 90) == [Opened(65), Stretch(65, 90, True)]
    upload.learn([Edge(95, False, 4)])
    assert walk(upload, 100) == [Stretch(90, 95, False), Closed(95)]


@pytest.mark.parametrize("spoken", [range(33, 34), range(26, 27)], ids=["pressed", "preroll"])
def test_a_word_makes_any_press_a_turn_at_once(spoken: range) -> None:
    upload = Upload(0, [], pressed(spoken))
    upload.learn([Edge(30, True, 1)])
    assert walk(upload, 35) == [Opened(25), Stretch(25, 35, True)]
    upload.learn([Edge(38, False, 2)])
    assert walk(upload, 50)[-1] == Closed(38)


def test_several_slips_at_once_are_several() -> None:
    log = [Edge(10, True, 1), Edge(15, False, 2), Edge(20, True, 3), Edge(22, False, 4)]
    upload = Upload(0, [], pressed(range(0)))
    upload.learn(log)
    assert walk(upload, 60) == [Slipped(10, 15), Slipped(20, 22)]


def test_without_talk_every_opening_counts() -> None:
    upload = Upload(0, [], pressed(range(0))._replace(push_to_talk=False))
    upload.learn([Edge(10, True, 1), Edge(12, False, 2)])
    assert walk(upload, 20) == [Opened(10), Stretch(10, 12, True), Closed(12)]
