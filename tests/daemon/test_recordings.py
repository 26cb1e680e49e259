"""Recordings of a real daemon, compared with what its virtual card heard and played."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.analysis import gaps, read_wav
from tests.daemon.rig import alive
from tests.daemon.stage import BLOCK, RATE, WRAP, A, Stage

FILE = f"{A}/audio/file"
STILL_S = 5.0
"""How long the recorder is stopped."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("recordings")) as running:
        running.count(3)
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    yield one
    one.rest()


def finished(stage: Stage, since: int) -> Path:
    """Return the session's file, once it is finished."""
    told = stage.wait(FILE, lambda path: "_turns" not in path and ".turns" not in path, since=since)
    return Path(str(told.args[0]))


def trace_of(stage: Stage, since: int) -> dict[str, Any]:
    """Return the trace of the session that ended, once it names a finished recording."""
    path = Path(str(stage.wait(f"{A}/cb/onSessionEnd", since=since).args[2]))

    def names_it() -> bool:
        if not path.exists():
            return False
        return any(each["seconds"] for each in json.loads(path.read_bytes())["recordings"])

    stage.until(names_it, 20.0, "a trace that names its recording")
    return dict(json.loads(path.read_bytes()))


def aligned(stage: Stage, pairs: NDArray[np.int16], before: int) -> tuple[int, NDArray[np.int16]]:
    """Return the near frame that a recording begins with, and the card's own record of the same.

    The visitor counts: each sample of the left side tells its frame, modulo WRAP.

    Args:
        stage: the daemon.
        pairs: the recording.
        before: a near frame before it, by at most some seconds.
    """
    first = int(np.flatnonzero(pairs[:, 0])[0])
    frame = stage.first + int(pairs[first, 0]) - 1 - first
    frame += -(-(before - frame) // WRAP) * WRAP
    for at in range(frame, frame + 8 * WRAP, WRAP):
        card = stage.both(at, at + len(pairs))
        if (card[:, 1] == pairs[:, 1]).all():
            return at, card
    raise AssertionError("right is not what was played, at no frame that the left side tells")


def recorder(stage: Stage) -> int:
    """Return the process that writes the running session's file."""
    session = stage.ask(f"{A}/par/Sessionid")[0]
    found: list[int] = []

    def writes() -> bool:
        pid = stage.run_file().get("children", {}).get("recorder", 0)
        try:
            links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            return False
        found[:] = [pid]
        return any(link.endswith(f"{session}.wav") for link in links)

    stage.until(writes, 20.0, "a recorder that writes")
    return found[0]


def test_nothing_is_recorded_unless_it_is_wanted(stage: Stage) -> None:
    since = stage.connect()
    stage.climb("r1", 24_000)
    stage.quiet()
    stage.disconnect()
    trace = Path(str(stage.wait(f"{A}/cb/onSessionEnd", since=since).args[2]))
    stage.until(trace.exists, 10, "the trace")
    assert "recorder" not in stage.run_file()["children"]
    assert [each.suffix for each in trace.parent.iterdir()] == [".json"]


def test_a_session_is_what_the_card_heard_and_played(stage: Stage) -> None:
    stage.put("Recording", "session")
    before = stage.now()
    since = stage.connect()
    stage.climb("r1", 48_000)
    stage.quiet()
    stage.disconnect()
    path = finished(stage, since)
    rate, pairs = read_wav(path)
    assert rate == RATE
    frame, card = aligned(stage, pairs, before)
    assert frame % BLOCK == 0, "from a block's first frame on"
    sounding = np.flatnonzero(pairs[:, 0])
    assert (np.diff(sounding) == 1).all()
    assert (pairs[sounding, 0] == card[sounding, 0]).all(), "left and right on one time line"
    assert np.abs(pairs[:, 1]).max() > 10_000
    trace = trace_of(stage, since)
    [recording] = trace["recordings"]
    assert recording["file"] == path.name == f"{trace['session_id']}.wav"
    assert recording["seconds"] == pytest.approx(len(pairs) / RATE, abs=1e-5)
    assert recording["holes"] == []
    assert path.stat().st_mode & 0o777 == 0o600
    [spoken] = trace["spoken"]
    assert [spoken["id"]] == [
        row["id"] for row in trace["transcript"] if row["role"] == "assistant"
    ]
    stage.until(lambda: "recorder" not in stage.run_file()["children"], 10, "its end")


def test_nothing_of_the_room_while_the_gate_was_closed(stage: Stage) -> None:
    stage.put("Recording", "session")
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talktail", 0)
    before = stage.now()
    since = stage.connect("armed")
    edges = []
    for on in (1, 0, 1, 0):
        asked = stage.pass_by(RATE // 5)
        place = stage.mark()
        stage.par("Talk", on)
        stage.signal("mic_open", float(on), place)
        edges.append((asked, stage.now()))
    stage.disconnect()
    _, pairs = read_wav(finished(stage, since))
    frame, card = aligned(stage, pairs, before)
    sounding = np.flatnonzero(pairs[:, 0])
    assert (pairs[sounding, 0] == card[sounding, 0]).all()
    spans = np.split(sounding, np.flatnonzero(np.diff(sounding) > 1) + 1)
    assert len(spans) == 2
    for span, opened, closed in zip(spans, edges[::2], edges[1::2], strict=True):
        assert opened[0] <= span[0] + frame <= opened[1]
        assert closed[0] <= span[-1] + frame <= closed[1]


def test_a_session_that_leaves_no_trace_can_be_recorded(stage: Stage) -> None:
    stage.put("Recording", "session")
    stage.put("Sessiontracing", 0)
    since = stage.connect()
    stage.pass_by(RATE // 4)
    stage.disconnect()
    path = finished(stage, since)
    assert read_wav(path)[1].shape[0] >= RATE // 4
    assert [each.name for each in path.parent.glob(f"{path.stem}*")] == [path.name]


def test_each_turn_gets_a_file(stage: Stage) -> None:
    stage.put("Recording", "turns")
    stage.put("Recordingformat", "flac")
    since = stage.connect()
    start = stage.now()
    stage.script(["speech_started"])
    stage.wait(f"{A}/cb/onUserSpeechStarted", since=since)
    stage.pass_by(RATE // 2)
    stage.script(["speech_ended"], ["user_text", "u1", "counting", 1])
    stage.wait(f"{A}/cb/onUserText", lambda text, final, row: final == 1, since=since)
    stage.climb("r1", 24_000)
    stage.quiet()
    user = Path(str(stage.wait(FILE, lambda path: "_user_" in path, since=since).args[0]))
    reply = Path(str(stage.wait(FILE, lambda path: "_assistant_" in path, since=since).args[0]))
    stage.disconnect()
    import soundfile

    visitor, _ = soundfile.read(user, dtype="int16")
    frames = stage.counted(visitor, start)
    assert (np.diff(frames) == 1).all()
    assert len(frames) >= RATE // 2
    voice, rate = soundfile.read(reply, dtype="int16")
    assert rate == RATE
    whole = np.unique(voice[voice >= 1000])
    assert (whole == 1000 + np.arange(6000)).all(), "the whole ramp, from its first to its last"
    trace = trace_of(stage, since)
    assert [each["what"] for each in trace["recordings"]] == ["turn", "turn"]
    stage.until(lambda: not list(user.parent.parent.glob(".*")), 10, "no spool left behind")


def test_a_stopped_and_a_killed_recorder_are_heard_by_nobody(stage: Stage) -> None:
    stage.put("Recording", "session")
    before = stage.now()
    since = stage.connect()
    stage.script(
        ["response_started", "r1"],
        *[["ramp", "r1", "r1", 2 * RATE]] * 4,
        ["response_done", "r1"],
    )
    stage.signal("assistant_speaking", 1.0, since)
    pid = recorder(stage)
    os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(STILL_S)
    os.kill(pid, signal.SIGCONT)
    stage.pass_by(RATE // 2)
    os.kill(pid, signal.SIGKILL)
    told = stage.wait(f"{A}/cb/onError", "recorder", since=since)
    assert told.args[1] == "lost"
    stage.wait_for_successor("recorder", pid)
    stage.quiet()
    last = stage.now()
    stage.disconnect()
    path = finished(stage, since)
    sound = stage.both(before, last)[:, 1]
    assert np.count_nonzero(sound >= 1000) >= 8 * RATE - 1
    assert gaps(sound, 1) == [], "the loudspeaker missed nothing"
    _, pairs = read_wav(path)
    _, card = aligned(stage, pairs, before)
    sounding = np.flatnonzero(pairs[:, 0])
    assert (np.diff(sounding) == 1).all()
    assert (pairs[sounding, 0] == card[sounding, 0]).all(), "and neither did the recording"
    [recording] = trace_of(stage, since)["recordings"]
    assert recording["holes"] == []
    assert len(stage.client.all(f"{A}/cb/onError", since=since)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit of another process is Linux'")
def test_a_full_disk_is_told_once_and_costs_nothing_else(stage: Stage) -> None:
    stage.put("Recording", "session")
    before = stage.now()
    since = stage.connect()
    pid = recorder(stage)
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (200_000, most))
    told = stage.wait(f"{A}/cb/onError", "recorder", since=since)
    assert told.args[1] == "disk"
    assert "too large" in told.args[2]
    place = stage.mark()
    stage.climb("r1", 24_000)
    stage.quiet()
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    stage.disconnect()
    _, pairs = read_wav(finished(stage, since))
    _, card = aligned(stage, pairs, before)
    sounding = np.flatnonzero(pairs[:, 0])
    assert (np.diff(sounding) == 1).all()
    assert (pairs[sounding, 0] == card[sounding, 0]).all(), "the ring had kept it"
    assert not stage.client.all(f"{A}/cb/onError", since=place)


def test_forget_erases_the_recording_too(stage: Stage) -> None:
    stage.put("Recording", "both")
    since = stage.connect()
    session = str(stage.ask(f"{A}/par/Sessionid")[0])
    folder = stage.state_dir / "voice_sessions" / "voice_agent"
    wav = folder / f"{session}.wav"
    stage.until(lambda: wav.exists() and wav.stat().st_size > 100_000, 20, "a recording")
    stage.climb("r1", 24_000)
    stage.quiet()
    stage.wait(FILE, lambda path: "_assistant_" in path, since=since)
    stage.par("Forget")
    stage.wait(f"{A}/conv/clear", since=since)
    stage.sync()
    stage.until(lambda: not (folder / f"{session}.turns").exists(), 20, "the turns' end")
    place = stage.now()
    stage.disconnect()
    path = finished(stage, since)
    assert path == wav
    _, pairs = read_wav(wav)
    frame, _ = aligned(stage, pairs, place - WRAP // 2)
    assert place - RATE <= frame <= place, "what was said before is gone"
    assert not (pairs[:, 1] != 0).any()
    [recording] = trace_of(stage, since)["recordings"]
    assert recording["what"] == "session"


def test_a_daemon_killed_leaves_a_file_that_plays_and_a_trace_that_names_it(
    tmp_path: Path,
) -> None:
    with Stage(tmp_path / "stage", 'Recording = "session"') as stage:
        stage.connect()
        stage.count(1)
        folder = stage.state_dir / "voice_sessions" / "voice_agent"
        session = str(stage.ask(f"{A}/par/Sessionid")[0])
        wav = folder / f"{session}.wav"
        stage.until(lambda: wav.exists() and wav.stat().st_size > 3 * 4 * RATE, 20, "3 s of it")
        recorder = stage.pid_of("recorder")
        stage.kill_everything()
        stage.until(lambda: not alive(recorder), 5, "the recorder's end")
        _, pairs = read_wav(wav)
        assert len(pairs) >= 1.5 * RATE
        written = (wav.stat().st_size - 44) // 4
        assert written - len(pairs) <= 2 * RATE, "at most the last seconds are behind the header"
        began = int(np.flatnonzero(pairs[:, 0])[0])
        assert (np.diff(pairs[began:, 0].astype(int)) % 30_000 == 1).all()
        (folder / f".{session}.part2.wav").write_bytes(b"what a recorder cuts turns from")
        stage.start()
        trace = folder / f"{session}.json"
        stage.until(trace.exists, 20, "the trace")
        [recording] = json.loads(trace.read_bytes())["recordings"]
        assert recording["file"] == wav.name
        stage.until(lambda: not list(folder.glob(".*")), 10, "no hidden leftovers")
