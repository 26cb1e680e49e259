"""The whole audio process on the virtual card, spawned and watched as control does."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.audio.rig import AudioRig, await_true, ring_copy
from voiced.errors import ExitCode
from voiced.lane.words import Device, Lane, Owner
from voiced.messages.audio import (
    DeviceAbsent,
    DeviceOpened,
    FileEnded,
    FileRefused,
    FileStarted,
    OpenDevice,
    PlayFile,
)
from voiced.messages.framing import Shutdown

TONE = np.round(9000 * np.sin(np.arange(24000) * 2 * np.pi * 440 / 48000)).astype(np.int16)


def write_wav(path, samples, samplerate=48000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(samplerate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return str(path)


def read_wav(path):
    with wave.open(str(path), "rb") as file:
        raw = file.readframes(file.getnframes())
        return np.frombuffer(raw, "<i2").reshape(-1, file.getnchannels())


def test_plays_what_the_ring_holds_into_the_file_and_the_far_ring(tmp_path):
    with AudioRig() as rig:
        opened = rig.start(rig.virtual(output=tmp_path / "heard.wav"))
        assert (opened.samplerate, opened.duplex, opened.host_api) == (48000, True, "virtual")
        rig.await_heard(rig.say(TONE))
        rig.await_frames(4800)
        rig.send(Shutdown())
        assert rig.wait() == ExitCode.DONE
        heard = read_wav(tmp_path / "heard.wav")[:, 0]
        first = np.flatnonzero(heard)[0] - 1  # the tone's first sample is zero
        assert np.array_equal(heard[first : first + len(TONE)], TONE)
        far = ring_copy(rig.lane.far, 0, rig.lane.far.write_position)
        assert np.array_equal(far, heard[: len(far)])
        assert rig.lane.get(Lane.UNDERRUNS) == 0


def test_paces_by_the_clock_and_stamps():
    with AudioRig(speed=4.0) as rig:
        rig.start(rig.virtual())
        rig.await_frames(48000)
        epoch = rig.device.epoch("input")
        from voiced.lane.seam import Clock

        behind = epoch.frame_at(Clock(4.0).mono_ns()) - rig.word(Device.DEVICE_FRAME)
        assert -480 < behind < 48000
        assert rig.is_fresh()


def test_a_visitor_speaks_from_the_first_open_gate_at_the_frame_that_was_told(tmp_path):
    speech = write_wav(tmp_path / "visitor.wav", TONE)
    with AudioRig() as rig:
        rig.start(rig.virtual(inputs={"voice_agent": speech}))
        rig.await_frames(2400)
        assert not ring_copy(rig.lane.near, 0, 2400).any()
        rig.lane.set_gate(True)
        started = rig.receive(FileStarted)
        ended = rig.receive(FileEnded)
        assert ended.frame - started.frame == len(TONE)
        near = ring_copy(rig.lane.near, started.frame, ended.frame)
        assert np.array_equal(near, TONE)
        assert [edge.frame for _, edge in rig.lane.edges_since(0)] == [started.frame]
        assert rig.edge_wake.clear()
        assert rig.near_wake.wait(1.0)


def test_a_file_at_another_rate_and_with_two_channels_is_heard_at_its_own_pitch(tmp_path):
    tone = np.round(9000 * np.sin(np.arange(16000) * 2 * np.pi * 500 / 16000))
    path = write_wav(tmp_path / "v.wav", np.stack((tone, tone), 1), 16000, channels=2)
    with AudioRig() as rig:
        rig.start(rig.virtual())
        rig.send(PlayFile(agent="voice_agent", path=path))
        started, ended = rig.receive(FileStarted), rig.receive(FileEnded)
        assert ended.frame - started.frame == 48000
        near = ring_copy(rig.lane.near, started.frame, ended.frame).astype(float)
        spectrum = np.abs(np.fft.rfft(near))
        assert np.argmax(spectrum) == 500
        assert spectrum[500] / 24000 == pytest.approx(9000, rel=0.02)


def test_a_file_sent_right_behind_the_wish_for_a_card_is_played(tmp_path):
    path = str(tmp_path / "tone.wav")
    write_wav(path, np.zeros(480, np.int16))
    with AudioRig() as rig:
        rig.spawn()
        rig.send(rig.virtual(), PlayFile(agent="voice_agent", path=path))
        seen = rig.receive_all(FileEnded)
        assert [type(news) for news in seen] == [DeviceOpened, FileStarted, FileEnded]


def test_an_unreadable_file_is_refused_in_a_sentence_and_the_card_goes_on(tmp_path):
    (tmp_path / "no.wav").write_bytes(b"RIFFrubbish")
    with AudioRig() as rig:
        rig.start(rig.virtual())
        rig.send(PlayFile(agent="voice_agent", path=str(tmp_path / "no.wav")))
        assert "no.wav" in rig.receive(FileRefused).sentence
        rig.send(PlayFile(agent="nobody", path=str(tmp_path / "no.wav")))
        assert "nobody" in rig.receive(FileRefused).sentence
        rig.await_frames(480)


def test_a_missing_visitor_file_is_an_absent_device_until_it_is_there(tmp_path):
    path = tmp_path / "later.wav"
    with AudioRig() as rig:
        rig.spawn(rig.virtual(inputs={"voice_agent": str(path)}))
        assert "later.wav" in rig.receive(DeviceAbsent).sentence
        assert rig.is_fresh()
        write_wav(path, TONE)
        rig.receive(DeviceOpened)
        assert rig.word(Device.GENERATION) == 1


def test_killed_in_mid_play_a_successor_goes_on_from_the_counters(tmp_path):
    speech = write_wav(tmp_path / "visitor.wav", np.tile(TONE, 8))
    with AudioRig() as rig:
        asked = rig.virtual(
            inputs={"voice_agent": speech},
            output=tmp_path / "heard.wav",
            conversation=tmp_path / "both.wav",
        )
        rig.start(asked)
        rig.lane.set_gate(True)
        started = rig.receive(FileStarted)
        end = rig.say(np.tile(TONE, 6))
        rig.await_heard(24000)
        rig.kill()
        frame, callbacks = rig.word(Device.DEVICE_FRAME), rig.word(Device.CALLBACKS)
        read, edges = rig.lane.speaker.read_position, rig.lane.get(Lane.EDGE_COUNT)
        died_ns = rig.device.epoch("input").time_of(frame)
        rig.start(asked)
        again = rig.receive(FileStarted)
        rig.await_heard(end)
        first, second = rig.device.epochs("input")
        assert (first.generation, second.generation) == (1, 2)
        assert frame <= second.frame <= frame + 960
        assert again.frame == second.frame
        assert rig.word(Device.CALLBACKS) > callbacks
        assert rig.lane.get(Lane.EDGE_COUNT) == edges
        assert rig.lane.get(Lane.UNDERRUNS) == 0
        # The visitor went on speaking: what is heard next is what he says by then.
        missed = (second.mono_ns - died_ns) * 48000 // 10**9
        near = ring_copy(rig.lane.near, second.frame, second.frame + 4800)
        place = frame + missed - started.frame
        reach = 2400
        loud = np.tile(TONE, 8)[place - reach : place + 4800 + reach].astype(float)
        fit = np.correlate(loud, near[:2400].astype(float), "valid")
        assert fit.max() > 0.99 * float(np.sum(near[:2400].astype(float) ** 2))
        rig.send(Shutdown())
        assert rig.wait() == ExitCode.DONE
        heard = read_wav(tmp_path / "heard.wav")[:, 0].astype(int)
        # One reply, taken up where it stopped: the same samples but for the fade that it resumes
        # under, and never louder.
        assert np.abs(heard).max() <= 9000
        assert abs(int(np.count_nonzero(heard)) - int(np.count_nonzero(np.tile(TONE, 6)))) <= 960
        assert read <= end
        both = read_wav(tmp_path / "both.wav")
        assert len(both) == rig.word(Device.DEVICE_FRAME)
        assert np.array_equal(both[started.frame : started.frame + 4800, 0], TONE[:4800])


def test_the_end_of_the_channel_ends_the_process():
    with AudioRig() as rig:
        rig.start(rig.virtual())
        rig.hang_up()
        assert rig.wait(2) == ExitCode.CONTROL_GONE


def test_rubbish_on_the_channel_ends_the_process():
    with AudioRig() as rig:
        rig.spawn()
        rig.send(OpenDevice(**{**asdict(rig.virtual()), "backend": "tin cans"}))
        assert rig.wait(5) == ExitCode.PROTOCOL


def asdict(message):
    return {field: getattr(message, field) for field in message.__struct_fields__}


def test_stamps_while_it_waits_to_be_told():
    with AudioRig() as rig:
        rig.spawn()
        await_true(rig.is_fresh)
        before = rig.device.words[Device.AUDIO_STAMP]
        await_true(lambda: rig.device.words[Device.AUDIO_STAMP] > before, 0.5)
        assert rig.device.age_s(Owner.AUDIO) < 0.5


def test_a_program_that_renews_itself_says_that_it_loads(tmp_path):
    with AudioRig() as rig:
        stays_away = (
            "import os; import voiced.audio.service as service;"
            "service.LOOKS_BEFORE_RENEWAL = 1; service.renew = lambda *_: os._exit(0);"
            "from voiced.audio.__main__ import main; main()"
        )
        rig.program = [sys.executable, "-c", stays_away]
        rig.spawn(rig.virtual(inputs={"voice_agent": str(tmp_path / "none.wav")}))
        rig.receive(DeviceAbsent)
        assert rig.wait() == ExitCode.DONE
        assert rig.device.age_s(Owner.AUDIO) < -5.0, "control waits for it"


def test_a_long_wait_for_the_card_renews_the_program_unnoticed(tmp_path):
    path = tmp_path / "later.wav"
    with AudioRig() as rig:
        impatient = (
            "import voiced.audio.service as service; service.LOOKS_BEFORE_RENEWAL = 1;"
            "from voiced.audio.__main__ import main; main()"
        )
        rig.program = [sys.executable, "-c", impatient]
        hello = rig.spawn(rig.virtual(inputs={"voice_agent": str(path)}))
        rig.receive(DeviceAbsent)
        await_true(lambda: b"--again" in Path(f"/proc/{hello.pid}/cmdline").read_bytes())
        write_wav(path, TONE)
        first, *_ = rig.receive_all(DeviceOpened)
        assert isinstance(first, DeviceOpened)
        rig.await_frames(480)
        rig.send(Shutdown())
        assert rig.wait() == ExitCode.DONE
