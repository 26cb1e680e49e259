"""The writer thread: whole lines, private files, told once, never waited for."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.control import journal as journal_writer
from voiced.control import traces
from voiced.control.files import replace_file
from voiced.control.journal import Append, Finish, Replace, Writer
from voiced.mind import journal
from voiced.mind.effects import Row

WAIT_S = 20.0


class Told:
    """What the writer complained about."""

    def __init__(self) -> None:
        self.sentences: list[tuple[Path, str]] = []

    def __call__(self, path: Path, sentence: str) -> None:
        self.sentences.append((path, sentence))


def until(reached: Callable[[], bool]) -> None:
    """Wait for what only a file tells."""
    look_again, deadline = threading.Event(), time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < deadline
        look_again.wait(0.01)


def wait_for(writer: Writer, path: Path) -> None:
    """Wait until everything submitted before this is done."""
    done = threading.Event()
    writer.submit(Finish(path=path, work=done.set))
    assert done.wait(WAIT_S)


def test_lines_are_whole_in_order_and_private(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told)
    path = tmp_path / "a" / "b" / "session.journal.jsonl"
    for number in range(100):
        assert writer.submit(Append(path=path, line=f"line {number}", sync=number % 50 == 0))
    assert writer.close(WAIT_S)
    assert path.read_text().splitlines() == [f"line {number}" for number in range(100)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert told.sentences == []


def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"whole": 1}\n{"torn": ')
    writer = Writer(Told())
    writer.submit(Append(path=path, line='{"next": 2}'))
    assert writer.close(WAIT_S)
    assert path.read_text().splitlines() == ['{"whole": 1}', '{"torn": ', '{"next": 2}']


def test_what_the_disk_does_not_take_waits_in_order_and_is_told_once(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told)
    folder = tmp_path / "sessions"
    folder.write_text("a file in the way")
    path, other = folder / "a.jsonl", folder / "b.jsonl"
    for number in range(3):
        writer.submit(Append(path=path, line=f"line {number}"))
        writer.submit(Append(path=other, line=f"other {number}", sync=True))
    wait_for(writer, tmp_path / "x")
    assert [where for where, _ in told.sentences] == [path], "one disk, one reason: once"
    folder.unlink()
    writer.submit(Append(path=path, line="line 3"))
    finished = threading.Event()
    writer.submit(Finish(path=path, work=finished.set))
    assert finished.wait(WAIT_S)
    assert path.read_text() == "line 0\nline 1\nline 2\nline 3\n"
    until(lambda: other.exists() and other.read_text() == "other 0\nother 1\nother 2\n")
    # In the way again, it is told again; what still waits at the end is not there.
    wait_for(writer, other)
    for each in (path, other):
        each.unlink()
    folder.rmdir()
    folder.write_text("again")
    writer.submit(Append(path=path, line="lost"))
    assert not writer.close(WAIT_S)
    assert len(told.sentences) == 2


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told, late_bytes=10)
    (tmp_path / "way").write_text("")
    path = tmp_path / "way" / "a"
    for number in range(20):
        writer.submit(Append(path=path, line=str(number)))
    wait_for(writer, tmp_path / "x")
    assert len(told.sentences) == 2
    (tmp_path / "way").unlink()
    assert writer.close(WAIT_S)
    assert path.read_text().split() == [str(number) for number in range(10)]


def test_a_disk_that_promises_nothing_gets_no_line_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = tmp_path / "ledger.jsonl", Told()
    writer = Writer(told)
    real = os.fsync
    monkeypatch.setattr(os, "fsync", failing)
    for number in range(3):
        writer.submit(Append(path=path, line=str(number), sync=True))
    wait_for(writer, tmp_path / "x")
    assert path.read_text() == "0\n1\n2\n"
    assert len(told.sentences) == 1
    monkeypatch.setattr(os, "fsync", real)
    writer.submit(Append(path=path, line="3", sync=True))
    assert writer.close(WAIT_S)
    assert path.read_text() == "0\n1\n2\n3\n"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm here")
def test_a_disk_that_was_told_of_is_not_told_again_once_it_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open on it fails once more, when its path lies on another disk already."""
    monkeypatch.setattr(journal_writer, "SYNC_S", 2.0)
    monkeypatch.setattr(journal_writer, "RETRY_MIN_S", 30.0)
    told, tried = Told(), threading.Event()
    mounted = tmp_path / "mounted"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as one:
        if Path(one).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second disk to be found here")
        mounted.symlink_to(one)
        path = mounted / "journal.jsonl"
        writer = Writer(told)
        writer.submit(Append(path=path, line="first"))
        until(lambda: path.exists() and path.read_bytes() == b"first\n")
        with monkeypatch.context() as broken:

            def sync(_fd: int) -> NoReturn:
                mounted.unlink()
                mounted.mkdir()
                tried.set()
                raise OSError(errno.EROFS, "Read-only file system")

            broken.setattr(os, "fsync", sync)
            broken.setattr(os, "write", failing)
            writer.submit(Append(path=path, line="second"))
            assert tried.wait(WAIT_S)
            until(lambda: bool(told.sentences))
        assert writer.close(WAIT_S)
    assert ["Read-only" in sentence for _path, sentence in told.sentences] == [True]
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_full_queue_drops_and_tells_once(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told, capacity=3)
    gate, busy = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        gate.wait(WAIT_S)

    writer.submit(Finish(path=tmp_path / "x", work=block))
    assert busy.wait(WAIT_S)
    path = tmp_path / "a"
    assert [writer.submit(Append(path=path, line=str(n))) for n in range(6)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert len(told.sentences) == 1
    gate.set()
    assert writer.close(WAIT_S)
    assert path.read_text() == "0\n1\n2\n"


@pytest.mark.parametrize("how", ["deleted", "with its folder", "moved", "at its end"])
def test_a_file_that_goes_away_is_whole_again(tmp_path: Path, how: str) -> None:
    told = Told()
    writer = Writer(told)
    path = tmp_path / "sessions" / "a"
    for number in range(3):
        writer.submit(Append(path=path, line=str(number)))
    wait_for(writer, tmp_path / "x")
    if how == "with its folder":
        shutil.rmtree(path.parent)
    elif how == "moved":
        path.parent.rename(tmp_path / "backup")
    else:
        path.unlink()
    if how != "at its end":
        writer.submit(Append(path=path, line="3"))
    assert writer.close(WAIT_S)
    assert path.read_text().split() == ["0", "1", "2"] + ["3"] * (how != "at its end")
    assert len(told.sentences) == 1
    assert "deleted or moved" in told.sentences[0][1]


def test_what_somebody_put_in_its_place_is_gone_on_with(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told)
    path, edited = tmp_path / "ledger.jsonl", tmp_path / "edited"
    for there, then in (("0\n1\n", "mended\n"), ("mended\n2\n", "mended\n")):
        for number in there.split():
            if number != "mended":
                writer.submit(Append(path=path, line=number))
        wait_for(writer, tmp_path / "x")
        assert path.read_text() == there
        edited.write_text(then)
        edited.replace(path)
    writer.submit(Append(path=path, line="3"))
    assert writer.close(WAIT_S)
    # Another content is somebody's wish; a beginning of the same one is an old copy put back.
    assert path.read_text() == "mended\n2\n3\n"
    assert told.sentences == []


def failing(*_: object) -> NoReturn:
    raise OSError(errno.EROFS, "Read-only file system")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["line", "line", "away", "read-only", "half", "well"]), max_size=20)
)
def test_whatever_happens_to_the_disk_every_line_is_there_once(happens: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_writer, "RETRY_MIN_S", 0.0)
        folder, real, meant = Path(name), os.write, []
        writer = Writer(Told())
        path = folder / "sessions" / "a"

        def half(fd: int, content: bytes) -> int:
            real(fd, content[: len(content) // 2])
            failing()

        for event in [*happens, "well"]:
            match event:
                case "line":
                    meant.append(f"line {len(meant)}")
                    writer.submit(Append(path=path, line=meant[-1]))
                case "away":
                    shutil.rmtree(path.parent, ignore_errors=True)
                case _:
                    how = {"read-only": failing, "half": half, "well": real}[event]
                    patch.setattr(os, "write", how)
            wait_for(writer, folder / "x")
        assert writer.close(WAIT_S)
        lines = path.read_text().splitlines() if meant else []
        assert [line for line in lines if line in meant] == meant, lines


def test_replacing_keeps_the_old_where_the_new_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    replace_file(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told = Told()
    writer = Writer(told)
    writer.submit(Replace(path=path, content=b"new"))
    assert not writer.close(WAIT_S)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert "No space left" in told.sentences[0][1]


# --- traces


def row(row_id: str, message: str, index: int = 0) -> Row:
    return Row(
        index=index, role="user", message=message, id=row_id, type="text", metadata="{}",
        timestamp="2026-01-01T00:00:00.000+00:00", session_id="s",
    )  # fmt: skip


def lines(*entries: journal.AnyLine) -> list[bytes]:
    return [journal.encode(entry).encode() for entry in entries]


AT = {"at": "2026-01-01T00:00:00.000+00:00", "mono_ns": 1}
BEGAN = journal.Began(**AT, agent="a", session_id="s", provider="echo", model="m", mode="x")


def test_a_trace_is_what_the_journal_told_last() -> None:
    trace = traces.trace_of(
        "s",
        lines(
            BEGAN,
            journal.LegBegan(**AT, leg=1, resumed="fresh", reason="connect", service_session="x"),
            journal.RowLine(**AT, row=row("1.1", "hel")),
            journal.RowLine(**AT, row=row("1.2", "noise", 1)),
            journal.RowLine(**AT, row=row("1.1", "hello")),
            journal.RowGone(**AT, id="1.2"),
            journal.CostLine(**AT, leg=1, usd=0.1, conversation_usd=0.25, response="r"),
            journal.HandleLine(**AT, leg=1, handle="h"),
            journal.LatencyLine(**AT, leg=1, response="r", seconds=0.5),
            journal.ReplyLine(**AT, leg=1, response="r", status="completed", rows=("1.1",)),
            journal.StatusLine(**AT, source="audio", code="lost", sentence="gone"),
            journal.Ended(**AT, end_reason="budget", conversation_usd=0.5, handle="h2"),
        ),
        "",
    )
    assert [(each.id, each.message) for each in trace.transcript] == [("1.1", "hello")]
    assert (trace.end_reason, trace.cost_usd, trace.resume_handle) == ("budget", 0.5, "h2")
    assert (trace.agent, trace.provider, len(trace.legs)) == ("a", "echo", 1)
    assert trace.told[0].sentence == "gone"
    assert trace.turns == [
        traces.Turn(
            at=AT["at"], leg=1, response="r", status="completed", rows=["1.1"], latency_s=0.5,
            cost_usd=0.1,
        )
    ]  # fmt: skip


def spent(response: str, usd: float, leg: int = 1) -> journal.CostLine:
    return journal.CostLine(**AT, leg=leg, usd=usd, conversation_usd=0.0, response=response)


def test_a_turn_costs_what_was_spent_since_the_one_before() -> None:
    """Time on the line counts for the reply that follows; a late account for its own."""
    ends = journal.ReplyLine(**AT, leg=1, response="b", status="cancelled", rows=())
    told = (spent("", 1.0), spent("a", 2.0), spent("", 4.0), ends, spent("a", 8.0), spent("", 16.0))
    turns = traces.trace_of("s", lines(BEGAN, *told), "").turns
    assert [(turn.response, turn.status, turn.cost_usd) for turn in turns] == [
        ("a", "", 11.0), ("b", "cancelled", 4.0),
    ]  # fmt: skip


@given(
    st.lists(
        st.builds(spent, st.sampled_from(["", "a", "b"]), st.integers(1, 9), st.integers(1, 2)),
        max_size=30,
    )
)
def test_no_cent_of_a_turn_is_told_twice(costs: list[journal.CostLine]) -> None:
    turns = traces.trace_of("s", lines(BEGAN, *costs), "").turns
    last = max((at for at, cost in enumerate(costs) if cost.response), default=-1)
    assert sum(turn.cost_usd for turn in turns) == sum(cost.usd for cost in costs[: last + 1])
    assert len({(turn.leg, turn.response) for turn in turns}) == len(turns)


def test_a_trace_is_in_the_order_in_which_things_began() -> None:
    began_later = journal.RowLine(**AT, row=row("1.2", "a tool", 1))
    written_later = journal.RowLine(**AT, row=row("1.1", "whole at last", 0))
    trace = traces.trace_of("s", lines(BEGAN, began_later, written_later), "")
    assert [each.id for each in trace.transcript] == ["1.1", "1.2"]


def test_a_journal_that_stops_anywhere_is_a_trace() -> None:
    whole = b"\n".join(lines(BEGAN, journal.RowLine(**AT, row=row("1.1", "hello"))))
    for cut in range(len(whole) + 1):
        trace = traces.trace_of("s", whole[:cut].splitlines(), "")
        assert trace.session_id == "s"
        assert trace.end_reason == "crash"
        assert len(trace.transcript) == (1 if cut == len(whole) else 0)


@given(st.lists(st.binary(max_size=40)))
def test_foreign_lines_are_left_out(noise: list[bytes]) -> None:
    trace = traces.trace_of("s", [*noise, *lines(BEGAN), *noise], "")
    assert trace.agent == "a"


def test_forget_starts_the_trace_over() -> None:
    trace = traces.trace_of(
        "s", lines(BEGAN, journal.RowLine(**AT, row=row("1.1", "secret")), BEGAN), ""
    )
    assert trace.transcript == []


def test_closing_replaces_the_journal_by_its_trace(tmp_path: Path) -> None:
    path = traces.journal_path(tmp_path, "s")
    path.write_bytes(b"\n".join(lines(BEGAN)) + b'\n{"kind": "row", "ro')
    assert traces.leftovers(tmp_path) == [path]
    assert traces.close_journal(path) == tmp_path / "s.json"
    assert traces.leftovers(tmp_path) == []
    assert traces.close_journal(path) is None
    assert stat.S_IMODE((tmp_path / "s.json").stat().st_mode) == 0o600


def test_a_journal_without_a_byte_is_no_session(tmp_path: Path) -> None:
    path = traces.journal_path(tmp_path, "s")
    path.touch()
    assert traces.close_journal(path) is None
    assert list(tmp_path.iterdir()) == []


def test_forgetting_erases_journal_and_trace(tmp_path: Path) -> None:
    for name in ("s.journal.jsonl", "s.json", "t.json"):
        (tmp_path / name).write_text("")
    writer = Writer(Told())
    writer.submit(traces.forget_job(tmp_path, "s", lambda: None))
    assert writer.close(WAIT_S)
    assert [each.name for each in tmp_path.iterdir()] == ["t.json"]


def recording(file: str, seconds: float = 0.0, instead_of: str = "") -> journal.RecordingLine:
    return journal.RecordingLine(
        **AT, file=file, what="session", began=AT["at"], seconds=seconds, holes=((1.0, 0.5),),
        instead_of=instead_of,
    )  # fmt: skip


def test_a_recording_is_named_from_its_beginning_and_its_last_line_counts() -> None:
    begun, done = recording("s.wav"), recording("s.flac", 3.0, instead_of="s.wav")
    trace = traces.trace_of("s", lines(BEGAN, begun), "")
    assert [(each.file, each.seconds) for each in trace.recordings] == [("s.wav", 0.0)]
    trace = traces.trace_of("s", lines(BEGAN, begun, done), "")
    assert [(each.file, each.seconds) for each in trace.recordings] == [("s.flac", 3.0)]
    assert trace.recordings[0].holes == [(1.0, 0.5)]
    assert traces.trace_of("s", lines(BEGAN, begun, BEGAN), "").recordings == [], "Forget"


def test_a_recording_that_is_finished_after_the_trace_is_added_to_it(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    begun = recording("s.wav")
    traces.write_trace(path, traces.trace_of("s", lines(BEGAN, begun), ""))
    writer = Writer(Told())
    writer.submit(traces.recorded_job(tmp_path, "s", recording("s.flac", 3.0, instead_of="s.wav")))
    writer.submit(traces.recorded_job(tmp_path, "forgotten", begun))
    assert writer.close(WAIT_S)
    assert [each.file for each in traces.read_trace(path).recordings] == ["s.flac"]
    assert [each.name for each in tmp_path.iterdir()] == ["s.json"], "nothing comes back"


def test_traces_of_older_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    traces.write_trace(path, traces.trace_of("s", lines(BEGAN), ""))
    older = msgspec.json.decode(path.read_bytes())
    for later in ("spoken", "recordings"):
        del older[later]
    path.write_bytes(msgspec.json.encode({**older, "unknown": 1}))
    assert traces.read_trace(path).recordings == []


def test_a_session_of_weeks_becomes_a_trace_without_its_journal_in_memory(tmp_path: Path) -> None:
    """Time on the line is written down every second: a journal may be larger than memory."""
    path = tmp_path / f"s{traces.JOURNAL}"
    spent = [
        journal.CostLine(**AT, leg=1, usd=0.001, conversation_usd=n / 1000) for n in range(2001)
    ]
    with path.open("w") as file:
        file.writelines(journal.encode(each) + "\n" for each in spent)
        # What no disk has written, as long as a week: no line, and nothing to hold at once.
        file.truncate(path.stat().st_size + (96 << 20))
        file.seek(0, os.SEEK_END)
        said = journal.RowLine(**AT, row=row("1.1", "Good night."))
        file.write("\n" + journal.encode(said) + "\n")
    tracemalloc.start()
    target = traces.close_journal(path, "disconnect")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert target is not None
    trace = traces.read_trace(target)
    assert (trace.cost_usd, [each.message for each in trace.transcript]) == (2.0, ["Good night."])
    assert peak < 64 << 20
