"""A person's recording through near, network and a real inference process, and an answer back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.inference.local_voice import recording, transcripts, word_errors
from tests.network.rig import AGENT, ROOT, NetworkRig
from voiced.lane.seam import datagram_pair
from voiced.lane.words import Lane
from voiced.messages.network import (
    AssistantText,
    CloseLeg,
    Heard,
    HistoryRow,
    LegClosed,
    Playing,
    ReplyHeard,
    ResponseDone,
    ResponseStarted,
    Say,
    SpeechEnded,
    SpeechStarted,
    UserText,
    WarmUp,
)
from voiced.network.resample import Resampler
from voiced.providers import provider_local

ready = provider_local.is_available()
pytestmark = pytest.mark.skipif(not ready.available, reason=ready.reason or "it is there")


def visitor(name: str) -> np.ndarray:
    """Return a recording at the card's rate."""
    resampler = Resampler(16_000, 48_000)
    return np.concatenate([resampler.process(recording(name)), resampler.finish()])


SHORT = min(transcripts(), key=lambda name: len(recording(name)))


class Voice:
    """The inference process at the other end of the rig's wire."""

    def __init__(self) -> None:
        self.near, self.far = datagram_pair()
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        fd = self.far.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voiced.inference", "--wire-fd", str(fd)],
            pass_fds=[fd],
            cwd=ROOT,
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture(scope="module")
def voice():
    made = Voice()
    made.spawn()
    yield made
    made.kill()
    made.near.close()
    made.far.close()


@pytest.fixture
def rig(voice):
    with NetworkRig(wire=voice.near) as made:
        made.spawn()
        made.send(WarmUp(provider="local"))
        yield made


def heard_well(text: str) -> bool:
    wrong, of = word_errors(transcripts()[SHORT], text)
    return wrong / of < 0.3


def final(message: UserText) -> bool:
    return message.final


def test_what_is_said_is_heard_answered_and_the_answer_heard(rig):
    rig.open_leg("local")
    rig.gate(True)
    rig.hush(0.5)
    start = rig.near
    rig.speak(visitor(SHORT), block=960)
    end = rig.near
    rig.hush(1.0)
    began = rig.receive(SpeechStarted, deadline_s=30).frame
    assert start - 48_000 < began < end
    ended = rig.receive(SpeechEnded, deadline_s=30).frame
    assert began < ended <= end + 48_000
    row = rig.receive(UserText, deadline_s=30, where=final)
    assert heard_well(row.text)
    assert start - 48_000 < row.start_frame < row.end_frame <= end + 48_000
    response = rig.receive(ResponseStarted, deadline_s=30).response
    played, told = [], []
    for _ in range(3000):
        played.append(rig.play(480))
        rig._take(0.005)
        told += rig.messages
        rig.messages = []
        if any(isinstance(message, ReplyHeard) for message in told):
            break
    assert [m.response for m in told if isinstance(m, Playing)] == [response]
    text = "".join(message.text for message in told if isinstance(message, AssistantText))
    heard = [message for message in told if isinstance(message, Heard)]
    assert (heard[-1].chars, heard[-1].cut) == (len(text), False)
    sounded = np.concatenate(played)
    assert np.abs(sounded).max() > 1000
    assert len(sounded) * 1000 // 48_000 - heard[-1].ms in {0, 1}
    assert next(m for m in told if isinstance(m, ReplyHeard)).latency_s >= 0
    rig.send(Say(agent=AGENT, leg=1, text="Welcome."))
    said = rig.receive(AssistantText, deadline_s=30, where=lambda message: message.text.strip())
    assert said.text.strip() == "Welcome."
    rig.send(CloseLeg(agent=AGENT, leg=1))
    assert rig.receive(LegClosed).asked


def test_push_to_talk_ends_the_turn_at_the_edge(rig):
    rig.hush(0.5)
    rig.open_leg("local", push_to_talk=True, not_before_frame=0)
    rig.hush(0.1)
    rig.gate(True)
    rig.speak(visitor(SHORT), block=960)
    end = rig.gate(False)
    rig.hush(0.02)
    assert rig.receive(SpeechEnded, deadline_s=30).frame == end
    row = rig.receive(UserText, deadline_s=30, where=final)
    assert heard_well(row.text)
    assert abs(row.end_frame - end) <= 3


def test_killed_in_the_middle_of_a_sentence_it_hears_the_sentence_once(rig, voice):
    rig.open_leg("local", leg=1)
    rig.gate(True)
    rig.hush(0.5)
    start = rig.near
    said = visitor(SHORT)
    rig.speak(said[: len(said) // 2], block=960)
    rig.receive(SpeechStarted, deadline_s=30)
    voice.kill()
    rig.speak(said[len(said) // 2 :], block=960)
    voice.spawn()
    closed = rig.receive(LegClosed, deadline_s=30)
    assert (closed.asked, closed.code) == (False, "inference_lost")
    rig.open_leg("local", leg=2, from_frame=start - 4_800)
    rig.hush(1.0)
    row = rig.receive(
        UserText, deadline_s=30, where=lambda message: message.leg == 2 and final(message)
    )
    assert heard_well(row.text)
    assert rig.receive(ResponseStarted, deadline_s=30, skip=[UserText]).leg == 2
    assert rig.lane.get(Lane.GAPS) == 0


def test_network_killed_within_a_reply_the_next_leg_answers_the_row_left_unanswered(rig):
    rig.open_leg("local", leg=1)
    rig.send(
        Say(agent=AGENT, leg=1, text="This is a long sentence that is never heard to its end.")
    )
    rig.receive(ResponseStarted, deadline_s=30)
    rig.play_out(4_800, deadline_s=30)
    rig.kill()
    rig.spawn()
    rows = [HistoryRow(role="user", text="good evening")]
    opened = rig.open_leg("local", leg=2, history=rows, respond=True)
    assert opened.resumed == "replay"
    assert rig.receive(ResponseStarted, deadline_s=30).leg == 2
    assert rig.receive(AssistantText, deadline_s=30, where=lambda m: m.text.strip()).leg == 2
    done = rig.receive(ResponseDone, deadline_s=30)
    assert (done.leg, done.status) == (2, "completed")
