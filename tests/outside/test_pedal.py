"""Push-to-talk by a pedal on JACK MIDI: what is said while it is held, to the last syllable.

One visitor speaks without a pause worth mentioning: before the press, while the pedal is held up to
the very sample at which it is let go, and on after the tail. Only the middle is heard.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tests import servers
from tests.analysis import first_loud, last_loud, unit
from tests.midi.pedal import DOWN, UP, Pedal
from tests.outside import memory, shell
from tests.outside.crosstalk import shift_of
from tests.outside.rooms import LOCAL, RATE, JackRoom, recording, silence, transcript
from tests.outside.shell import Shell
from voiced.cli.demo.words import normalised, word_errors

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi has no wheel for this Python")
MISSING = [*servers.MISSING, *shell.MISSING]
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING), reason=f"needs {', '.join(MISSING)}: apt install jackd2 liblo-tools"
    ),
    pytest.mark.skipif(
        rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(), reason="rtmidi has no JACK backend"
    ),
]
PUSH_TO_TALK = LOCAL + 'Sessionmode = "push_to_talk"\n'
AGENT = "/voice_agent"
SPEAKING = 4
BEFORE, HELD, AFTER = "lv_0890.wav", "lv_0930.wav", "lv_0880.wav"
PREROLL_S = 0.3
TAIL_S = 0.2
"""Talktail's default."""
PAUSE_S = 0.5
"""Between the parts: longer than pre-roll and tail."""
LIMIT = 0.15
"""Word error rate."""
WORD_DBFS = -45.0
"""A word of these recordings ends where it falls below this."""


class Lamps:
    """The pedal's lamp, message by message."""

    def __init__(self, pedal: Pedal) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self._pedal = pedal
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while line := self._pedal.line():
            self._lines.put(line)

    def next(self) -> bytes:
        return bytes.fromhex(self._lines.get(timeout=20))

    def rest(self) -> list[bytes]:
        """Return what came after that, once the pedal is gone."""
        self._thread.join(5)
        return [bytes.fromhex(self._lines.get()) for _ in range(self._lines.qsize())]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JackRoom]:
    with JackRoom(tmp_path_factory.mktemp("pedal"), PUSH_TO_TALK) as room:
        yield room


def spoken_part(name: str) -> np.ndarray:
    """Return a recording from its first sound to the end of its last word."""
    samples = recording(name)
    first, last = first_loud(samples, WORD_DBFS), last_loud(samples, WORD_DBFS)
    assert first is not None
    assert last is not None
    return samples[first : last + 1]


def test_what_is_said_up_to_the_release_is_heard_and_nothing_else(room: JackRoom) -> None:
    before, held, after = (spoken_part(name) for name in (BEFORE, HELD, AFTER))
    pause = silence(PAUSE_S)
    with Shell(room.daemon.port) as osc:
        osc.subscribe("/*")
        osc.send(f"{AGENT}/par/Connect")
        osc.wait(f"{AGENT}/par/Sessionstate", lambda state: state == "armed")
        (lane,) = memory.lanes(room.daemon.pid_of("audio"))
        start, edges = lane.near.write_position, len(list(lane.edges_since(0)))
        pedal = Pedal(room.env)
        lamps = Lamps(pedal)
        assert lamps.next() == UP, "a pedal that is plugged in is shown the closed gate"

        room.speak(np.concatenate([before, pause]))
        pedal.send(DOWN)
        assert lamps.next() == DOWN
        said = room.say(np.concatenate([held, pause, after]), marks={"release": len(held)})
        room.wait("release", since=said)
        pedal.send(UP)
        assert lamps.next() == UP
        room.wait("end", since=said)

        speaking = osc.wait(f"{AGENT}/sig/phase", lambda phase: phase == SPEAKING)
        osc.wait(
            f"{AGENT}/sig/phase", lambda phase: phase != SPEAKING, since=osc.place_of(speaking)
        )
        near = memory.frames(lane.near, start)
        opened, closed = (edge for _, edge in list(lane.edges_since(0))[edges:])
        rows = {
            row.args[3]: row.args[2]
            for row in osc.all(f"{AGENT}/conv/row")
            if row.args[1] == "user"
        }
        gate = [said.args[0] for said in osc.all(f"{AGENT}/sig/mic_open")]
        osc.send(f"{AGENT}/par/Disconnect")
        osc.wait(f"{AGENT}/cb/onSessionEnd")
    pedal.unplug()
    assert lamps.rest() == [], "the lamp showed the gate, and only the gate"
    assert [value for n, value in enumerate(gate) if n == 0 or gate[n - 1] != value] == [0, 1, 0]

    # Where in near the held part was spoken, and the gate against it: each end is looked for by
    # itself, as a JACK server on a busy machine may miss periods in between.
    began = start + shift_of(unit(held[:RATE]), unit(near))[0]
    released = start + shift_of(unit(held[-RATE:]), unit(near))[0] + RATE
    print(f"{began + len(held) - released} frames were lost in between")
    assert (opened.open, closed.open) == (True, False)
    lead, tail = began - opened.frame, closed.frame - released
    print(f"the gate opened {lead / RATE * 1000:.0f} ms before the first word")
    print(f"the gate closed {tail / RATE * 1000:.0f} ms after the last word, tail 200 ms")
    assert lead >= 0
    assert TAIL_S - 0.05 < tail / RATE < PAUSE_S

    (text,) = rows.values()
    errors = word_errors(transcript(HELD), text)
    print(f"held: {errors.errors} of {errors.words} words wrong: {text!r}")
    assert errors.rate < LIMIT
    assert normalised(text)[-1] == normalised(transcript(HELD))[-1]
