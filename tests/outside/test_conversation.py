"""A visitor talks with the local voice through a real device server; other programs drive it.

The visitor's recording is played into the microphone, the reply is taken from the loudspeaker's
ports or monitor. What was understood, and what the reply sounds like to the recogniser, are
compared with what was said and what the row says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests import servers
from tests.analysis import peak_dbfs
from tests.outside import pd, shell
from tests.outside.rooms import (
    JackRoom,
    PulseRoom,
    Room,
    mono_16k,
    recording,
    silence,
    transcript,
    utterances,
)
from tests.outside.shell import Shell, free_port
from voiced.cli.demo.words import word_errors
from voiced.inference.recogniser import transcribe

MISSING = [*servers.MISSING, *shell.MISSING]
pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"needs {', '.join(MISSING)}: apt install jackd2 pulseaudio-utils liblo-tools",
)
LIMIT = 0.15
"""Word error rate."""
AGENT = "/voice_agent"
SPEAKING = 4
ROOMS = {"jack": JackRoom, "pulse": PulseRoom}


@pytest.fixture(scope="module", params=ROOMS)
def room(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Room]:
    with ROOMS[request.param](tmp_path_factory.mktemp(request.param)) as room:
        yield room


def judge(room: Room, what: str, said: str, heard: str, limit: float = LIMIT) -> None:
    errors = word_errors(said, heard)
    kind = type(room).__name__
    print(f"{kind}: {what}: {errors.errors} of {errors.words} words wrong ({errors.rate:.0%})")
    assert errors.rate < limit, f"said {said!r}, understood {heard!r}"


def judge_reply(room: Room, reply: str, before: int) -> None:
    """Read the loudspeaker's sound back and compare it with the row's words."""
    played = room.heard()[before:]
    assert np.array_equal(played[:, 0], played[:, 1]), "both output channels carry the voice"
    (voice,) = utterances(mono_16k(played[:, 0]))
    seconds = len(voice) / 16_000 - 0.5
    print(f"{type(room).__name__}: reply {seconds:.1f} s, {peak_dbfs(voice):.1f} dBFS")
    judge(room, "the reply as played", reply, transcribe(voice))


def test_oscsend_and_oscdump_hold_a_conversation(room: Room) -> None:
    with Shell(room.daemon.port) as osc:
        osc.subscribe("/*")
        osc.wait(f"{AGENT}/par/Enginestatus", lambda status: status.startswith("ready"))
        osc.send(f"{AGENT}/par/Connect")
        osc.wait(f"{AGENT}/par/Sessionstate", lambda state: state == "active")
        before = len(room.heard())
        room.speak(np.concatenate([silence(0.3), recording("lv_0920.wav")]))
        user = osc.wait(f"{AGENT}/cb/onUserText", lambda _text, final, _row: final == 1)
        voice = osc.wait(f"{AGENT}/cb/onAssistantText", lambda _text, final, _row: final == 1)
        speaking = osc.wait(f"{AGENT}/sig/phase", lambda phase: phase == SPEAKING)
        osc.wait(
            f"{AGENT}/sig/phase", lambda phase: phase != SPEAKING, since=osc.place_of(speaking)
        )
        osc.send(f"{AGENT}/par/Disconnect")
        end = osc.wait(f"{AGENT}/cb/onSessionEnd")
        assert end.args[1] == "disconnect"
        osc.wait(f"{AGENT}/par/Sessionstate", lambda state: state == "disconnected",
                 since=osc.place_of(end))  # fmt: skip

        rows = {said.args[3]: said.args for said in osc.all(f"{AGENT}/conv/row")}
        assert rows[user.args[2]][1:3] == ("user", user.args[0])
        assert rows[voice.args[2]][1:3] == ("assistant", voice.args[0])
        judge(room, "the visitor as understood", transcript("lv_0920.wav"), rows[user.args[2]][2])
        judge_reply(room, rows[voice.args[2]][2], before)
        for name in ("xruns", "gaps"):
            print(f"{type(room).__name__}: {name} {osc.all(f'{AGENT}/sig/{name}')[-1].args[0]:.0f}")


@pytest.mark.skipif(bool(pd.MISSING), reason="needs pd: apt install puredata-core")
def test_a_pd_patch_holds_a_conversation(room: Room) -> None:
    with pd.Pd(
        pd.CONVERSATION, pd.REHEARSAL, messages=(f"rehearse {room.daemon.port} {free_port()}",)
    ) as patch:
        patch.wait(r"session-start: .*")
        patch.wait(r"phase: 1")
        before = len(room.heard())
        room.speak(np.concatenate([silence(0.3), recording("lv_0930.wav")]))
        user = patch.wait(r"visitor: (.*) 1 (\S+)")
        voice = patch.wait(r"voice: (.*) 1 (\S+)")
        assert patch.end() == 0
        assert any(line.startswith("session-end:") for line in patch.lines)
        assert not [line for line in patch.lines if line.startswith(("trouble:", "error:"))]
        judge(room, "the visitor as Pd prints it", transcript("lv_0930.wav"), user[1])
        judge_reply(room, voice[1], before)
