"""Two agents on one JACK card hold two conversations at once, and neither hears the other.

Anna has input 1 and output 1, Bruno input 2 and output 2; both have output 4 as well, and output 3
belongs to nobody. What the visitors say, what the lanes' rings hold and what comes out of the ports
are compared sample by sample.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests import servers
from tests.analysis import peak_dbfs, unit
from tests.outside import memory, shell
from tests.outside.crosstalk import LEAK_DBFS, compare, shift_of
from tests.outside.rooms import RATE, JackRoom, mono_16k, recording, silence, transcript, utterances
from tests.outside.shell import Said, Shell
from voiced.cli.demo.words import word_errors
from voiced.inference.recogniser import transcribe

MISSING = [*servers.MISSING, *shell.MISSING]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: apt install jackd2 liblo-tools"
)
AGENT = """
[[agent]]
name = "{name}"
on_start = "wait"
input_channels = [{channel}]
output_channels = [{channel}, 4]
[agent.par]
Provider = "local"
"""
VISITORS = {"anna": "lv_0920.wav", "bruno": "lj_0001.wav"}
NEWS = {
    "anna": "Visitors, please come to the first room. The tour begins in a moment.",
    "bruno": "Good evening. The museum closes in ten minutes, and the doors are at the back.",
}
SPEAKING = 4
LIMIT = 0.15
"""Word error rate."""
TORN = 0.1
"""Share of blocks that a busy machine may tear; none where nothing was lost."""


def spoken(osc: Shell, agent: str, since: int) -> None:
    """Wait until an agent has begun to speak and has ended."""
    began = osc.wait(f"/{agent}/sig/phase", lambda phase: phase == SPEAKING, since=since)
    osc.wait(f"/{agent}/sig/phase", lambda phase: phase != SPEAKING, since=osc.place_of(began))


def rows(osc: Shell, agent: str, role: str) -> str:
    """Return everything that a role said, row by row, as last written."""
    last: dict[str, Said] = {}
    for said in osc.all(f"/{agent}/conv/row"):
        if said.args[1] == role:
            last[said.args[3]] = said
    return " ".join(said.args[2].strip() for said in last.values())


def judge(what: str, said: str, heard: str) -> None:
    errors = word_errors(said, heard)
    print(f"{what}: {errors.errors} of {errors.words} words wrong ({errors.rate:.0%})")
    assert errors.rate < LIMIT, f"said {said!r}, understood {heard!r}"


def fits(what: str, sound: np.ndarray, recorded: np.ndarray, *, undisturbed: bool) -> None:
    compared = compare(unit(sound), unit(recorded))
    print(f"{what}: {compared}")
    assert compared.leak_dbfs <= LEAK_DBFS
    assert compared.torn <= (0 if undisturbed else TORN * compared.blocks), what


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JackRoom]:
    agents = "".join(AGENT.format(name=name, channel=n) for n, name in enumerate(VISITORS, 1))
    folder = tmp_path_factory.mktemp("two")
    with JackRoom(folder, agents, channels=4, mouths=2, ears=4, block=1024) as room:
        yield room


def test_two_conversations_at_once_on_four_channels(room: JackRoom) -> None:
    said = {name: np.append(silence(0.3), recording(file)) for name, file in VISITORS.items()}
    with Shell(room.daemon.port) as osc:
        osc.subscribe("/*")
        for agent in VISITORS:
            osc.send(f"/{agent}/par/Connect")
        for agent in VISITORS:
            osc.wait(f"/{agent}/par/Sessionstate", lambda state: state == "active")
        lanes = memory.lanes(room.daemon.pid_of("audio"))
        assert len(lanes) == 2
        start = lanes[0].near.write_position
        for mouth, samples in enumerate(said.values(), 1):
            room.say(samples, mouth)
        for agent in VISITORS:
            spoken(osc, agent, 0)
        queued = [lane.speaker.write_position for lane in lanes]
        middle, since = lanes[0].far.write_position, osc.mark()
        for agent, words in NEWS.items():
            osc.send(f"/{agent}/say", "s", words)
        for agent in VISITORS:
            spoken(osc, agent, since)
        heard = room.heard()
        end = min(ring.write_position for lane in lanes for ring in (lane.near, lane.far))
        near = [memory.frames(lane.near, start, end) for lane in lanes]
        far = [memory.frames(lane.far, start, end) for lane in lanes]
        news = [samples[middle - start :] for samples in far]
        meant = [memory.frames(lane.speaker, at) for lane, at in zip(lanes, queued, strict=True)]
        xruns = osc.all("/anna/sig/xruns")[-1].args[0]
        texts = {a: (rows(osc, a, "user"), rows(osc, a, "assistant")) for a in VISITORS}
    print(f"xruns {xruns:.0f}, frames that the visitors' own client missed {room.holes}")
    undisturbed = xruns == 0 == room.holes

    # Which lane is whose: the one in which its visitor is heard.
    found = [shift_of(unit(said["anna"]), unit(samples))[1] for samples in near]
    order = [0, 1] if found[0] > found[1] else [1, 0]
    for number, (agent, place) in enumerate(zip(VISITORS, order, strict=True)):
        user, voice = texts[agent]
        judge(f"{agent}: the visitor as understood", transcript(VISITORS[agent]), user)
        replies = " ".join(transcribe(one) for one in utterances(mono_16k(heard[:, number])))
        judge(f"{agent}: the voice as played", voice, replies)
        fits(f"{agent}: near", said[agent], near[place], undisturbed=undisturbed)
        fits(f"{agent}: far", meant[place], news[place], undisturbed=undisturbed)
        fits(f"{agent}: output {number + 1}", far[place], heard[:, number], undisturbed=undisturbed)

    assert not heard[:, 2].any(), "output 3 belongs to nobody"

    both = unit(far[0]) + unit(far[1])
    together = np.count_nonzero(far[0].astype(bool) & far[1].astype(bool)) / RATE
    print(f"shared output: both speak for {together:.1f} s, {peak_dbfs(heard[:, 3]):.1f} dBFS")
    assert together > 1.0
    assert np.abs(heard[:, 3]).max() < 1.0
    fits("the shared output, against the sum", both, heard[:, 3], undisturbed=undisturbed)
