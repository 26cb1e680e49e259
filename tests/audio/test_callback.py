"""The callback core: arrays in, arrays out, words in between. No device, no clock that matters."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.rig import ring_copy
from voiced.audio.callback import Callback, LaneIO
from voiced.lane.seam import Wake
from voiced.lane.words import MILLION, Device, DeviceSegment, Edge, Lane, LaneSegment, Playback

RATE = 48000
FADE = 240
"""5 ms."""
RAMP = 960
"""20 ms."""
BLOCK = 128


class Bench:
    """Segments, a callback and a card of arrays."""

    def __init__(
        self, *maps, duplex=True, near_s=2.0, speaker_s=2.0, inputs=4, outputs=4, append=480
    ):
        self.maps = maps or (((1,), (1,)),)
        self.device_fd, self.device = DeviceSegment.create()
        pairs = [LaneSegment.create(RATE, near_s=near_s, speaker_s=speaker_s) for _ in self.maps]
        self.fds = [fd for fd, _ in pairs]
        self.lanes = [lane for _, lane in pairs]
        self.lane = self.lanes[0]
        self.near_wake, self.edge_wake = Wake.create(), Wake.create()
        self.duplex, self.inputs, self.outputs, self.append = duplex, inputs, outputs, append
        self.start()

    def start(self):
        """Start (again), as a new process would."""
        self.callback = Callback(
            self.device_fd,
            [LaneIO(fd, i, o) for fd, (i, o) in zip(self.fds, self.maps, strict=True)],
            samplerate=RATE,
            duplex=self.duplex,
            append_frames=self.append,
            near_wake=self.near_wake,
            edge_wake=self.edge_wake,
        )

    def run(self, frames, block=BLOCK, heard=None):
        """Serve `frames` in blocks; `heard` (frames, inputs) is the microphone. Return playout."""
        played = []
        for at in range(0, frames, block):
            count = min(block, frames - at)
            playout = np.full((count, self.outputs), 9.0, np.float32)
            samples = np.zeros((count, self.inputs), np.float32)
            if heard is not None:
                samples[:] = heard[at : at + count]
            self.callback.duplex(samples, playout, count)
            played.append(playout)
        return np.concatenate(played)

    def say(self, samples, lane=None, *, complete=True):
        lane = lane or self.lane
        at = lane.speaker.write_position
        lane.speaker.store(at, memoryview(np.ascontiguousarray(samples, np.int16)))
        end = at + len(samples)
        if complete:
            lane.put(Lane.SPEAKER_COMPLETE, end)
        lane.speaker.publish_write(end)
        return end

    def far(self, start, end, lane=None):
        return ring_copy((lane or self.lane).far, start, end)

    def near(self, start, end, lane=None):
        return ring_copy((lane or self.lane).near, start, end)

    def close(self):
        for fd in (self.device_fd, *self.fds):
            os.close(fd)
        self.near_wake.close()
        self.edge_wake.close()


@pytest.fixture
def make():
    benches = []

    def build(*maps, **options):
        benches.append(Bench(*maps, **options))
        return benches[-1]

    yield build
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make):
    return make()


def noise(frames, amplitude=8000, seed=1):
    return np.random.default_rng(seed).integers(-amplitude, amplitude, frames).astype(np.int16)


def steps(played):
    """Output as the int16 steps it stands for."""
    return np.rint(played * 32768).astype(int)


def numbered(start, frames):
    """Samples that tell their position, never zero, quiet enough to be summed."""
    return (np.arange(start, start + frames) % 30000 + 1).astype(np.int16)


# Near.


def test_near_is_the_microphone_sample_by_sample(bench):
    heard = np.zeros((1000, 4), np.float32)
    spoken = noise(1000, 32768)
    heard[:, 0] = spoken / 32768
    bench.run(1000, heard=heard)
    assert np.array_equal(bench.near(0, 1000), spoken)
    assert bench.lane.near.write_position == 1000 == bench.device.words[Device.DEVICE_FRAME]


def test_several_channels_are_averaged_and_the_gain_applies(make):
    bench = make(((2, 4), (1,)))
    heard = np.zeros((256, 4), np.float32)
    heard[:, 0] = 0.9
    heard[:, 1], heard[:, 3] = 0.5, 0.25
    bench.lane.put(Lane.MICGAIN, MILLION // 2)
    bench.run(256, heard=heard)
    assert set(bench.near(0, 256)) == {6144}  # (0.5 + 0.25) / 2 * 0.5 * 32768
    assert bench.lane.get(Lane.LEVEL_IN) == 187500


@pytest.mark.parametrize(
    ("mask", "level"),
    [
        (0, 0.5),  # the configuration's
        (0b0100, 0.25),
        (0b1100, 0.1875),
        (0b0101, 0.375),
        (0b1 << 60 | 0b0100, 0.25),  # as far as the device has them
        (0b1 << 60, 0.5),
    ],
)
def test_the_lane_says_which_channels_are_heard(make, mask, level):
    bench = make(((1,), (1,)))
    heard = np.zeros((256, 4), np.float32)
    heard[:] = 0.5, 0.0, 0.25, 0.125
    bench.run(128, heard=heard)
    bench.lane.put(Lane.INPUTS, mask)
    bench.run(128, heard=heard)
    bench.lane.put(Lane.INPUTS, 0)
    bench.run(128, heard=heard)
    assert set(bench.near(0, 128)) == set(bench.near(256, 384)) == {16384}
    assert set(bench.near(128, 256)) == {round(level * 32768)}


def test_too_loud_is_clipped_and_no_number_is_silence(bench):
    heard = np.zeros((128, 4), np.float32)
    heard[:4, 0] = 1.5, -1.5, np.nan, np.inf
    bench.run(128, heard=heard)
    assert bench.near(0, 5).tolist() == [32767, -32768, 0, 32767, 0]


def test_the_level_falls_and_ends_at_zero(bench):
    heard = np.zeros((128, 4), np.float32)
    heard[7, 0] = -0.5
    bench.run(128, heard=heard)
    assert bench.lane.get(Lane.LEVEL_IN) == 500_000
    bench.run(2400, block=240)
    assert bench.lane.get(Lane.LEVEL_IN) == pytest.approx(250_000, rel=0.01)
    bench.run(3 * RATE, block=480)
    assert bench.lane.get(Lane.LEVEL_IN) == 0


def test_the_ring_wraps_and_near_goes_on(make):
    bench = make(near_s=0.25)
    spoken = noise(30000)
    heard = np.zeros((30000, 4), np.float32)
    heard[:, 0] = spoken / 32768
    bench.run(30000, heard=heard)
    assert np.array_equal(bench.near(30000 - 12000, 30000), spoken[-12000:])


def test_one_wake_an_append_period(make):
    bench = make(append=480)
    wakes = 0
    for _ in range(48):
        bench.run(120, block=120)
        wakes += bench.near_wake.clear()
    assert wakes == 12


def test_a_block_beyond_all_measure_is_served_in_parts(bench):
    heard = np.zeros((20000, 4), np.float32)
    spoken = noise(20000)
    heard[:, 0] = spoken / 32768
    said = noise(20000, seed=2)
    bench.say(said)
    played = bench.run(20000, block=20000, heard=heard)
    assert np.array_equal(bench.near(0, 20000), spoken)
    assert np.array_equal(steps(played[:, 0]), said)


# Gate.


def test_edges_lie_at_block_borders_with_their_serials(bench):
    bench.run(300, block=100)
    bench.lane.set_gate(True)
    bench.run(200, block=100)
    bench.lane.set_gate(False)
    bench.lane.set_gate(True)
    bench.run(100, block=100)
    bench.lane.set_gate(False)
    bench.run(100, block=100)
    assert [edge for _, edge in bench.lane.edges_since(0)] == [
        Edge(300, True, 1),
        Edge(500, True, 3),
        Edge(600, False, 4),
    ]


def test_an_edge_wakes_control_once(bench):
    bench.run(BLOCK)
    bench.edge_wake.clear()
    bench.run(BLOCK)
    assert not bench.edge_wake.clear()
    bench.lane.set_gate(True)
    bench.run(BLOCK)
    assert bench.edge_wake.clear()
    bench.run(BLOCK)
    assert not bench.edge_wake.clear()


def test_a_successor_adds_an_edge_only_if_the_word_changed_meanwhile(bench):
    bench.lane.set_gate(True)
    bench.run(256)
    bench.start()
    bench.run(256)
    assert bench.lane.get(Lane.EDGE_COUNT) == 1
    bench.lane.set_gate(False)
    bench.start()
    bench.run(256)
    assert [edge for _, edge in bench.lane.edges_since(1)] == [Edge(512, False, 2)]


# Playing.


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=20),
    st.lists(st.integers(0, 900), min_size=1, max_size=20),
)
def test_every_frame_published_is_played_once_in_order_and_far_agrees(blocks, replies):
    bench = Bench(speaker_s=0.5, near_s=2.0)
    try:
        said, played = [], []
        for number in range(max(len(blocks), len(replies))):
            count = replies[number % len(replies)]
            count = min(count, bench.lane.speaker.free(bench.lane.speaker.write_position))
            said.append(numbered(sum(map(len, said)), count))
            said[-1][-1:] = 0  # a reply that ends in silence leaves no decay over the next one
            bench.say(said[-1])
            played.append(bench.run(blocks[number % len(blocks)], block=10_000)[:, 0])
        played.append(bench.run(20_000)[:, 0])
        whole = steps(np.concatenate(played))
        assert np.array_equal(bench.far(0, len(whole)), whole)
        spoken = np.concatenate(said)
        assert bench.lane.speaker.read_position == len(spoken)
        assert np.array_equal(whole[whole != 0], spoken[spoken != 0])
    finally:
        bench.close()


def test_a_reply_sounds_on_each_of_its_channels_and_no_other(make):
    bench = make(((1,), (2, 4)))
    said = noise(500)
    bench.say(said)
    played = steps(bench.run(500))
    assert np.array_equal(played[:, 1], said)
    assert np.array_equal(played[:, 3], said)
    assert not played[:, [0, 2]].any()


def test_lanes_do_not_hear_each_other(make):
    bench = make(((1,), (1,)), ((2,), (2,)))
    one, other = noise(4000, 30000, 1), noise(4000, 30000, 2)
    bench.say(one, bench.lanes[0])
    bench.say(other, bench.lanes[1])
    heard = np.zeros((4000, 4), np.float32)
    heard[:, 0], heard[:, 1] = noise(4000, 30000, 3) / 32768, noise(4000, 30000, 4) / 32768
    played = steps(bench.run(4000, heard=heard))
    assert np.array_equal(played[:, 0], one)
    assert np.array_equal(played[:, 1], other)
    assert np.array_equal(bench.far(0, 4000, bench.lanes[0]), one)
    assert np.array_equal(bench.far(0, 4000, bench.lanes[1]), other)
    assert np.array_equal(bench.near(0, 4000, bench.lanes[0]), heard[:, 0] * 32768)
    assert np.array_equal(bench.near(0, 4000, bench.lanes[1]), heard[:, 1] * 32768)


def test_a_shared_channel_is_summed_and_clipped_once(make):
    # Three lanes: were the sum clipped after each, the last would pull the clipped value down.
    bench = make(((1,), (1,)), ((1,), (1,)), ((1,), (1,)))
    for lane, level in zip(bench.lanes, (30000, 30000, -30000), strict=True):
        bench.say(np.full(256, level), lane)
    played = bench.run(256)
    assert set(steps(played[:, 0])) == {30000}
    for lane in bench.lanes[:2]:
        bench.say(np.full(256, 30000), lane)
    # The decay of what ended one block ago is still in the first frames.
    played = bench.run(256)
    assert played[:, 0].max() == 1.0
    assert set(bench.far(256, 512, bench.lanes[0])) == {30000}


def test_without_a_loudspeaker_replies_are_taken_at_the_same_pace(bench):
    end = bench.say(noise(1000))
    bench.callback.duplex(np.zeros((600, 4), np.float32), None, 600)
    assert bench.lane.speaker.read_position == 600
    bench.callback.duplex(None, None, 600)
    assert bench.lane.speaker.read_position == end
    assert bench.lane.near.write_position == 1200


def test_sounding_is_noted_to_the_frame(bench):
    said = np.zeros(1000, np.int16)
    said[700] = 33  # just above -60 dBFS (32.8)
    said[800] = -32
    bench.say(said)
    bench.run(2000)
    assert bench.lane.get(Lane.SOUNDED_AT) == 701


# Volume, pause, silence.


def test_the_volume_takes_20_ms_for_its_whole_range(bench):
    bench.say(np.full(8000, 10000))
    bench.run(1280)
    bench.lane.put(Lane.VOLUME, 0)
    played = steps(bench.run(1280)[:, 0])
    line = 10000 * (1 - np.arange(1, RAMP + 1) / RAMP)
    assert np.abs(played[:RAMP] - line).max() <= 0.51
    assert not played[RAMP:].any()
    bench.lane.put(Lane.VOLUME, MILLION // 2)
    played = steps(bench.run(1280)[:, 0])
    half = RAMP // 2
    assert np.abs(np.diff(played, prepend=0)).max() <= 11
    assert played[half - 2] < 5000
    assert set(played[half:]) == {5000}
    assert bench.lane.get(Lane.LEVEL_OUT) == pytest.approx(5000 / 32768 * MILLION, abs=1)


def test_a_volume_set_in_silence_holds_from_the_first_frame(bench):
    bench.lane.put(Lane.VOLUME, MILLION // 4)
    bench.run(256)
    bench.say(np.full(512, 8000))
    assert set(steps(bench.run(512)[:, 0])) == {2000}


def test_a_pause_holds_at_the_sample_and_goes_on_there(bench):
    said = numbered(0, 6000)
    bench.say(said)
    bench.run(1280)
    bench.lane.put(Lane.PLAYBACK, Playback.PAUSE)
    paused = steps(bench.run(1280)[:, 0])
    held = bench.lane.speaker.read_position
    assert held == 1280 + FADE
    assert not paused[FADE:].any()
    assert np.all(np.diff(paused[:FADE]) <= 0)
    bench.lane.put(Lane.PLAYBACK, Playback.PLAY)
    resumed = steps(bench.run(1280)[:, 0])
    assert np.array_equal(resumed[FADE:], said[held + FADE : held + 1280])
    assert resumed[0] < said[held] / 100
    assert bench.lane.get(Lane.UNDERRUNS) == 0


def test_a_reply_that_comes_in_a_pause_waits_without_a_sound(bench):
    bench.lane.put(Lane.PLAYBACK, Playback.PAUSE)
    bench.run(256)
    said = numbered(0, 3000)
    bench.say(said)
    assert not bench.run(1280).any()
    assert bench.lane.speaker.read_position == 0
    bench.lane.put(Lane.PLAYBACK, Playback.PLAY)
    assert np.array_equal(steps(bench.run(1280)[FADE:, 0]), said[FADE:1280])


def test_silent_playback_takes_replies_at_the_real_pace(bench):
    bench.say(numbered(0, 6000))
    bench.run(1280)
    bench.lane.put(Lane.PLAYBACK, Playback.SILENT)
    played = bench.run(1280)
    assert not played[FADE:].any()
    assert bench.lane.speaker.read_position == 2560
    bench.lane.put(Lane.PLAYBACK, Playback.PLAY)
    played = steps(bench.run(640)[:, 0])
    assert np.array_equal(played[FADE:], numbered(2560, 640)[FADE:])


# Running dry.


def test_running_dry_in_mid_reply_decays_counts_once_and_comes_back_under_a_fade(bench):
    bench.say(np.full(1000, 12000), complete=False)
    played = steps(bench.run(2048)[:, 0])
    assert set(played[:1000]) == {12000}
    assert np.abs(np.diff(played[999:])).max() <= 12000 / FADE + 1
    assert not played[1000 + FADE :].any()
    assert bench.lane.get(Lane.UNDERRUNS) == 1
    bench.say(np.full(1000, 12000))
    played = steps(bench.run(2048)[:, 0])
    assert np.abs(np.diff(played[:1000], prepend=0)).max() <= 12000 / FADE + 1
    assert set(played[FADE:1000]) == {12000}
    assert bench.lane.get(Lane.UNDERRUNS) == 1
    assert bench.lane.speaker.read_position == 2000


def test_running_dry_exactly_at_a_block_border_makes_no_click_either(bench):
    bench.say(np.full(BLOCK * 4, -12000), complete=False)
    played = steps(bench.run(BLOCK * 12)[:, 0])
    assert np.abs(np.diff(played)).max() <= 12000 / FADE + 1
    assert bench.lane.get(Lane.UNDERRUNS) == 1


def test_a_reply_that_ends_is_no_gap_and_the_next_begins_as_it_is(bench):
    bench.say(noise(1000))
    bench.run(2048)
    said = noise(1000, seed=5)
    bench.say(said)
    assert np.array_equal(steps(bench.run(1000)[:, 0]), said)
    assert bench.lane.get(Lane.UNDERRUNS) == 0


def test_a_late_chunk_in_the_block_after_dry_never_gets_louder(bench):
    bench.say(np.full(300, 32767), complete=False)
    bench.run(384)
    bench.say(np.full(5000, 32767))
    played = steps(bench.run(2048)[:, 0])
    assert played.max() <= 32767
    assert played.min() >= 0
    assert bench.far(0, 2432).min() >= 0


# Flush.


@settings(max_examples=60, deadline=None)
@given(
    reply=st.integers(1, 5000),
    before=st.integers(0, 3000),
    following=st.integers(0, 2000),
    word=st.sampled_from([Lane.FLUSH_TO, Lane.STOP_TO]),
    block=st.integers(16, 700),
)
def test_a_flush_ends_within_5_ms_and_never_eats_the_next_reply(
    reply, before, following, word, block
):
    bench = Bench(speaker_s=1.0)
    try:
        target = bench.say(np.full(reply, 10000))
        if before:
            bench.run(before, block=before)
        heard = bench.lane.speaker.read_position
        bench.lane.put(word, target)
        bench.say(numbered(0, following))
        played = steps(bench.run(4000, block=block)[:, 0])
        silent_at = bench.lane.get(Lane.SILENT_AT)
        assert bench.lane.get(Lane.FLUSH_DONE) == target
        assert heard <= silent_at <= min(heard + FADE, target)
        assert bench.lane.speaker.read_position == target + following
        start = -(-(silent_at - heard) // block) * block if silent_at > heard else 0
        if before <= reply:  # the decay of a reply that had ended already may lie over the next
            assert np.array_equal(played[start : start + following], numbered(0, following))
            cut = played[:start][: silent_at - heard]
            if len(cut):
                assert np.all(np.diff(cut, prepend=10000) <= 0)
                assert cut[-1] == 0
    finally:
        bench.close()


def test_the_larger_of_both_targets_counts(bench):
    bench.say(numbered(0, 4000))
    bench.run(256)
    bench.lane.put(Lane.FLUSH_TO, 2000)
    bench.lane.put(Lane.STOP_TO, 3000)
    bench.run(512)
    assert bench.lane.get(Lane.FLUSH_DONE) == 3000
    assert bench.lane.get(Lane.SILENT_AT) == 256 + FADE
    assert bench.lane.speaker.read_position >= 3000


def test_a_target_that_has_sounded_is_acknowledged_and_nothing_is_dropped(bench):
    bench.say(numbered(0, 1000))
    bench.run(512)
    bench.lane.put(Lane.FLUSH_TO, 300)
    played = steps(bench.run(256)[:, 0])
    assert np.array_equal(played, numbered(512, 256))
    assert (bench.lane.get(Lane.FLUSH_DONE), bench.lane.get(Lane.SILENT_AT)) == (300, 300)


def test_a_flush_in_a_pause_drops_at_once(bench):
    bench.say(numbered(0, 4000))
    bench.run(256)
    bench.lane.put(Lane.PLAYBACK, Playback.PAUSE)
    bench.run(512)
    held = bench.lane.speaker.read_position
    bench.lane.put(Lane.STOP_TO, 4000)
    assert not bench.run(256).any()
    assert bench.lane.get(Lane.SILENT_AT) == held
    assert bench.lane.speaker.read_position == 4000


def test_a_flush_tells_control_when_it_is_done(bench):
    bench.say(numbered(0, 4000))
    bench.run(256)
    bench.edge_wake.clear()
    bench.lane.put(Lane.FLUSH_TO, 4000)
    bench.run(384)
    assert bench.edge_wake.clear()


# Restarts and two streams.


def test_a_successor_takes_an_interrupted_reply_up_where_it_was(bench):
    said = numbered(0, 4000)
    bench.say(said)
    bench.run(512)
    bench.start()
    played = steps(bench.run(1024)[:, 0])
    assert np.array_equal(played[FADE:], said[512 + FADE : 1536])
    assert played[0] < said[512] / 100
    assert bench.device.words[Device.CALLBACKS] == 2 * 12


def test_a_predecessor_killed_within_a_block_leaves_no_old_sound(make):
    bench = make(((1,), (1,)), ((1,), (1,)), near_s=0.1)
    loud = np.ones((9600, 4), np.float32)
    bench.run(9600, heard=loud)
    # It died after the first lane's near and before everything else of the block.
    bench.lanes[0].near.publish_write(9600 + 128)
    bench.start()
    for lane in bench.lanes:
        assert lane.near.write_position == lane.far.write_position == 9728
    assert not bench.near(9600, 9728, bench.lanes[1]).any()
    bench.run(128)
    assert bench.device.words[Device.DEVICE_FRAME] == 9856


def two_streams(make, **options):
    return make(duplex=False, **options)


def outputs(bench, frames, block=240):
    played = np.zeros((frames, bench.outputs), np.float32)
    for at in range(0, frames, block):
        bench.callback.output_block(played[at : at + block], block)
    return played


def inputs(bench, frames, block=480):
    for _ in range(0, frames, block):
        bench.callback.input_block(np.zeros((block, bench.inputs), np.float32), block)


def test_on_two_streams_far_starts_where_near_is_and_keeps_its_own_count(make):
    bench = two_streams(make)
    outputs(bench, 4800)  # a loudspeaker that starts first leaves no far
    assert bench.lane.far.write_position == 0
    inputs(bench, 960)
    said = noise(48000)
    bench.say(said)
    for _ in range(50):
        outputs(bench, 480)
        inputs(bench, 480)
    assert bench.lane.far.write_position == 960 + 24000
    assert np.array_equal(bench.far(960, 960 + 24000), said[:24000])
    assert bench.device.words[Device.FAR_RESYNCS] == 0
    assert bench.device.words[Device.OUTPUT_FRAME] == 4800 + 24000


def test_far_jumps_over_silence_when_the_loudspeaker_stalled(make):
    bench = two_streams(make)
    inputs(bench, 480)
    bench.say(np.full(4800, 7))
    outputs(bench, 480)
    inputs(bench, 9600)
    outputs(bench, 480)
    assert bench.device.words[Device.FAR_RESYNCS] == 1
    assert bench.lane.far.write_position == 480 + 9600 + 480
    assert set(bench.far(480, 960)) == {7}
    assert not bench.far(960, 10080).any()
    assert set(bench.far(10080, 10560)) == {7}


def test_far_waits_when_the_microphone_stalled(make):
    bench = two_streams(make)
    inputs(bench, 480)
    outputs(bench, 24000)
    assert bench.device.words[Device.FAR_RESYNCS] == 1
    waited = bench.lane.far.write_position
    assert waited - 480 <= 0.06 * RATE
    inputs(bench, 4800)
    outputs(bench, 240)
    assert bench.lane.far.write_position == waited + 240
    assert bench.device.words[Device.FAR_RESYNCS] == 1


def test_epochs_are_appended_with_the_frames_they_start_at(bench):
    bench.run(256)
    bench.start()
    bench.callback.input_latency_s = 0.01
    bench.callback.start_input(128)
    bench.callback.start_output(128)
    epoch = bench.device.epoch("input")
    assert (epoch.frame, epoch.samplerate, epoch.blocksize) == (256, RATE, 128)
    assert epoch.input_latency == 480
    assert epoch.generation == 1 == bench.device.words[Device.GENERATION]
    assert bench.device.epoch("output").frame == 256


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lanes", [1, 8])
def test_nothing_grows_in_a_hundred_thousand_blocks(make, lanes):
    bench = make(*(((n % 4 + 1,), (n % 4 + 1,)) for n in range(lanes)), near_s=0.5, speaker_s=0.5)
    samples = np.random.default_rng(1).random((BLOCK, 4), np.float32)
    playout = np.zeros((BLOCK, 4), np.float32)
    said = memoryview(noise(BLOCK))

    def serve(blocks):
        for number in range(blocks):
            for lane in bench.lanes:
                at = lane.speaker.write_position
                if lane.speaker.free(at) >= BLOCK and number % 97:
                    lane.speaker.store(at, said)
                    lane.speaker.publish_write(at + BLOCK)
                if number % 501 == 0:
                    lane.put(Lane.FLUSH_TO, lane.speaker.write_position)
                    lane.put(Lane.VOLUME, number % MILLION)
                    lane.set_gate(bool(number % 2))
            bench.callback.duplex(samples, playout, BLOCK)

    serve(2000)
    before = sys.getallocatedblocks()
    # Eight lanes for as long take most of a minute: VOICED_CALLBACK_BLOCKS=100000 asks for it.
    serve(int(os.environ.get("VOICED_CALLBACK_BLOCKS", "100000" if lanes == 1 else "5000")))
    assert abs(sys.getallocatedblocks() - before) < 50
