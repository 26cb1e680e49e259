"""The audio process on real device servers: JACK's dummy and PulseAudio's null sinks."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.audio.rig import AudioRig, await_true, ring_copy
from tests.servers import MISSING, JackServer, PulseServer
from voiced.errors import ExitCode
from voiced.lane.words import Device, Lane
from voiced.messages.audio import (
    DeviceAbsent,
    DeviceLost,
    DeviceOpened,
    Devices,
    ListDevices,
)

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: apt install jackd2 pulseaudio-utils"
)

RATE = 48000
RAMP = (np.arange(1, 24001) % 12000 + 1).astype(np.int16)
"""Tells its position, is never zero, and is the same nowhere within a quarter of a second."""


def tone(frames, frequency, amplitude=9000):
    phase = np.arange(frames) * 2 * np.pi * frequency / RATE
    return np.round(amplitude * np.sin(phase)).astype(np.int16)


def level(samples, frequency):
    """Amplitude of one frequency, by correlation."""
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / RATE)
    return 2 * abs(np.mean(samples.astype(float) * wave))


def loudest(samples, frequency, window=4800):
    """The loudest tenth of a second: a busy machine tears holes into what it plays."""
    return max(
        level(samples[at : at + window], frequency)
        for at in range(0, len(samples) - window, window)
    )


# JACK.


@pytest.fixture
def jack():
    with JackServer() as server:
        yield server


def test_on_jack_sound_goes_out_and_comes_back_sample_by_sample(jack):
    lanes = {"one": ((1,), (1,)), "two": ((2,), (2,))}
    with AudioRig(lanes, env=jack.env) as rig:
        opened = rig.start(rig.open_device())
        assert opened.duplex
        assert (opened.host_api, opened.samplerate) == ("JACK Audio Connection Kit", RATE)
        loop = ("jack_connect", "-s", jack.name, "voiced:out_0", "voiced:in_0")
        jack.run(*loop)
        rig.await_frames(4800)
        one, two = rig.lanes["one"], rig.lanes["two"]
        rig.await_heard(rig.say(RAMP, one), one)
        rig.await_frames(9600)
        end = one.near.write_position
        near, far = ring_copy(one.near, 0, end), ring_copy(one.far, 0, end)
        spoken, heard = np.flatnonzero(far), np.flatnonzero(near)
        delay = heard[0] - spoken[0]
        assert 0 < delay <= 4 * jack.block
        # A period that the server lost on a busy machine is missing in near; else nothing is.
        if rig.word(Device.INPUT_XRUNS) == 0 == rig.word(Device.OUTPUT_XRUNS):
            assert np.array_equal(near[delay:], far[:-delay])
        assert not ring_copy(two.near, 0, end).any()
        assert not ring_copy(two.far, 0, end).any()
        assert one.get(Lane.UNDERRUNS) == 0
        assert rig.word(Device.DEVICE_FRAME) == rig.word(Device.OUTPUT_FRAME)
        epoch = rig.device.epoch("output")
        assert epoch.output_latency > 0
        assert epoch.blocksize == jack.block


def test_a_lost_jack_server_ends_the_process_and_a_successor_opens_when_it_is_back(jack):
    with AudioRig(env=jack.env) as rig:
        rig.start(rig.open_device())
        rig.await_frames(4800)
        jack.kill()
        assert "system" in rig.receive(DeviceLost, 5).sentence
        assert rig.wait(5) == ExitCode.DEVICE_LOST
        frame = rig.word(Device.DEVICE_FRAME)
        rig.spawn(rig.open_device())
        assert "no input device" in rig.receive(DeviceAbsent).sentence
        await_true(rig.is_fresh, 2)
        jack.start()
        rig.receive(DeviceOpened)
        rig.await_frames(4800)
        assert rig.word(Device.DEVICE_FRAME) >= frame + 4800
        assert [epoch.generation for epoch in rig.device.epochs("input")][0] == 1
        assert rig.device.epoch("input").generation == 2


def test_a_frozen_jack_server_is_noticed(jack):
    with AudioRig(env=jack.env) as rig:
        rig.start(rig.open_device())
        rig.await_frames(RATE)  # until its blocks are known to come steadily
        jack.freeze()
        try:
            assert rig.receive(DeviceLost, 5).sentence
            assert rig.wait(5) == ExitCode.DEVICE_LOST
        finally:
            jack.thaw()


def test_a_channel_the_device_lacks_is_named(jack):
    with AudioRig({"guide": ((1,), (1, 7))}, env=jack.env) as rig:
        rig.spawn(rig.open_device())
        sentence = rig.receive(DeviceAbsent).sentence
        assert "guide asks for output channel 7" in sentence
        assert '"system" has 4' in sentence


def test_a_rate_that_the_device_does_not_do_becomes_its_own(jack):
    with AudioRig(samplerate=44100, env=jack.env) as rig:
        assert rig.start(rig.open_device()).samplerate == RATE
        await_true(lambda: rig.device.epoch("input") is not None)
        assert rig.device.epoch("input").samplerate == RATE


def test_without_a_microphone_near_is_silence_and_replies_play(jack):
    with AudioRig(env=jack.env) as rig:
        opened = rig.start(rig.open_device(input="-"))
        assert (opened.input, opened.output) == ("", "system")
        rig.await_heard(rig.say(RAMP))
        assert rig.lane.near.write_position >= len(RAMP)
        assert not ring_copy(rig.lane.near, 0, len(RAMP)).any()


def test_devices_are_listed_with_and_without_a_card(jack):
    with AudioRig(env=jack.env) as rig:
        rig.spawn()
        rig.send(ListDevices())
        rows = rig.receive(Devices).devices
        # ALSA's newer plugins offer the same server once more, under their own name.
        found = [(row.name, row.inputs, row.outputs) for row in rows if row.name != "jack"]
        assert found == [("system", 4, 4)]


# PulseAudio.


def test_on_pulseaudio_sound_goes_both_ways_in_two_streams():
    with PulseServer() as pulse, AudioRig({"guide": ((1,), (1, 2))}, env=pulse.env) as rig:
        opened = rig.start(rig.open_device(input="mic", output="speaker"))
        assert (opened.input, opened.output, opened.duplex) == ("mic", "speaker", False)
        rig.await_frames(4800)
        with pulse.record() as recording:
            visitor = pulse.speak(tone(3 * RATE, 500))
            lane = rig.lane
            await_true(lambda: np.any(recording.samples()) or lane.get(Lane.LEVEL_IN) > 0)
            start = lane.near.write_position
            rig.await_heard(rig.say(tone(2 * RATE, 1250)))
            rig.await_frames(RATE // 2)
            await_true(lambda: np.count_nonzero(recording.samples()[:, 0]) > RATE)
            visitor.kill()
            visitor.wait()
            heard = recording.samples()
        assert np.array_equal(heard[:, 0], heard[:, 1])
        assert loudest(heard[:, 0], 1250) == pytest.approx(9000, rel=0.05)
        assert loudest(heard[:, 0], 500) < 90
        near = ring_copy(lane.near, start, lane.near.write_position)
        assert loudest(near, 500) == pytest.approx(9000, rel=0.05)
        apart = lane.far.write_position - lane.near.write_position
        assert abs(apart) <= 0.06 * RATE + 480


def test_a_lost_pulseaudio_server_ends_the_process_and_a_successor_opens_when_it_is_back():
    with PulseServer() as pulse, AudioRig(env=pulse.env) as rig:
        rig.start(rig.open_device())
        rig.await_frames(4800)
        pulse.kill()
        assert rig.receive(DeviceLost, 5).sentence
        assert rig.wait(5) == ExitCode.DEVICE_LOST
        rig.spawn(rig.open_device())
        rig.receive(DeviceAbsent)
        pulse.start()
        rig.receive(DeviceOpened)
        rig.await_frames(4800)


def test_a_stream_that_the_server_moves_to_nowhere_is_a_lost_device():
    with PulseServer(always_sink=True, microphone=False) as pulse, AudioRig(env=pulse.env) as rig:
        asked = rig.open_device(input="-")
        rig.start(asked)
        rig.await_frames(3 * RATE // 2)  # until it knows where its streams are
        pulse.unplug()
        assert "auto_null" in rig.receive(DeviceLost, 5).sentence
        assert rig.wait(5) == ExitCode.DEVICE_LOST
        rig.spawn(asked)
        assert "auto_null" in rig.receive(DeviceAbsent).sentence
        pulse.plug()
        rig.receive(DeviceOpened)
        rig.await_frames(4800)


def test_no_sound_server_at_all_is_a_state(tmp_path):
    env = {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "JACK_DEFAULT_SERVER": f"voiced_none_{os.getpid()}",
        "JACK_NO_START_SERVER": "1",
        "PULSE_SERVER": f"unix:{tmp_path}/none",
    }
    with AudioRig(env=env) as rig:
        rig.spawn(rig.open_device(input="Scarlett"))
        assert '"Scarlett"' in rig.receive(DeviceAbsent).sentence
        await_true(rig.is_fresh, 2)
        rig.send(ListDevices())
        assert rig.receive(Devices).devices == []
