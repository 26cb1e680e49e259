"""What lands in the files: checked frame by frame against what passed, whatever went wrong."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.analysis import read_wav
from tests.recorder.room import RATE, Room, far_of, near_of
from voiced.lane.words import DeviceSegment, LaneSegment
from voiced.messages.recorder import (
    FileFinished,
    FromRecorder,
    MarkTurn,
    Part,
    PartMoved,
    Record,
    RecorderTrouble,
)
from voiced.recorder import wav
from voiced.recorder.session import RETRY_S, Recording

STEM = "20260101_100000_echo_m_0000000a"


class Session:
    """A recording of a room, its recorder killed and started as control does it."""

    def __init__(self, room: Room, folder: Path, what: str = "session", form: str = "wav") -> None:
        self.room, self.folder = room, folder
        self.told: list[FromRecorder] = []
        self.now = 1000.0
        self.record = Record(
            agent="a", session_id=STEM, folder=str(folder), what=what, format=form,
            from_frame=room.frame,
        )  # fmt: skip
        self.recording = self._start([])

    def _start(self, parts: list[Part]) -> Recording:
        fresh = Record(**{**_fields(self.record), "parts": parts})
        lane = LaneSegment(self.room.lane_fd, read_only=True)
        return Recording(fresh, lane, self.room.device, self.told.append)

    def parts(self) -> list[Part]:
        moved = {each.part.number: each.part for each in self.told if isinstance(each, PartMoved)}
        return [moved[number] for number in sorted(moved)]

    def kill(self) -> None:
        """Let a successor go on with what is on disk."""
        if self.recording._file is not None:
            self.recording._file.abandon()
        self.recording = self._start(self.parts())

    def advance(self) -> None:
        while self.recording.advance(self.now):
            pass

    def finish(self) -> list[FileFinished]:
        self.recording.stop_at = self.room.frame
        while not self.recording.at_end:
            self.now += RETRY_S + 1
            self.advance()
        found = [each for each in self.recording.finish() if each is not None]
        assert self.recording.finished
        return found

    def trouble(self) -> list[RecorderTrouble]:
        return [each for each in self.told if isinstance(each, RecorderTrouble)]

    def check(self) -> NDArray[np.bool_]:
        """Check every frame of every part; return which of the session's frames are in one."""
        kept = np.zeros(self.room.frame, np.bool_)
        for part in self.parts():
            rate, pairs = read_wav(self.folder / part.file)
            assert rate == part.samplerate
            places = np.arange(len(pairs))
            near = np.full(len(pairs), -1)
            for anchor in part.anchors:
                later = places >= anchor.file_frame
                near[later] = anchor.near_frame + places[later] - anchor.file_frame
            silent = np.zeros(len(pairs), np.bool_)
            for hole in part.holes:
                silent[hole.file_frame : hole.file_frame + hole.frames] = True
            assert not pairs[silent].any()
            sound, near = pairs[~silent], near[~silent]
            left = np.where(self.room.was_open(near), near_of(near), 0)
            assert (sound[:, 0] == left).all(), "left is near between open edges, nothing else"
            heard = near - part.delay
            assert (sound[:, 1] == np.where(heard < 0, 0, far_of(heard))).all()
            assert not kept[near].any(), "no frame twice"
            kept[near] = True
        return kept[self.record.from_frame :]


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__struct_fields__}


def test_left_is_the_visitor_between_open_edges_and_right_what_was_played(tmp_path: Path) -> None:
    room = Room()
    room.pass_by(5000)
    session = Session(room, tmp_path)
    for frames, is_open in ((3000, True), (2500, False), (4001, True), (77, False)):
        room.gate(is_open)
        room.pass_by(frames)
        session.advance()
    [file] = session.finish()
    assert session.check().all()
    assert (file.file, file.near_frame) == (f"{STEM}.wav", 5000)
    assert file.seconds == pytest.approx((3000 + 2500 + 4001 + 77) / RATE)
    assert (tmp_path / file.file).stat().st_mode & 0o777 == 0o600
    _, pairs = read_wav(tmp_path / file.file)
    assert np.count_nonzero(pairs[:, 0]) == 3000 + 4001


def test_right_is_held_back_by_the_cards_latencies(tmp_path: Path) -> None:
    room = Room(latency=400)
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(4000)
    session.finish()
    assert session.check().all()
    assert session.parts()[0].delay == 800


def test_no_word_of_the_lane_is_touched(tmp_path: Path) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(6000)
    before = room.words()
    session.finish()
    assert room.words() == before
    lane = LaneSegment(room.lane_fd, read_only=True)
    with pytest.raises(TypeError):
        lane.near.publish_read(1)


def test_what_the_ring_went_over_is_silence_of_the_same_length(tmp_path: Path) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(1000)
    session.advance()
    room.pass_by(60_000)
    [file] = session.finish()
    kept = session.check()
    assert kept[:1000].all()
    assert not kept.all()
    assert file.seconds == pytest.approx(61_000 / RATE)
    assert len(file.holes) == 1
    assert file.holes[0][0] == pytest.approx(1000 / RATE)


def test_edges_that_were_missed_count_as_closed(tmp_path: Path) -> None:
    room = Room()
    session = Session(room, tmp_path)
    room.gate(True)
    room.pass_by(100)
    session.advance()
    for number in range(301):
        room.gate(bool(number % 2))
        room.pass_by(10)
    room.gate(True)
    room.pass_by(50)
    session.finish()
    _, pairs = read_wav(tmp_path / f"{STEM}.wav")
    frames = np.arange(len(pairs))
    sounding = pairs[:, 0] != 0
    assert not (sounding & ~room.was_open(frames)).any(), "nothing of a closed gate"
    assert sounding[:100].all()
    assert sounding[-50:].all()


def test_another_rate_begins_another_part(tmp_path: Path) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(3000)
    room.stream(rate=16_000, lost_s=0.5)
    room.pass_by(5000)
    files = session.finish()
    assert [each.file for each in files] == [f"{STEM}.wav", f"{STEM}.part2.wav"]
    assert session.check().all()


def test_the_time_without_a_card_is_silence(tmp_path: Path) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(3000)
    session.advance()
    room.stream(lost_s=1.5)
    room.pass_by(2000)
    [file] = session.finish()
    assert session.check().all()
    assert file.seconds == pytest.approx(5000 / RATE + 1.5)
    assert file.holes == [(3000 / RATE, 1.5)]


def test_a_successor_knows_of_the_break_that_its_predecessor_stood_before(tmp_path: Path) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(3000)
    session.advance()
    room.stream(lost_s=1.5)
    session.kill()
    room.pass_by(2000)
    [file] = session.finish()
    assert file.holes == [(3000 / RATE, 1.5)]
    assert session.check().all()


def test_a_disk_that_is_full_for_a_while_is_told_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    room.pass_by(3000)
    session.advance()

    def full(fd: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(wav.os, "pwrite", full)
        for _ in range(3):
            room.pass_by(2000)
            session.now += RETRY_S + 1
            session.advance()
    [told] = session.trouble()
    assert told.code == "disk"
    assert "No space left" in told.sentence
    session.finish()
    assert session.check().all(), "the ring had kept it"


@pytest.mark.parametrize(
    ("blocks", "free", "told"),
    [
        (1 << 20, 8000, ["disk"]),
        (1 << 20, 9000, []),
        (1000, 10, ["disk"]),
        (1000, 50, []),
        (0, 0, []),
    ],
)
def test_the_last_of_a_disk_is_left_to_words_and_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, told: list[str]
) -> None:
    """A disk of 4 KiB blocks: 32 MiB are left of a large one, a fiftieth of a small one."""
    room = Room()
    room.gate(True)
    session = Session(room, tmp_path)
    with monkeypatch.context() as patch:
        disk = SimpleNamespace(f_frsize=4096, f_blocks=blocks, f_bavail=free)
        patch.setattr(wav.os, "fstatvfs", lambda fd: disk)
        for _ in range(2):
            room.pass_by(2000)
            session.now += RETRY_S + 1
            session.advance()
    assert [each.code for each in session.trouble()] == told
    session.finish()
    assert session.check().all(), "the ring had kept it"


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("a file in the way")
    room = Room()
    session = Session(room, tmp_path / "way")
    for _ in range(5):
        room.pass_by(1000)
        session.now += RETRY_S + 1
        session.advance()
    assert len(session.trouble()) == 1
    (tmp_path / "way").unlink()
    session.finish()
    assert session.check().all()


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_turns_get_files_of_their_own(tmp_path: Path, form: str) -> None:
    room = Room()
    session = Session(room, tmp_path, what="turns", form=form)
    room.gate(True)
    room.pass_by(12_000)
    for role, row, start, end in (("user", "1.1", 1000, 3000), ("assistant", "1.2", 9000, 10_000)):
        session.recording.mark(
            MarkTurn(agent="a", session_id=STEM, role=role, id=row, start_frame=start,
                     end_frame=end)
        )  # fmt: skip
    user, reply = session.finish()
    assert (user.id, user.near_frame, user.seconds) == ("1.1", 1000, 2000 / RATE)
    assert user.file.endswith(f"_user_1.1.{form}")
    assert reply.near_frame == 9000 - RATE, "a second before it was told: it never was silent here"
    if form == "wav":
        _, samples = read_wav(tmp_path / user.file)
        assert (samples[:, 0] == near_of(np.arange(1000, 3000))).all()
    else:
        import soundfile

        samples, rate = soundfile.read(tmp_path / user.file, dtype="int16")
        assert rate == RATE
        assert (samples == near_of(np.arange(1000, 3000))).all()
    assert [each.name for each in tmp_path.iterdir()] == [f"{STEM}.turns"], (
        "what they were cut from"
    )


def test_a_session_is_made_flac_and_the_wav_goes(tmp_path: Path) -> None:
    import soundfile

    room = Room()
    room.gate(True)
    session = Session(room, tmp_path, form="flac")
    room.pass_by(9000)
    [file] = session.finish()
    assert file.file == f"{STEM}.flac"
    assert [each.name for each in tmp_path.iterdir()] == [file.file]
    assert (tmp_path / file.file).stat().st_mode & 0o777 == 0o600
    samples, _ = soundfile.read(tmp_path / file.file, dtype="int16")
    assert (samples[:, 0] == near_of(np.arange(9000))).all()
    assert (samples[:, 1] == far_of(np.arange(9000))).all()


def test_without_the_library_the_wav_stays_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiced.recorder.flac.library", lambda: None)
    room = Room()
    session = Session(room, tmp_path, form="flac")
    room.pass_by(1000)
    [file] = session.finish()
    assert file.file == f"{STEM}.wav"
    assert "voiced[flac]" in session.trouble()[0].sentence


def test_dropping_leaves_nothing(tmp_path: Path) -> None:
    room = Room()
    session = Session(room, tmp_path, what="both")
    room.pass_by(9000)
    session.advance()
    session.recording.mark(
        MarkTurn(agent="a", session_id=STEM, role="assistant", id="1.1", start_frame=0,
                 end_frame=2000)
    )  # fmt: skip
    assert [each for each in session.recording.turns_due() if each is not None]
    session.recording.drop()
    assert list(tmp_path.iterdir()) == []


def test_what_a_predecessor_could_not_erase_is_gone_when_a_session_begins_anew(
    tmp_path: Path,
) -> None:
    room = Room()
    room.gate(True)
    forgotten = Session(room, tmp_path, what="both", form="flac")
    room.pass_by(9000)
    forgotten.recording.mark(
        MarkTurn(agent="a", session_id=STEM, role="user", id="1.1", start_frame=0, end_frame=900)
    )
    forgotten.finish()
    room.stream(rate=16_000)
    other = tmp_path / f"{STEM}0.wav"
    other.write_bytes(b"another's")
    fresh = Session(room, tmp_path)
    room.pass_by(1000)
    fresh.finish()
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"{STEM}.wav", other.name]
    assert fresh.check().all()


def test_without_a_microphone_it_says_that_nothing_was_recorded(tmp_path: Path) -> None:
    room = Room()
    room.device_fd, room.device = DeviceSegment.create()
    session = Session(room, tmp_path)
    assert session.finish() == []
    assert [each.code for each in session.trouble()] == ["empty"]


def test_a_card_that_goes_ends_the_recording_where_it_is(tmp_path: Path) -> None:
    room = Room()
    session = Session(room, tmp_path)
    room.pass_by(1000)
    session.recording.stop_at = 2000
    session.advance()
    assert not session.recording.at_end
    session.now += 10
    session.advance()
    assert session.recording.at_end


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 9000)),
        st.tuples(st.just("pass"), st.just(45_000)),
        st.tuples(st.just("gate"), st.booleans()),
        st.tuples(st.just("advance"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("stream"), st.sampled_from([0.0, 0.01, 1.5, 100.0])),
        st.tuples(st.just("torn"), st.integers(1, 100)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whatever_happens_each_frame_is_right_or_silent(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    room = Room()
    session = Session(room, tmp_path_factory.mktemp("walk"))
    for what, how in steps:
        match what:
            case "pass":
                room.pass_by(how)
            case "gate":
                room.gate(how)
            case "advance":
                session.advance()
            case "kill":
                session.kill()
            case "stream":
                room.stream(lost_s=how)
            case "torn":
                # Killed in the middle of a write: its end is missing.
                if session.recording._file is not None:
                    part = session.parts()[-1]
                    told = [each.file_frame for each in part.anchors]
                    told += [each.file_frame + each.frames for each in part.holes]
                    path = session.folder / part.file
                    least = wav.HEADER + 4 * max(told)
                    with path.open("r+b") as file:
                        file.truncate(max(least, path.stat().st_size - how))
                    session.kill()
    session.finish()
    kept = session.check()
    for part in session.parts():
        size = (session.folder / part.file).stat().st_size
        assert (size - wav.HEADER) % 4 == 0
    if "pass" in [what for what, _ in steps] and not any(how == 45_000 for _, how in steps):
        assert kept.any()
